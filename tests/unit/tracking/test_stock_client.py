"""Sessions of the stock MLflow client, over HTTP: everything they touch is served."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

from labcycle_lambdas.tracking.routes import answer
from tests.unit.tracking.conftest import Api
from tests.unit.tracking.server import Recorder, serving, stock_client


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def session(api: Api, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The stock client is pointed at the function; afterwards all that it asked was served."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    answers = partial(answer, api.ledgers)
    with serving(answers, recorder=recorder) as address, stock_client(address, monkeypatch, tmp_path):
        yield address
    assert [call for call in recorder.calls if call[2] >= 500] == []


def touched(recorder: Recorder) -> set[tuple[str, str]]:
    """Method and path, identifiers replaced."""
    return {
        (method, "/".join("{id}" if part.startswith("m-") and len(part) == 34 else part for part in path.split("/")))
        for method, path, _ in recorder.calls
    }


def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    features = random.normal(size=(80, 3)).astype(np.float32)
    return features, (features.sum(axis=1) > 0).astype(int)


def test_a_tracking_session(session: str, recorder: Recorder, tmp_path: Path) -> None:
    experiment = mlflow.set_experiment("card fraud")
    with mlflow.start_run(run_name="sweep") as parent:
        mlflow.log_params({"depth": 3, "rate": 0.1})
        with mlflow.start_run(run_name="child", nested=True) as child:
            for step in range(3):
                mlflow.log_metrics({"loss": 1.0 / (step + 1), "accuracy": 0.5 + step / 10}, step=step)
            mlflow.set_tags({"note": "größer", "kind": "child"})
        mlflow.log_metric("accuracy", 0.7)
        (tmp_path / "report.txt").write_text("hello")
        mlflow.log_artifact(str(tmp_path / "report.txt"), "reports")
        mlflow.log_dict({"a": 1}, "config/a.json")
        mlflow.log_table({"x": [1, 2], "prediction": [0, 1]}, "reference.json")
    assert experiment.artifact_location == f"s3://labcycle-fraud-artifacts/experiments/{experiment.experiment_id}"
    found = mlflow.search_runs(
        [experiment.experiment_id],
        "metrics.accuracy >= 0.6 AND params.depth = '3' and attributes.status = 'FINISHED'",
        order_by=["metrics.accuracy DESC", "attributes.start_time ASC"],
        output_format="list",
    )
    assert [run.info.run_id for run in found] == [parent.info.run_id]
    children = mlflow.search_runs(
        [experiment.experiment_id],
        f"tags.mlflow.parentRunId = '{parent.info.run_id}' and tags.note LIKE 'gr%'",
        output_format="list",
    )
    assert [run.info.run_id for run in children] == [child.info.run_id]
    assert children[0].data.metrics == {"loss": 1 / 3, "accuracy": 0.7}
    assert children[0].info.user_id == "scientist-1"
    assert children[0].data.tags["mlflow.user"] == "scientist-1"
    client = MlflowClient()
    assert [point.value for point in client.get_metric_history(child.info.run_id, "loss")] == [1.0, 0.5, 1 / 3]
    assert mlflow.artifacts.load_text(f"runs:/{parent.info.run_id}/reports/report.txt") == "hello"
    assert list(mlflow.load_table("reference.json", [parent.info.run_id])["prediction"]) == [0, 1]
    assert len(mlflow.search_experiments(filter_string="name LIKE 'card%'", order_by=["name DESC"])) == 1
    client.delete_run(child.info.run_id)
    assert len(client.search_runs([experiment.experiment_id])) == 1
    client.restore_run(child.info.run_id)
    client.update_run(child.info.run_id, status="FAILED", name="renamed")
    assert client.get_run(child.info.run_id).info.run_name == "renamed"
    client.delete_experiment(experiment.experiment_id)
    assert client.get_run(child.info.run_id).info.lifecycle_stage == "deleted"
    client.restore_experiment(experiment.experiment_id)
    client.rename_experiment(experiment.experiment_id, "renamed")
    assert client.get_experiment_by_name("card fraud") is None
    with (
        pytest.raises(mlflow.exceptions.MlflowException, match="already logged"),
        mlflow.start_run(run_id=parent.info.run_id),
    ):
        mlflow.log_param("depth", 4)


def test_inputs_and_batches(session: str) -> None:
    client = MlflowClient()
    mlflow.set_experiment("Default")
    with mlflow.start_run() as run:
        features, labels = data()
        mlflow.log_input(
            mlflow.data.from_numpy(features, targets=labels, name="cards"), context="training", tags={"k": "v"}
        )
        mlflow.log_metrics({f"m{i}": float(i) for i in range(300)}, synchronous=False).wait()
        mlflow.log_metric("nan", float("nan"))
        mlflow.log_metric("inf", float("inf"))
    read = client.get_run(run.info.run_id)
    assert [(i.dataset.name, {t.key: t.value for t in i.tags}) for i in read.inputs.dataset_inputs] == [
        ("cards", {"k": "v", "mlflow.data.context": "training"})
    ]
    assert len(read.data.metrics) == 302
    assert read.data.metrics["inf"] == 1.7976931348623157e308  # as MLflow's own server has it
    assert np.isnan(read.data.metrics["nan"])
    assert (
        len(
            mlflow.search_runs(
                filter_string="dataset.name = 'cards' and dataset.context = 'training'", output_format="list"
            )
        )
        == 1
    )


def test_models_from_log_to_load(session: str, recorder: Recorder) -> None:
    warnings.simplefilter("ignore")
    features, labels = data()
    model = LogisticRegression().fit(features, labels)
    mlflow.set_experiment("models")
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            model,
            name="model",
            input_example=features[:2],
            registered_model_name="card fraud model",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
    client = MlflowClient()
    client.set_registered_model_alias("card fraud model", "champion", "1")
    client.set_registered_model_tag("card fraud model", "team", "cards and more")
    client.set_model_version_tag("card fraud model", "1", "checked", "yes")
    loaded = mlflow.pyfunc.load_model("models:/card fraud model@champion")
    assert (loaded.predict(features) == model.predict(features)).all()
    assert (mlflow.sklearn.load_model("models:/card fraud model/1").predict(features) == model.predict(features)).all()
    version = client.get_model_version("card fraud model", "1")
    assert version.run_id == run.info.run_id
    assert version.aliases == ["champion"]

    second = mlflow.register_model(f"runs:/{run.info.run_id}/model", "card fraud model")
    assert int(second.version) == 2
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "another model")
    found = client.search_registered_models(
        "name LIKE '%model' AND tags.team = 'cards and more'", order_by=["last_updated_timestamp DESC", "name ASC"]
    )
    assert [m.name for m in found] == ["card fraud model"]
    assert [m.name for m in client.search_registered_models(order_by=["name DESC", "timestamp ASC"])] == [
        "card fraud model",
        "another model",
    ]
    assert [
        v.version for v in client.search_model_versions("name = 'card fraud model'", order_by=["version_number ASC"])
    ] == ["1", "2"]
    logged = client.search_logged_models([run.info.experiment_id], "name = 'model'")
    assert json.loads(logged[0].tags["mlflow.modelVersions"])[0]["name"] == "card fraud model"
    assert ("DELETE", "/api/2.0/mlflow/registered-models/alias") not in touched(recorder)
    client.delete_registered_model_alias("card fraud model", "champion")
    client.transition_model_version_stage("card fraud model", "2", "Production")
    client.update_model_version("card fraud model", "2", "second")
    client.update_registered_model("card fraud model", "both")
    client.delete_model_version("card fraud model", "1")
    client.rename_registered_model("card fraud model", "cards")
    assert client.get_registered_model("cards").latest_versions[0].description == "second"
    client.delete_model_version_tag("cards", "2", "none")
    client.delete_registered_model_tag("cards", "team")
    client.delete_registered_model("another model")


def test_an_onnx_model(session: str) -> None:
    warnings.simplefilter("ignore")
    onnx = pytest.importorskip("skl2onnx")
    features, labels = data()
    model = LogisticRegression().fit(features, labels)
    mlflow.set_experiment("Default")
    graph = onnx.to_onnx(model, features[:1], options={"zipmap": False})
    with mlflow.start_run():
        signature = mlflow.models.infer_signature(features, model.predict(features))
        mlflow.onnx.log_model(
            graph, name="model", signature=signature, registered_model_name="onnx", pip_requirements=["onnxruntime"]
        )
    MlflowClient().set_registered_model_alias("onnx", "champion", "1")
    loaded = mlflow.pyfunc.load_model("models:/onnx@champion")
    said = loaded.predict(features)
    assert (np.asarray(said["label"]).ravel() == model.predict(features)).all()
