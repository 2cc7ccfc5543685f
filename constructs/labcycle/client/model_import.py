"""Bring in a model that was built elsewhere: an MLflow model folder, or an ONNX file.

It is logged into a run of its own with what is known of it, and registered from there. What nobody recorded stays missing:
`labcycle runs parts` names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labcycle.client import onnx_file
from labcycle.client.api import ApiError, model_path
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.runs_client import RunsClient

EXPERIMENT = "imported"
MLMODEL, GRAPH = "MLmodel", "model.onnx"
MOST_BYTES = 2_000_000_000  # a model server has 10 GB of memory at most, and holds the files five times
MOST_FILES = 5_000  # of a registered version
MLMODEL_BYTES = 2_000_000
NOTE_CHARACTERS = 1_000
RECORD = "lineage/imported.json"
IMPORTED, NOTE, FILES = "lineage.imported", "lineage.imported_from", "lineage.imported_files"
_MLFLOW = "/api/2.0/mlflow"
_CHUNK_BYTES = 1 << 20


class CannotImport(LabcycleError):
    """It is no model that can be brought in; the message says why, and what can."""


@dataclass(frozen=True)
class ImportedFile:
    """`path` within the model; `size` in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Imported:
    """`missing` are the parts of its run that nobody recorded."""

    model: str
    version: int
    run_id: str
    files: list[ImportedFile]
    missing: list[str]


def import_model(
    client: RunsClient, artifacts: Artifacts, source: Path, name: str, note: str, say: Callable[[str], object]
) -> Imported:
    """Check it, log it, register it as a new version of `name`.

    Raises
    ------
    CannotImport
        If it is no model, or too large; nothing was sent then.
    ApiError, ArtifactError
        If it cannot be sent; its run is marked as failed.
    """
    model_path(name)
    if len(note) > NOTE_CHARACTERS:
        raise CannotImport(f"--note: got {len(note)} characters; allowed {NOTE_CHARACTERS}. Shorten it")
    with tempfile.TemporaryDirectory(prefix="labcycle-import-") as place:
        paths = _of_folder(source) if source.is_dir() else _of_file(source, Path(place))
        files = [_digest(path, file) for path, file in paths.items()]
        say(f"{len(files)} files, {sum(file.size for file in files) / 1e6:.1f} MB")
        run_id = client.create(_experiment(client), _tags(source, note, files), name=source.resolve().name)
        try:
            version = _log(client, artifacts, run_id, paths, files, name, note, say)
        except BaseException:
            _fail(client, run_id)
            raise
    missing = [part["name"] for part in client.completeness(run_id)["parts"] if part["state"] != "found"]
    return Imported(name, version, run_id, files, missing)


