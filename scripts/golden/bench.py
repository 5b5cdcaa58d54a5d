#!/usr/bin/env python3
"""Times the reference package on the weights and inputs that `cargo bench --bench model` reads (compare.py runs both).

    venv/bin/python scripts/golden/bench.py target/model-bench 2       # threads

Writes `released/classifier.pt` and `small/classifier.pt` into the folder, and prints one JSON object per measurement:
medians in milliseconds of whole calls (`whole`), of the network's part in them (`network`), and of the processor time of all
threads (`processor`). Inputs follow from row
numbers and are the same in predictor/benches/model.rs: users with four numbers, four orders each with three numbers and a
time, one hop, one estimator.
"""

import json
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


class Clock:
    """How long calls take, and the network within them."""

    def __init__(self, model):
        self.forward, self.network = model._forward, 0.0
        model._forward = self.run

    def run(self, **arguments):
        start = time.perf_counter()
        out = self.forward(**arguments)
        self.network += time.perf_counter() - start
        return out

    def tell(self, name, work, runs):
        work()
        times = {"whole": [], "network": [], "processor": []}
        for _ in range(runs):
            self.network, start, spent = 0.0, time.perf_counter(), time.process_time()
            work()
            times["whole"].append((time.perf_counter() - start) * 1e3)
            times["network"].append(self.network * 1e3)
            times["processor"].append((time.process_time() - spent) * 1e3)
        print(json.dumps({"name": name, **{kind: sorted(one)[runs // 2] for kind, one in times.items()}}), flush=True)


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    for name, dimensions in (("released", {}), ("small", TINY)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        inner = weights.fill(_KumoRelational(num_classes=10, num_quantiles=0, **dimensions))
        torch.save(inner.state_dict(), folder / name / "classifier.pt")
        with torch.device("meta"):
            model = KumoRelational(task="classification", pretrained=False, device="meta")
        model.models["classification"] = inner
        model.eval()
        clock = Clock(model)
        task, target, related = tables(0, CONTEXT)
        clock.tell(f"{name}/fit/{CONTEXT}", lambda: model.fit(task, target, related, num_hops=1), 3)
        for count in (1, 32, 512):
            asked, _, around = tables(CONTEXT, count)
            clock.tell(f"{name}/predict/{count}", lambda: model.predict(asked, around), 7)


if __name__ == "__main__":
    main()
