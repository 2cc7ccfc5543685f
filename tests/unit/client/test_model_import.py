"""`labcycle models import`: models that were built elsewhere, over HTTP and into the bucket."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import model_import, onnx_file
from labcycle.client.onnx_file import NoOnnx
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import ArtifactError, Artifacts
from labcycle_lambdas.ledger.custody import Custody
from tests.unit.lineage.conftest import Team
from tests.unit.serving.workshop import classifier, mixed, regressor, with_external_weights
from tests.unit.tracking.conftest import BUCKET


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", "import", *(str(word) for word in words)])


def folder_of(place: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "bought", classifier().files())


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    file = tmp_path / "bought.onnx"
    file.write_bytes(regressor().content["model.onnx"])
    return file


def test_a_folder_becomes_a_version_that_can_go_live(team: Team, folder: Path) -> None:
    result = call(folder, "--name", "cards", "--note", "from the vendor", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["model"], said["version"]) == ("cards", 1)
    assert {"code", "data", "parameters"} <= set(said["missing"])
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in classifier().files().items()}
    assert {file["path"]: file["sha256"] for file in said["files"]} == digests
    version = team.api.ledgers.registry.version("cards", 1)
    assert {file.path for file in version.files} == digests.keys()
    assert (version.description, version.user_id, version.run_id) == ("from the vendor", "scientist-1", said["run_id"])
    run = team.api.ledgers.runs.get(said["run_id"])
    assert (run.status, run.tags["lineage.imported_from"]) == ("FINISHED", "from the vendor")
    root = run.artifact_uri.removeprefix(f"s3://{BUCKET}/")
    record = team.api.s3.get_object(Bucket=BUCKET, Key=f"{root}/lineage/imported.json")["Body"].read()
    assert run.tags["lineage.imported_files"] == hashlib.sha256(record).hexdigest()
    assert team.api.ledgers.experiments.get(run.experiment_id).name == "imported"
    assert team.get(f"runs/{run.run_id}/completeness")["complete"] is False
    team.promote("cards", 1)
    assert Custody(team.table).events("model/cards")[-1].action == "promoted"


def test_a_graph_becomes_a_model_that_the_stock_client_loads(team: Team, graph: Path) -> None:
    for number in (1, 2):
        result = call(graph, "--name", "prices")
        assert result.exit_code == 0, result.output
        assert f"prices: version {number} is registered" in result.stdout
        assert "incomplete: its record lacks code, data, parameters" in result.stdout
    loaded = mlflow.pyfunc.load_model("models:/prices/2")
    rows = np.asarray([[1, 2, 3]], np.float32)
    (answer,) = loaded.predict(rows).values()
    assert answer.ravel() == pytest.approx(regressor().estimator.predict(rows).ravel(), abs=1e-4)
    deployed = team.lifecycle.preflight.prepare("prices", 2)
    assert deployed.signature is not None and deployed.signature["inputs"][0]["tensor-spec"]["shape"] == [-1, 3]


def test_where_a_file_cannot_be_sent_the_run_failed_and_nothing_is_registered(
    team: Team, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def write(self: Artifacts, root: str, path: str, file: object) -> None:
        assert root.startswith("s3://")
        sent.append(path)
        raise ArtifactError("no way")

    monkeypatch.setattr(Artifacts, "upload", write)
    result = call(folder, "--name", "cards")
    assert (result.exit_code, len(sent)) == (2, 1)
    assert "no way" in result.stderr
    experiment = team.api.ledgers.experiments.get_by_name("imported").experiment_id
    (run,) = team.api.ledgers.runs.of_experiment(experiment)
    assert run.status == "FAILED"
    assert team.api.call("GET", "registered-models/get", {"name": "cards"})[0] == 404


def bad(folder: Path) -> dict[str, tuple[Path, str]]:
    """What is brought in, and what is told."""
    text = folder / "model.pkl"
    text.write_bytes(b"x")
    cut = folder / "cut.onnx"
    cut.write_bytes(regressor().content["model.onnx"][:-9])
    words = folder / "words.onnx"
    words.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    external = folder_of(folder / "external", with_external_weights().files()) / "model.onnx"
    found = {
        "nothing there": (folder / "none", "is not there"),
        "another file": (text, "neither a folder nor an .onnx file"),
        "another folder": (folder, "holds no file MLmodel"),
        "cut": (cut, "no ONNX model, or was cut off"),
        "a pointer of git": (words, "no ONNX model, or was cut off"),
        "weights elsewhere": (external, "keeps its weights in other files"),
        "no YAML": (folder_of(folder / "a", {"MLmodel": b"a: [b"}), "is not valid YAML"),
        "no flavors": (folder_of(folder / "b", {"MLmodel": b"a: b"}), "names no flavors"),
    }
    assert list(found) == CASES
    return found


CASES = [
    *("nothing there", "another file", "another folder", "cut", "a pointer of git"),
    *("weights elsewhere", "no YAML", "no flavors"),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_model_is_refused_before_anything_is_sent(team: Team, tmp_path: Path, case: str) -> None:
    source, told = bad(tmp_path)[case]
    result = call(source, "--name", "cards")
    assert result.exit_code == 2
    assert told in result.stderr and source.name in result.stderr
    assert team.api.call("GET", "experiments/get-by-name", {"experiment_name": "imported"})[0] == 404


def test_what_is_too_large_is_refused(team: Team, folder: Path, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_import, "MOST_BYTES", 100)
    for source in (folder, graph):
        assert "is too large" in call(source, "--name", "cards").stderr
    monkeypatch.setattr(model_import, "MOST_FILES", 2)
    assert "more than 2 files" in call(folder, "--name", "cards").stderr


def test_nothing_from_outside_of_the_folder_is_sent(team: Team, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("x")
    for name, target in (("file", "../secret/key"), ("folder", "../secret"), ("gone", "../none")):
        (folder / name).symlink_to(target)
        result = call(folder, "--name", "cards")
        assert result.exit_code == 2 and "is a link to another place" in result.stderr
        (folder / name).unlink()
    os.mkfifo(folder / "pipe")
    assert "is no plain file" in call(folder, "--name", "cards").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--name", "a/b"], "no name of a registered model"), (["--name", "m", "--note", "x" * 1_001], "1001")],
)
def test_a_name_or_note_that_cannot_be_is_refused(team: Team, folder: Path, words: list[str], told: str) -> None:
    result = call(folder, *words)
    assert result.exit_code == 2 and told in result.stderr


def test_a_deleted_experiment_is_told(team: Team, folder: Path) -> None:
    made = team.api.ok("POST", "experiments/create", {"name": "imported"})["experiment_id"]
    team.api.ok("POST", "experiments/delete", {"experiment_id": made})
    assert "is deleted: restore it first" in call(folder, "--name", "cards").stderr


def test_an_onnx_file_tells_what_it_takes() -> None:
    read = onnx_file.read(mixed().content["model.onnx"])
    specs = [(one["name"], one["tensor-spec"]) for one in read.inputs or []]
    assert specs == [
        ("amount", {"dtype": "float32", "shape": [-1, 1]}),
        ("kind", {"dtype": "str", "shape": [-1, 1]}),
    ]
    model = onnx.load_from_string(mixed().content["model.onnx"])
    assert (read.ir_version, read.external) == (model.ir_version, False)
    assert read.opsets == {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    assert read.producer == f"{model.producer_name} {model.producer_version}"


def test_where_onnx_is_missing_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(LabcycleError, match=r"pip install 'labcycle\[onnx\]'"):
        onnx_file.read(b"")


def test_weights_are_no_inputs_and_what_is_no_tensor_gives_no_signature() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    w = helper.make_tensor_value_info("w", TensorProto.FLOAT, [2])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    node = helper.make_node("Add", ["x", "w"], ["y"])

    def inputs(*taken: Any) -> Any:
        made = helper.make_graph([node], "g", list(taken), [y], [weights])
        return onnx_file.read(helper.make_model(made).SerializeToString()).inputs

    assert [one["name"] for one in inputs(x, w)] == ["x"]
    assert inputs(x, helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)) is None
    assert inputs(helper.make_tensor_value_info("b", TensorProto.BFLOAT16, [1])) is None
    assert inputs(helper.make_tensor_value_info("u", TensorProto.FLOAT, None)) is None


def test_whatever_the_bytes_are_they_are_read_or_refused() -> None:
    content = regressor().content["model.onnx"]
    generator = np.random.default_rng(7)
    for _ in range(300):
        broken = bytearray(content)
        for place in generator.integers(0, len(broken), 3):
            broken[place] = generator.integers(0, 256)
        try:
            onnx_file.read(bytes(broken))
        except NoOnnx:
            continue
