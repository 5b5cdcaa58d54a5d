"""Small relational databases for the golden files: raw tables, split into context and query."""

import random
from dataclasses import dataclass, field

US_PER_HOUR = 3_600_000_000


@dataclass
class Case:
    """One golden file."""

    name: str
    classes: int  # 0 for regression
    context: int
    queries: int
    hops: int
    estimators: int
    tables: int = 2  # users, orders, items
    lags: bool = False  # numbers in the task table itself
    released: bool = False
    max_train_size: int = 20_000
    seed: int = 1
    dice: random.Random = field(init=False)

    def __post_init__(self):
        self.dice = random.Random(self.seed)


CASES = [
    Case("one-table", classes=2, context=40, queries=7, hops=0, estimators=2, tables=1, seed=1),
    Case("two-tables-numbers", classes=0, context=36, queries=5, hops=1, estimators=2, max_train_size=30, seed=2),
    Case("three-tables", classes=3, context=30, queries=6, hops=2, estimators=4, tables=3, lags=True, seed=3),
    Case("many-classes", classes=23, context=92, queries=6, hops=1, estimators=2, seed=4),
    Case("released-classes", classes=2, context=16, queries=3, hops=2, estimators=1, tables=3, released=True, seed=5),
    Case("released-numbers", classes=0, context=12, queries=2, hops=1, estimators=1, released=True, seed=6),
    Case("one-table-numbers", classes=0, context=30, queries=5, hops=0, estimators=2, tables=1, lags=True, seed=7),
    Case("three-tables-numbers", classes=0, context=24, queries=5, hops=2, estimators=2, tables=3, seed=8),
    Case("hundred-classes", classes=101, context=202, queries=4, hops=1, estimators=1, seed=9),
]


def maybe(case, share, value):
    """`value`, or none for a share of the calls."""
    return None if case.dice.random() < share else value


def number(case):
    """A number with a heavy tail."""
    return case.dice.gauss(0, 1) * (10 if case.dice.random() < 0.05 else 1)


def users(case, ids, seen):
    """The entity table. `seen` says which categories the context shows: a query may bring a new one."""
    cities = ["oslo", "bergen", "tromso", "Ålesund"] + ([] if seen else ["hamar"])
    return {
        "user_id": ("id", list(ids)),
        "age": ("numerical", [maybe(case, 0.2, case.dice.randint(18, 90)) for _ in ids]),
        "income": ("numerical", [number(case) * 1000 + 3000 for _ in ids]),
        "constant": ("numerical", [7.0 for _ in ids]),
        "city": ("categorical", [maybe(case, 0.1, case.dice.choice(cities)) for _ in ids]),
        "since": ("datetime", [maybe(case, 0.15, case.dice.randint(350_000, 440_000) * US_PER_HOUR) for _ in ids]),
    }


def orders(case, ids, first):
    """Children of users: none to four each, a few without a user, each with an item of its own."""
    owners = [user for user in ids for _ in range(case.dice.randint(0, 4))]
    owners += [None, 10_000_000 + first]
    rows = range(first, first + len(owners))
    return {
        "order_id": ("id", list(rows)),
        "user_id": ("id", owners),
        "item_id": ("id", [maybe(case, 0.1, row) for row in rows]),
        "amount": ("numerical", [maybe(case, 0.05, abs(number(case)) * 20) for _ in rows]),
        "status": ("categorical", [case.dice.choice([1, 2, 3, 5, 8]) for _ in rows]),
        "at": ("datetime", [case.dice.randint(400_000 * 60, 439_000 * 60) * (US_PER_HOUR // 60) for _ in rows]),
    }


def items(case, order_table):
    """Parents of orders, one copy for each order, so that neighbourhoods stay disjoint."""
    ids = [item for item in order_table["item_id"][1] if item is not None]
    return {
        "item_id": ("id", ids),
        "price": ("numerical", [case.dice.choice([5.0, 10.0, 20.0]) for _ in ids]),
        "weight": ("numerical", [number(case) for _ in ids]),
    }


def database(case, ids, first, seen):
    """The tables of one side."""
    tables = {"users": users(case, ids, seen)}
    if case.tables > 1:
        tables["orders"] = orders(case, ids, first)
    if case.tables > 2:
        tables["items"] = items(case, tables["orders"])
    return tables


def task(case, ids):
    """The task table: the entity, when it is asked for, and the target."""
    columns = {
        "user_id": ("id", list(ids)),
        "when": ("datetime", [case.dice.randint(440_000, 450_000) * US_PER_HOUR for _ in ids]),
    }
    if case.lags:
        columns["lag1"] = ("numerical", [maybe(case, 0.2, float(case.dice.randint(0, 2))) for _ in ids])
        columns["lag2"] = ("numerical", [number(case) for _ in ids])
    if case.classes:
        names = [f"c{index % case.classes:02}" for index, _ in enumerate(ids)]
        case.dice.shuffle(names)
        columns["target"] = ("categorical", names)
    else:
        columns["target"] = ("numerical", [number(case) * 3 + 11 for _ in ids])
    return columns


RELATIONSHIPS = [
    {"left_table": "orders", "left_columns": "user_id", "right_table": "users", "right_columns": "user_id"},
    {"left_table": "orders", "left_columns": "item_id", "right_table": "items", "right_columns": "item_id"},
]
