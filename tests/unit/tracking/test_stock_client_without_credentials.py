"""The stock client of somebody who comes with a token, and has no credentials of AWS: all artifacts go behind the API."""

from __future__ import annotations

import dataclasses
import logging
import random
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import boto3
import mlflow
import mlflow.tracking.request_header.registry as header_registry
import pytest
import requests
import responses
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.tracking import MlflowClient
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from sklearn.linear_model import LogisticRegression

from labcycle.client.mlflow_headers import LabcycleHeaderProvider
from labcycle_lambdas.tracking.artifacts import SIGNING, ArtifactStore
from labcycle_lambdas.tracking.routes import answer
from tests.unit.tracking.conftest import BUCKET, REGION, Api
from tests.unit.tracking.server import Recorder, serving, stock_client, subject
from tests.unit.tracking.test_stock_client import data

MIB = 1024**2


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def bucket(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactStore]:
    """The bucket over HTTP: moto's answers inside of `requests` break the repetition of a body after a redirect."""
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", responses._real_send)
    monkeypatch.setattr(logging.getLogger("werkzeug"), "disabled", True)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    client = boto3.client("s3", region_name=REGION, endpoint_url=endpoint, config=SIGNING)
    yield ArtifactStore(lambda: client, BUCKET)
    server.stop()


@pytest.fixture
def session(
    api: Api, bucket: ArtifactStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """The client is pointed at the function, with the wheel's header provider; calls are repeated at once."""
    for name, value in (
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
        ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
        ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
        ("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(MIB)),
        ("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 * MIB)),
        ("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(2 * MIB)),
    ):
        monkeypatch.setenv(name, value)
    registry = header_registry.RequestHeaderProviderRegistry()
    registry.register(LabcycleHeaderProvider)
    monkeypatch.setattr(header_registry, "_request_header_provider_registry", registry)
    answers = partial(answer, dataclasses.replace(api.ledgers, artifacts=bucket))
    with serving(answers, subject, recorder) as address, stock_client(address, monkeypatch, tmp_path):
        yield address
    assert [call for call in recorder.calls if call[2] >= 500] == []
    assert max(map(len, recorder.asked + recorder.bodies)) < MIB, "nothing large passed the function"


def test_artifacts_are_logged_listed_read_and_deleted(session: str, tmp_path: Path) -> None:
    mlflow.set_experiment("behind the API")
    folder = tmp_path / "folder"
    (folder / "deep er").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep er" / "größe+1 & 2.txt").write_text("ü")
    (folder / "empty").write_bytes(b"")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "f")
        mlflow.log_artifact(str(folder / "a.txt"), "single/place")
        mlflow.log_dict({"a": 1}, "config/a.json")
        mlflow.log_table({"x": [1, 2]}, "table.json")
    assert run.info.artifact_uri == f"mlflow-artifacts:/{run.info.experiment_id}/{run.info.run_id}/artifacts"
    client = MlflowClient()
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config", "f", "single", "table.json"]
    assert [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run.info.run_id, "f")] == [
        ("f/a.txt", False, 1),
        ("f/deep er", True, None),
        ("f/empty", False, 0),
    ]
    got = Path(
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="f", dst_path=str(tmp_path / "got"))
    )
    found = {str(path.relative_to(got)): path.read_bytes() for path in got.rglob("*") if path.is_file()}
    assert found == {"a.txt": b"a", "deep er/größe+1 & 2.txt": "ü".encode(), "empty": b""}
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/single/place/a.txt") == "a"
    assert list(mlflow.load_table("table.json", [run.info.run_id])["x"]) == [1, 2]
    MlflowArtifactsRepository(run.info.artifact_uri, session).delete_artifacts("single")
    assert client.list_artifacts(run.info.run_id, "single/place") == []
    with pytest.raises(Exception, match="Failed to download"):
        mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/single/place/a.txt")


def test_a_model_is_logged_registered_and_loaded(session: str) -> None:
    warnings.simplefilter("ignore")
    features, labels = data()
    model = LogisticRegression().fit(features, labels)
    mlflow.set_experiment("models")
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name="cards",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
    MlflowClient().set_registered_model_alias("cards", "champion", "1")
    loaded = mlflow.pyfunc.load_model("models:/cards@champion")
    assert (loaded.predict(features) == model.predict(features)).all()


def large(path: Path, mebibytes: int) -> bytes:
    content = random.Random(5).randbytes(mebibytes * MIB + 3)
    path.write_bytes(content)
    return content


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(
    session: str, api: Api, recorder: Recorder, tmp_path: Path
) -> None:
    content = large(tmp_path / "weights.bin", 6)
    mlflow.set_experiment("large")
    with mlflow.start_run() as run:
        recorder.lose += [f"/{run.info.run_id}/artifacts/w"] * 2
        mlflow.log_artifact(str(tmp_path / "weights.bin"), "w")
    assert recorder.lose == [], "the answers to its beginning and to its end were lost"
    got = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="w/weights.bin", dst_path=str(tmp_path / "got")
    )
    assert Path(got).read_bytes() == content
    asked = [
        path.split("/mlflow-artifacts/")[1].split("/")[:2] for _, path, _ in recorder.calls if "-artifacts/" in path
    ]
    assert ["mpu", "complete"] in asked and [p[0] for p in asked].count("presigned") == 1
    key = f"experiments/{run.info.experiment_id}/{run.info.run_id}/artifacts/w/weights.bin"
    assert len(api.s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]) == 1


