#!/usr/bin/env python3
"""Times the reference package, with the weights and the inputs that `cargo bench -p predictor --bench model` reads.

    venv/bin/python scripts/golden/bench.py target/model-bench && cargo bench -p predictor --bench model

Writes `released/classifier.pt` and `small/classifier.pt` into the folder. Inputs follow from row numbers and are the same
in predictor/benches/model.rs: users with four numbers, four orders each with three numbers and a time, one hop.
"""

import math
import sys
import time
from pathlib import Path

import torch
from sdm import RelatedTables, TableTensor
from sdm.models import KumoRelational
from sdm.models.kumo.relational.model import _KumoRelational

import weights
from make import TINY

CONTEXT, ORDERS = 1000, 4
HOUR = 3_600_000_000


def value(row, column):
    return math.sin(0.37 * row + 1.3 * column * column + 0.01 * row * column)


def numbers(first, count, columns):
    rows = range(first, first + count)
    return {f"n{column}": [value(row, column) for row in rows] for column in range(columns)}


def tables(first, count):
    """Tables of the examples `first..first + count`: the task's, and the related ones."""
    ids = list(range(first, first + count))
    owners = [user for user in ids for _ in range(ORDERS)]
    start = first * ORDERS
    times = torch.tensor([(400_000 + row % 5_000) * HOUR for row in range(start, start + len(owners))])
    asked = torch.full((count,), 410_000 * HOUR)
    stypes = {f"n{column}": "numerical" for column in range(4)}

    def table(columns, datetime):
        made = TableTensor.from_columns(columns, stypes={**{n: stypes[n] for n in columns if n in stypes}, "user_id": "id"})
        if datetime is None:
            return made
        when = TableTensor(columns={"datetime": ["when"]}, datetime=datetime.unsqueeze(-1))
        return torch.cat([made, when], dim=-1)

    task = table({"user_id": ids}, asked)
    users = table({"user_id": ids, **numbers(first, count, 4)}, None)
    orders = table({"user_id": owners, **numbers(start, len(owners), 3)}, times)
    target = TableTensor.from_columns({"y": [row * 7 % 3 == 0 for row in ids]}, stypes={"y": "categorical"})
    related = RelatedTables(
        tables={"users": users, "orders": orders},
        relationships=[
            {"left_table": "orders", "left_columns": "user_id", "right_table": "users", "right_columns": "user_id"}
        ],
        task_links=[{"task_columns": "user_id", "table": "users", "table_columns": "user_id"}],
    )
    return task, target, related


def timed(work, runs):
    """The median of several runs, in milliseconds."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[len(times) // 2]


def main():
    folder = Path(sys.argv[1])
    for name, dimensions in (("released", {}), ("small", TINY)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        inner = weights.fill(_KumoRelational(num_classes=10, num_quantiles=0, **dimensions))
        torch.save(inner.state_dict(), folder / name / "classifier.pt")
        with torch.device("meta"):
            model = KumoRelational(task="classification", pretrained=False, device="meta")
        model.models["classification"] = inner
        model.eval()
        task, target, related = tables(0, CONTEXT)
        fit = timed(lambda: model.fit(task, target, related, num_hops=1), 3)
        print(f"PyTorch {name}: fit {CONTEXT} {fit:.1f} ms", flush=True)
        for count in (1, 32, 512):
            asked, _, around = tables(CONTEXT, count)
            took = timed(lambda: model.predict(asked, around), 5)
            print(f"PyTorch {name}: predict {count} {took:.1f} ms", flush=True)


if __name__ == "__main__":
    print(torch.get_num_threads(), "threads")
    main()
