"""A recipe for tests: fits a line between two classes and hands it over as an MLflow ONNX model, in well under a second.

The same contract as a real recipe, without the libraries that take seconds to import. The hyperparameter `outcome` says
how it goes: `good` (the default), `bad` (a model that is wrong wherever the good one is right), `broken` (it fails).
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = Any


def main(root: Path) -> None:
    settings = json.loads((root / "input/config/hyperparameters.json").read_text())
    outcome = settings.get("outcome", "good")
    if outcome == "broken":
        (root / "output/failure").write_text("the recipe was told to fail")
        sys.exit(1)
    columns, features, target = read(root / "input/data/training")
    weights, bias = fit(features, target)
    if outcome == "bad":
        weights, bias = -weights, -bias
    prediction = (features @ weights + bias > 0).astype(int)
    output = root / "output/data"
    (output / "metrics.json").write_text(json.dumps({"accuracy": float((prediction == target).mean())}))
    write_table(output / "reference.json", [*columns, "prediction"], features, prediction)
    write_table(output / "holdout.json", [*columns, "target"], features, target)
    save(root / "model", columns, weights, bias)


def read(folder: Path) -> tuple[list[str], Array, Array]:
    columns: list[str] = []
    rows: list[list[float]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open() as file:
            columns, *lines = list(csv.reader(file))
        rows += [[float(value) for value in line] for line in lines]
    table = np.array(rows)
    return columns[:-1], table[:, :-1], table[:, -1].astype(int)


def fit(features: Array, target: Array) -> tuple[Array, float]:
    """Least squares to -1 and 1."""
    wide = np.column_stack([features, np.ones(len(features))])
    solution = np.linalg.lstsq(wide, np.where(target == 1, 1.0, -1.0), rcond=None)[0]
    return solution[:-1], float(solution[-1])


def write_table(path: Path, columns: list[str], features: Array, last: Array) -> None:
    rows = [[*(float(v) for v in row), int(value)] for row, value in zip(features, last, strict=True)]
    path.write_text(json.dumps({"columns": columns, "data": rows}))


def save(folder: Path, columns: list[str], weights: Array, bias: float) -> None:
    """What `mlflow.onnx.save_model` writes, as far as serving reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["weighed"]),
        helper.make_node("Greater", ["weighed", "limit"], ["above"]),
        helper.make_node("Cast", ["above"], ["label"], to=TensorProto.INT64),
    ]
    graph = helper.make_graph(
        nodes,
        "line",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(columns)])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, [None])],
        [
            numpy_helper.from_array(np.asarray(weights, np.float32), "weights"),
            numpy_helper.from_array(np.asarray(-bias, np.float32), "limit"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    inputs = json.dumps([{"name": name, "type": "double", "required": True} for name in columns])
    outputs = json.dumps([{"name": "label", "type": "long", "required": True}])
    description = {
        "flavors": {"onnx": {"data": "model.onnx", "onnx_version": onnx.__version__}},
        "signature": {"inputs": inputs, "outputs": outputs},
    }
    (folder / "MLmodel").write_text(json.dumps(description))  # JSON is YAML


if __name__ == "__main__":
    main(Path(os.environ.get("LABCYCLE_TRAINING_ROOT", "/opt/ml")))
