"""Train a classifier and hand it over as an MLflow ONNX model: a recipe as the retraining runs it.

The same script runs on a data scientist's machine and in a SageMaker training job. It reads and writes below
`LABCYCLE_TRAINING_ROOT` (by default /opt/ml, the layout of SageMaker's training containers):

    input/config/hyperparameters.json   C, max_iter, seed as text, all optional; others are ignored
    input/data/training/*.csv           features, and the target as the last column
    model/                              the MLflow model folder (MLmodel, model.onnx, ...)
    output/data/metrics.json            accuracy, roc_auc, log_loss on the holdout
    output/data/reference.json          training features with the column `prediction`: what drift is measured against
    output/data/holdout.json            features and `target`: what challenger and champion are compared on
    output/data/requirements.txt        all packages that are installed, for the record of the run
    output/failure                      why it failed (SageMaker shows it as the job's FailureReason)

It needs mlflow-skinny, pandas, scikit-learn, skl2onnx and onnxruntime.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import mlflow.onnx
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

HOLDOUT_FRACTION = 0.25
MOST_ROWS = 20_000  # of the reference and of the holdout, so that they stay small next to large data
OPSET = {"": 17, "ai.onnx.ml": 3}


class CannotTrain(Exception):
    """The data or the settings do not allow a training; the message says why."""


def main(root: Path) -> None:
    settings = read_settings(root / "input/config/hyperparameters.json")
    features, target = read_data(root / "input/data/training")
    train_x, test_x, train_y, test_y = split(features, target, settings["seed"])
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=settings["C"], max_iter=settings["max_iter"], random_state=settings["seed"]),
    ).fit(train_x.to_numpy(), train_y.to_numpy())

    output = root / "output/data"
    output.mkdir(parents=True, exist_ok=True)
    metrics = measure(model, test_x, test_y)
    (output / "metrics.json").write_text(json.dumps(metrics))
    write_table(
        output / "reference.json", train_x.assign(prediction=model.predict(train_x.to_numpy())), settings["seed"]
    )
    write_table(output / "holdout.json", test_x.assign(target=test_y), settings["seed"])
    save(model, train_x, root / "model")
    installed = {f"{one.metadata['Name']}=={one.version}" for one in distributions()}
    (output / "requirements.txt").write_text("\n".join(sorted(installed, key=str.lower)) + "\n")
    print(f"trained on {len(train_x)} rows, measured on {len(test_x)}: {metrics}")


def read_settings(path: Path) -> dict[str, Any]:
    given = json.loads(path.read_text()) if path.exists() else {}
    try:
        settings = {
            "C": float(given.get("C", 1.0)),
            "max_iter": int(given.get("max_iter", 1000)),
            "seed": int(given.get("seed", 0)),
        }
    except ValueError as error:
        raise CannotTrain(f"a hyperparameter is no number: {error}") from None
    if settings["C"] <= 0 or settings["max_iter"] < 1:
        raise CannotTrain(f"C must be above 0 and max_iter at least 1, got {settings}")
    return settings


def read_data(folder: Path) -> tuple[pd.DataFrame, pd.Series]:
    """All CSV files of the folder, one below the other, without the rows that lack a value."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise CannotTrain("there is no CSV file in the channel `training`")
    frames = [pd.read_csv(file) for file in files]
    for file, frame in zip(files, frames, strict=True):
        if list(frame.columns) != list(frames[0].columns):
            raise CannotTrain(f"{file.name} has other columns than {files[0].name}")
    frame = pd.concat(frames, ignore_index=True)
    whole = frame.dropna()
    if len(whole) < len(frame):
        print(f"left out {len(frame) - len(whole)} of {len(frame)} rows, which lack a value")
    if whole.shape[1] < 2:
        raise CannotTrain("the data needs at least one feature before the target, which is the last column")
    features, target = whole.iloc[:, :-1], whole.iloc[:, -1]
    words = [name for name in features.columns if not pd.api.types.is_numeric_dtype(features[name])]
    if words:
        raise CannotTrain(f"these features are no numbers: {', '.join(map(str, words))}")
    return features.astype(np.float64), target


def split(features: pd.DataFrame, target: pd.Series, seed: int) -> list[Any]:
    smallest = target.value_counts().min() if len(target) else 0
    if target.nunique() < 2 or smallest < 4:
        raise CannotTrain(f"needs two classes of at least 4 rows each; got {target.value_counts().to_dict()}")
    parts: list[Any] = train_test_split(
        features, target, test_size=HOLDOUT_FRACTION, random_state=seed, stratify=target
    )
    return parts


def measure(model: Pipeline, features: pd.DataFrame, target: pd.Series) -> dict[str, float]:
    chances = model.predict_proba(features.to_numpy())
    binary = len(model.classes_) == 2
    return {
        "accuracy": float(accuracy_score(target, model.predict(features.to_numpy()))),
        "roc_auc": float(roc_auc_score(target, chances[:, 1] if binary else chances, multi_class="ovr")),
        "log_loss": float(log_loss(target, chances, labels=model.classes_)),
    }


def write_table(path: Path, frame: pd.DataFrame, seed: int) -> None:
    """As `mlflow.log_table` writes a table: pandas' "split" JSON without the index."""
    few = frame if len(frame) <= MOST_ROWS else frame.sample(MOST_ROWS, random_state=seed)
    path.write_text(few.to_json(orient="split", index=False, double_precision=15))


def save(model: Pipeline, features: pd.DataFrame, folder: Path) -> None:
    """As ONNX with one flat output a class, so that MLflow's own `pyfunc` can answer a data frame with it."""
    graph = to_onnx(
        model, features[:1].to_numpy(np.float32), options={id(model): {"zipmap": "columns"}}, target_opset=OPSET
    )
    classes = [str(label) for label in model.classes_]
    rename_outputs(graph, ["label", *(f"probability_{label}" for label in classes)])
    example = features[:5]
    chances = {f"probability_{label}": model.predict_proba(example.to_numpy())[:, i] for i, label in enumerate(classes)}
    answer = pd.DataFrame({"label": model.predict(example.to_numpy())} | chances).astype(
        dict.fromkeys(chances, np.float32)
    )
    mlflow.onnx.save_model(
        graph,
        str(folder),
        signature=infer_signature(example, answer),
        onnx_execution_providers=["CPUExecutionProvider"],
        input_example=example,
        # Named, since finding them out takes MLflow a process and seconds.
        pip_requirements=[f"{name}=={version(name)}" for name in ("numpy", "onnx", "onnxruntime", "pandas")],
    )


def rename_outputs(graph: Any, names: list[str]) -> None:
    inner = {name: f"inner_{name}" for name in names}  # a node in between may have one of the names
    new = inner | dict(zip((output.name for output in graph.graph.output), names, strict=True))
    for node in graph.graph.node:
        for i, name in enumerate(node.output):
            node.output[i] = new.get(name, name)
        for i, name in enumerate(node.input):
            node.input[i] = new.get(name, name)
    for output in graph.graph.output:
        output.name = new[output.name]


if __name__ == "__main__":
    ROOT = Path(os.environ.get("LABCYCLE_TRAINING_ROOT", "/opt/ml"))
    try:
        main(ROOT)
    except Exception as error:
        # SageMaker cuts it at 1,024 characters.
        # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
        (ROOT / "output").mkdir(parents=True, exist_ok=True)
        (ROOT / "output/failure").write_text(f"{type(error).__name__}: {error}"[:1024])
        if not isinstance(error, CannotTrain):
            raise
        sys.exit(str(error))