def test_an_upload_that_fails_half_way_is_given_up(
    session: str, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers 403 to an address that is too old; the client then aborts."""
    large(tmp_path / "weights.bin", 6)
    sent = requests.put

    def put(url: str, **more: object) -> requests.Response:
        answer = sent(url, **more)  # type: ignore[arg-type]
        if "partNumber=2" in url:
            answer.status_code, answer.reason = 403, "Request has expired"
        return answer

    monkeypatch.setattr(requests, "put", put)
    mlflow.set_experiment("large")
    with mlflow.start_run() as run, pytest.raises(mlflow.exceptions.MlflowException, match="at least one part"):
        mlflow.log_artifact(str(tmp_path / "weights.bin"))
    assert "Uploads" not in api.s3.list_multipart_uploads(Bucket=BUCKET)
    assert MlflowClient().list_artifacts(run.info.run_id) == []


def test_a_call_whose_answer_is_lost_leaves_one_object(session: str, recorder: Recorder) -> None:
    client = MlflowClient()
    recorder.lose += [
        "/experiments/create",
        "/runs/create",
        "/mlflow/logged-models",
        "/registered-models/create",
        "/model-versions/create",
        "/runs/delete-tag",
        "/registered-models/rename",
        "/model-versions/delete",
        "/registered-models/delete",
        "/experiments/delete",
        "/experiments/restore",
    ]
    experiment = client.create_experiment("lossy")
    run = client.create_run(experiment, tags={"k": "v"})
    client.log_text(run.info.run_id, "x", "m/MLmodel")
    logged = client.create_logged_model(experiment, "m")
    client.create_registered_model("cards")
    version = client.create_model_version("cards", f"{run.info.artifact_uri}/m", run.info.run_id)
    assert version.version in (1, "1")
    client.delete_tag(run.info.run_id, "k")
    assert [found.info.run_id for found in client.search_runs([experiment])] == [run.info.run_id]
    assert [found.model_id for found in client.search_logged_models([experiment])] == [logged.model_id]
    assert len(client.search_model_versions("name = 'cards'")) == 1
    client.rename_registered_model("cards", "new")
    client.delete_model_version("new", "1")
    client.delete_registered_model("new")
    client.delete_experiment(experiment)
    client.restore_experiment(experiment)
    assert recorder.lose == []
    assert len(client.search_experiments(filter_string="name = 'lossy'")) == 1
