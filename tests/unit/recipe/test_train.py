"""The recipe, run as a training job runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.datasets import load_wine

import labcycle.demo
from labcycle_lambdas.profiles import PREDICTION, Profile, Reference, compare

RECIPE = Path(labcycle.demo.__file__).parent / "recipe" / "train.py"


def train(root: Path, files: dict[str, pd.DataFrame], **settings: str) -> subprocess.CompletedProcess[str]:
    (root / "input/config").mkdir(parents=True)
    (root / "input/data/training").mkdir(parents=True)
    (root / "model").mkdir()  # SageMaker makes it
    (root / "input/config/hyperparameters.json").write_text(json.dumps(settings))
    for name, frame in files.items():
        frame.to_csv(root / "input/data/training" / name, index=False)
    environment = {**os.environ, "LABCYCLE_TRAINING_ROOT": str(root)}
    return subprocess.run([sys.executable, RECIPE], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wine() -> pd.DataFrame:
    return load_wine(as_frame=True).frame


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, wine: pd.DataFrame) -> Path:
    root = tmp_path_factory.mktemp("ml")
    files = {"a.csv": wine[:100], "b.csv": wine[100:]}
    done = train(root, files, C="0.5", max_iter="500", seed="3", some_param_of_autolog="ignored")
    assert done.returncode == 0, done.stderr
    return root


def table(path: Path) -> pd.DataFrame:
    doc = json.loads(path.read_text())
    return pd.DataFrame(doc["data"], columns=doc["columns"])


def test_the_graph_answers_as_the_metrics_say(trained: Path, wine: pd.DataFrame) -> None:
    holdout = table(trained / "output/data/holdout.json")
    assert 40 <= len(holdout) <= 50 and list(holdout.columns) == list(wine.columns)
    session = onnxruntime.InferenceSession(trained / "model/model.onnx")
    features = holdout.drop(columns="target").to_numpy(np.float32)
    label, *chances = session.run(None, {session.get_inputs()[0].name: features})
    assert [o.name for o in session.get_outputs()] == ["label", "probability_0", "probability_1", "probability_2"]
    metrics = json.loads((trained / "output/data/metrics.json").read_text())
    assert np.mean(label == holdout["target"]) == pytest.approx(metrics["accuracy"])
    assert metrics["accuracy"] > 0.9
    of_truth = np.stack(chances, axis=1)[np.arange(len(holdout)), holdout["target"]]
    assert -np.mean(np.log(of_truth)) == pytest.approx(metrics["log_loss"], rel=1e-3)


def test_the_stock_client_loads_the_model_and_checks_its_signature(trained: Path, wine: pd.DataFrame) -> None:
    model = mlflow.pyfunc.load_model(str(trained / "model"))
    features = wine.drop(columns="target")
    answer = model.predict(features.astype(float)[:7])
    assert list(answer["label"]) == list(wine["target"][:7])
    assert model.metadata.signature.inputs.input_names() == list(features.columns)
    with pytest.raises(mlflow.exceptions.MlflowException, match="alcohol"):
        model.predict(features.drop(columns="alcohol").astype(float))


def test_the_reference_covers_training_rows_and_predictions(trained: Path, wine: pd.DataFrame) -> None:
    doc = json.loads((trained / "output/data/reference.json").read_text())
    assert doc["columns"] == [*wine.columns[:-1], PREDICTION]
    reference = Reference.from_table(doc["columns"], doc["data"])
    profile = Profile(reference)
    features = wine.drop(columns="target")
    profile.add(list(features.columns), features.to_numpy().tolist(), wine["target"].tolist())
    assert max(feature.psi for feature in compare(reference, profile)) < 0.2


def test_the_same_seed_gives_the_same_model(trained: Path, wine: pd.DataFrame, tmp_path: Path) -> None:
    files = {"a.csv": wine[:100], "b.csv": wine[100:]}
    assert train(tmp_path, files, C="0.5", max_iter="500", seed="3").returncode == 0
    for name in ("metrics.json", "holdout.json", "reference.json"):
        assert (tmp_path / "output/data" / name).read_bytes() == (trained / "output/data" / name).read_bytes()


@pytest.mark.parametrize(
    ("case", "settings", "why"),
    [
        ("nothing", {}, "no CSV file"),
        ("other columns", {}, "b.csv has other columns than a.csv"),
        ("words", {}, "these features are no numbers: alcohol"),
        ("one class", {}, "needs two classes"),
        ("fine", {"C": "much"}, "a hyperparameter is no number"),
        ("fine", {"C": "-1"}, "C must be above 0"),
    ],
)
def test_what_cannot_be_trained_on_is_said_in_the_failure_file(
    tmp_path: Path, wine: pd.DataFrame, case: str, settings: dict[str, str], why: str
) -> None:
    files = {
        "nothing": {},
        "other columns": {"a.csv": wine, "b.csv": wine.rename(columns={"hue": "tint"})},
        "words": {"a.csv": wine.astype({"alcohol": str}).assign(alcohol="much")},
        "one class": {"a.csv": wine[wine["target"] == 1]},
        "fine": {"a.csv": wine},
    }[case]
    done = train(tmp_path, files, **settings)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert why in (tmp_path / "output/failure").read_text()
    assert not (tmp_path / "output/data/metrics.json").exists()
