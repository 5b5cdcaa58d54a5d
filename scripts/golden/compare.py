#!/usr/bin/env python3
"""Times `kumo-relational` beside the reference package, on the same weights and inputs, and prints one table.

    python3 scripts/golden/compare.py --make-venv              # the first time: PyTorch comes with 5 GB of packages
    python3 scripts/golden/compare.py [--threads 2] [--rounds 3]

Rounds alternate, because machines are noisy: medians are over rounds, and a ratio is the median of the rounds' own ratios.
On a machine that has other work, believe the processor times of one thread: PyTorch's threads wait for each other in busy
loops. `--make-venv` makes `target/golden-venv`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["structured-data-models==0.2.1", "torch", "pandas"]


def measured(command, **environment):
    """What a program printed, by the names of its measurements."""
    environment = {**os.environ, **environment}
    out = subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True).stdout
    return {one["name"]: one for one in map(json.loads, out.splitlines())}


def ours(threads):
    command = ["cargo", "bench", "--workspace", "--locked", "--quiet", "--bench", "model"]
    return measured(command, RAYON_NUM_THREADS=str(threads))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make-venv", action="store_true", help="install the reference package first")
    parser.add_argument("--python", type=Path, default=ROOT / "target" / "golden-venv" / "bin" / "python")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.make_venv:
        venv = ROOT / "target" / "golden-venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "python", "-m", "pip", "install", *PACKAGES], check=True)
    if not arguments.python.exists():
        sys.exit(f"{arguments.python} is missing: run once with --make-venv, or name a Python that has {PACKAGES[0]}")
    # Where predictor/benches/model.rs looks.
    folder = ROOT / "target" / "model-bench"
    script = ROOT / "scripts" / "golden" / "bench.py"
    rounds = []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        reference = measured([arguments.python, script, folder, str(arguments.threads)])
        rounds.append((reference, ours(arguments.threads)))
    print(f"{arguments.threads} threads; milliseconds; load average {os.getloadavg()[0]:.1f}")
    print("| | PyTorch | of it the network | Foreshore | ratio | PyTorch, processor | Foreshore, processor | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in rounds[0][0]:
        pairs = [(reference[name], own[name]) for reference, own in rounds]

        def middle(value):
            return statistics.median(value(*pair) for pair in pairs)

        cells = [middle(lambda reference, _: reference["whole"]), middle(lambda reference, _: reference["network"])]
        for kind in ("whole", "processor"):
            if kind == "processor":
                cells.append(middle(lambda reference, _: reference[kind]))
            cells.append(middle(lambda _, own: own[kind]))
            cells.append(middle(lambda reference, own: reference[kind] / own[kind]))
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