def _of_folder(folder: Path) -> dict[str, Path]:
    """Path within the model, and file."""
    found = folder / MLMODEL
    if not found.is_file():
        raise CannotImport(
            f"{folder} is no MLflow model: it holds no file {MLMODEL}. Name the folder that mlflow.*.save_model wrote, "
            f"or an .onnx file"
        )
    paths = _files_of(folder)
    _check_size(folder, sum(file.stat().st_size for file in paths.values()))
    if found.stat().st_size > MLMODEL_BYTES:
        raise CannotImport(f"{found} has {found.stat().st_size} bytes; allowed are {MLMODEL_BYTES}. It is no {MLMODEL}")
    try:
        described = yaml.safe_load(found.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CannotImport(f"{found} is not valid YAML: {str(error)[:200]}") from None
    if not isinstance(described, dict) or not isinstance(described.get("flavors"), dict) or not described["flavors"]:
        raise CannotImport(f"{found} names no flavors: it is no MLflow model")
    return dict(sorted(paths.items()))


def _files_of(folder: Path) -> dict[str, Path]:
    inside, paths = folder.resolve(), dict[str, Path]()
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        for file in (Path(place) / name for name in (*folders, *names)):
            if not file.resolve().is_relative_to(inside) or (file.is_symlink() and file.is_dir()):
                raise CannotImport(f"{file} is a link to another place: put the files themselves into the folder")
            if file.is_dir():
                continue
            if not file.is_file():
                raise CannotImport(f"{file} is no plain file: take it out of the folder")
            paths[file.relative_to(folder).as_posix()] = file
        if len(paths) > MOST_FILES:
            raise CannotImport(
                f"{folder}: more than {MOST_FILES} files, which no version holds. Is it the right folder?"
            )
    return paths


def _unreadable(error: OSError) -> None:
    raise CannotImport(f"{error.filename} cannot be read: {error.strerror}")


def _of_file(file: Path, place: Path) -> dict[str, Path]:
    """As an MLflow model that holds the graph: its MLmodel is written into `place`."""
    if not file.exists():
        raise CannotImport(f"{file} is not there: name the folder of an MLflow model, or an .onnx file")
    if not file.is_file() or file.suffix.lower() != ".onnx":
        raise CannotImport(
            f"{file} is neither a folder nor an .onnx file. Convert the model to ONNX (skl2onnx, torch.onnx.export), or "
            f"save it with MLflow and name the folder"
        )
    _check_size(file, file.stat().st_size)
    try:
        graph = onnx_file.read(file.read_bytes())
    except onnx_file.NoOnnx as error:
        raise CannotImport(f"{file} cannot be brought in: {error}") from None
    if graph.external:
        raise CannotImport(
            f"{file} keeps its weights in other files. Save it as a whole with mlflow.onnx.save_model, and name the folder"
        )
    described: dict[str, Any] = {
        "flavors": {
            "onnx": {"data": GRAPH, "code": None, "providers": ["CPUExecutionProvider"]},
            "python_function": {"loader_module": "mlflow.onnx", "data": GRAPH},
        },
        "metadata": {"ir_version": graph.ir_version, "opsets": graph.opsets, "producer": graph.producer},
    }
    if graph.inputs:
        described["signature"] = {"inputs": json.dumps(graph.inputs), "outputs": None, "params": None}
    (place / MLMODEL).write_text(yaml.safe_dump(described, sort_keys=False))
    return {MLMODEL: place / MLMODEL, GRAPH: file}


def _check_size(source: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise CannotImport(
            f"{source} is too large: {size / 1e9:.1f} GB; allowed are {MOST_BYTES / 1e9:.0f} GB, since no model server "
            f"could hold more. Leave out what the model does not need, or quantise it"
        )


def _digest(path: str, file: Path) -> ImportedFile:
    digest, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise CannotImport(f"{file} cannot be read: {error.strerror}") from None
    return ImportedFile(path, size, digest.hexdigest())


def _experiment(client: RunsClient) -> str:
    query = {"experiment_name": EXPERIMENT}
    try:
        found = client.call("GET", f"{_MLFLOW}/experiments/get-by-name", query=query)["experiment"]
    except ApiError as error:
        if error.status != 404:
            raise
        try:
            return str(client.call("POST", f"{_MLFLOW}/experiments/create", body={"name": EXPERIMENT})["experiment_id"])
        except ApiError as taken:
            if taken.code != "RESOURCE_ALREADY_EXISTS":  # somebody else imports for the first time
                raise
        found = client.call("GET", f"{_MLFLOW}/experiments/get-by-name", query=query)["experiment"]
    if found["lifecycle_stage"] != "active":
        raise LabcycleError(
            f"the experiment {EXPERIMENT} is deleted: restore it first (mlflow experiments restore "
            f"--experiment-id {found['experiment_id']})"
        )
    return str(found["experiment_id"])


def _tags(source: Path, note: str, files: list[ImportedFile]) -> dict[str, str]:
    return {
        IMPORTED: "true",
        FILES: hashlib.sha256(_record(files)).hexdigest(),
        "mlflow.source.name": f"labcycle models import {source.resolve().name}",
        **({NOTE: note} if note else {}),
    }


def _record(files: list[ImportedFile]) -> bytes:
    return json.dumps([vars(file) for file in files], indent=2).encode()


def _log(
    client: RunsClient,
    artifacts: Artifacts,
    run_id: str,
    paths: dict[str, Path],
    files: list[ImportedFile],
    name: str,
    note: str,
    say: Callable[[str], object],
) -> int:
    run = client.run(run_id)
    artifacts.write(run.artifact_uri, RECORD, _record(files))
    body = {"experiment_id": run.experiment_id, "name": "model", "source_run_id": run_id}
    model_id = str(client.call("POST", f"{_MLFLOW}/logged-models", body=body)["model"]["info"]["model_id"])
    root = client.model_uri(model_id)
    for path, file in paths.items():
        say(f"sending {path}")
        artifacts.upload(root, path, file)
    ready = {"model_id": model_id, "status": "LOGGED_MODEL_READY"}
    client.call("PATCH", f"{_MLFLOW}/logged-models/{model_id}", body=ready)
    outputs = {"run_id": run_id, "models": [{"model_id": model_id, "step": 0}]}
    client.call("POST", f"{_MLFLOW}/runs/outputs", body=outputs)
    client.set_status(run_id, "FINISHED")
    _ensure_model(client, name)
    asked = {
        "name": name,
        "source": f"models:/{model_id}",
        "run_id": run_id,
        "model_id": model_id,
        "description": note,
        "tags": [{"key": IMPORTED, "value": "true"}],
    }
    made = client.call("POST", f"{_MLFLOW}/model-versions/create", body=asked)
    return int(made["model_version"]["version"])


def _ensure_model(client: RunsClient, name: str) -> None:
    try:
        client.call("POST", f"{_MLFLOW}/registered-models/create", body={"name": name})
    except ApiError as error:
        if error.code != "RESOURCE_ALREADY_EXISTS":
            raise


def _fail(client: RunsClient, run_id: str) -> None:
    try:
        client.set_status(run_id, "FAILED")
    except LabcycleError:
        return  # what went wrong first is told
