#!/usr/bin/env python3
"""Makes the golden files of predictor/src/model from the reference package `structured-data-models`.

    python3 -m venv venv && venv/bin/pip install structured-data-models==0.2.1 pandas
    venv/bin/python scripts/golden/make.py predictor/tests/golden

Each case is one safetensors file: the raw tables of context and query, every random draw in its order, what the recipe
made of the tables for each estimator, what the network answered for each estimator, and the answer after averaging.
Weights are not in the files: both sides make them from the tensors' names (weights.py).
"""

import json
import sys
from pathlib import Path

import pandas
import torch
from safetensors.torch import save_file
from sdm import RelatedTables, TableTensor
from sdm.models import KumoRelational
from sdm.models.kumo.relational.model import _KumoRelational
from sdm.processing.numerical import power

import weights
from cases import CASES, RELATIONSHIPS, database, task

TINY = {
    "channels": 16,
    "num_embedding_layers": 1,
    "num_embedding_heads": 2,
    "num_inducing_points": 8,
    "num_readout_tokens": 2,
    "num_icl_layers": 2,
    "num_icl_heads": 2,
}


def table_tensor(columns):
    """A table of the package. Times are microseconds."""
    frame = pandas.DataFrame(
        {
            name: pandas.Series(
                pandas.to_datetime(pandas.Series(values, dtype="Int64"), unit="us") if stype == "datetime" else values,
                dtype="Int64" if stype == "id" else None,
            )
            for name, (stype, values) in columns.items()
        }
    )
    return TableTensor.from_pandas(frame, stypes={name: stype for name, (stype, _) in columns.items()})


class Recorder:
    """Keeps every random draw, the exponents of power transforms, and what goes into and out of the network."""

    def __init__(self, model, tables):
        self.tables, self.search = iter(tables), power._optimize_lambdas
        power._optimize_lambdas = self.exponents
        self.tensors, self.draws, self.members = {}, 0, 0
        self.randperm, self.randn, self.forward = torch.randperm, torch.randn, model._forward
        torch.randperm = lambda *args, **kwargs: self.draw(self.randperm(*args, **kwargs))
        torch.randn = lambda *args, **kwargs: self.draw(self.randn(*args, **kwargs))
        model._forward = self.run

    def draw(self, values):
        self.tensors[f"draw.{self.draws}"] = values.clone()
        self.draws += 1
        return values

    def exponents(self, *arguments, **keywords):
        found = self.search(*arguments, **keywords)
        self.tensors[f"power.{next(self.tables)}"] = found.flatten().clone()
        return found

    def run(self, **arguments):
        prefix = f"member.{self.members}"
        self.members += 1
        for side in ("context", "query"):
            tables = dict(arguments[f"related_{side}_tables"].tables)
            tables["task"] = arguments[f"x_{side}"]
            for name, table in tables.items():
                self.tensors[f"{prefix}.{side}.{name}"] = table.numerical.clone().contiguous()
        target = arguments["y_context"]
        is_class = target.categorical.size(-1) > 0
        self.tensors[f"{prefix}.target"] = (target.categorical.code if is_class else target.numerical).squeeze(-1).clone()
        out = self.forward(**arguments)
        self.tensors[f"{prefix}.out"] = out.numerical.clone().contiguous()
        return out

    def close(self):
        torch.randperm, torch.randn, power._optimize_lambdas = self.randperm, self.randn, self.search


def model_of(case):
    """The package's model with the case's dimensions and the weights of weights.py."""
    kind = "classification" if case.classes else "regression"
    with torch.device("meta"):
        model = KumoRelational(task=kind, pretrained=False, device="meta")
    dimensions = {} if case.released else TINY
    inner = _KumoRelational(
        num_classes=10 if case.classes else 0,
        num_quantiles=0 if case.classes else 999,
        norm_bias=bool(case.classes),
        max_train_size=case.max_train_size,
        device="cpu",
        **dimensions,
    )
    model.models[kind] = weights.fill(inner)
    return model.eval(), inner


def raw(columns):
    """A table's columns as plain lists, for the file's description."""
    return [{"name": name, "stype": stype, "values": values} for name, (stype, values) in columns.items()]


def searched_in_64_bits(model, case, arguments):
    """The same answers, had the package searched the exponents of its power transforms in 64 bits."""
    search = power._optimize_lambdas
    power._optimize_lambdas = lambda columns, *more, **keywords: search(columns.double(), *more, **keywords).float()
    out = model(generator=torch.Generator().manual_seed(case.seed), **arguments)
    power._optimize_lambdas = search
    return out


def make(case, folder):
    context_ids, query_ids = range(case.context), range(1000, 1000 + case.queries)
    context, query = database(case, context_ids, 0, True), database(case, query_ids, 5000, False)
    asked_context, asked_query = task(case, context_ids), task(case, query_ids)
    links = [{"task_columns": "user_id", "table": "users", "table_columns": "user_id"}]
    relationships = RELATIONSHIPS[: case.tables - 1]

    def related(tables):
        tables = {name: table_tensor(columns) for name, columns in tables.items()}
        return RelatedTables(tables=tables, relationships=relationships, task_links=links)

    model, inner = model_of(case)
    task_context, task_query = table_tensor(asked_context), table_tensor(asked_query)
    features = [name for name in asked_context if name != "target"]
    arguments = {
        "x_context": task_context[features],
        "y_context": task_context[["target"]],
        "x_query": task_query[features],
        "related_context_tables": related(context),
        "related_query_tables": related(query),
        "num_hops": case.hops,
        "num_estimators": case.estimators,
    }
    recorder = Recorder(model, [*context, "task"])
    out = model(generator=torch.Generator().manual_seed(case.seed), **arguments)
    recorder.close()
    model._forward = recorder.forward
    model.fit(
        arguments["x_context"],
        arguments["y_context"],
        arguments["related_context_tables"],
        num_hops=case.hops,
        num_estimators=case.estimators,
        generator=torch.Generator().manual_seed(case.seed),
    )
    again = model.predict(arguments["x_query"], arguments["related_query_tables"])
    print(case.name, tuple(out.numerical.shape), "fit/predict differs by", float((again.numerical - out.numerical).abs().max()))

    tensors = recorder.tensors
    tensors["out"] = out.numerical.clone().contiguous()
    if case.estimators > 1:
        tensors["out64"] = searched_in_64_bits(model, case, arguments).numerical.clone().contiguous()
        print(case.name, "exponents in 64 bits differ by", float((tensors["out64"] - tensors["out"]).abs().max()))
    description = {
        "context": {name: raw(columns) for name, columns in context.items()},
        "query": {name: raw(columns) for name, columns in query.items()},
        "task": {"context": raw(asked_context), "query": raw(asked_query)},
        "relationships": relationships,
        "hops": case.hops,
        "estimators": case.estimators,
        "classes": case.classes,
        "out_columns": list(out.columns["numerical"]) if case.classes else [],
        "shapes": {name: list(value.shape) for name, value in inner.state_dict().items()},
        "max_train_size": case.max_train_size,
    }
    save_file(tensors, folder / f"{case.name}.safetensors", metadata={"case": json.dumps(description)})


def main():
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    (folder / "tiny").mkdir(parents=True, exist_ok=True)
    # A checkpoint in the format of the published one, `classifier.pt`.
    torch.save(model_of(CASES[0])[1].state_dict(), folder / "tiny" / "classifier.pt")
    for case in CASES:
        make(case, folder)


if __name__ == "__main__":
    main()
