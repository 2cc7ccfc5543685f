"""What a run is made of, in six parts: code, data, parameters, environment, libraries, results.

Pure: from what is recorded of a run to what can be told of it, and what cannot. Most of it the stock client sends by
itself; `labcycle.client.record.snapshot` adds the tags that begin with `lineage.`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

PARTS = ("code", "data", "parameters", "environment", "libraries", "results")
State = Literal["found", "partial", "missing"]

# MLflow's own: mlflow/utils/mlflow_tags.py
COMMIT = "mlflow.source.git.commit"
SOURCE = "mlflow.source.name"
IMAGE_TAGS = ("mlflow.docker.image.id", "mlflow.docker.image.uri")
# Ours; the artifacts of the same names lie below `lineage/`.
UNCOMMITTED = "lineage.uncommitted"  # SHA-256 of the diff, or CLEAN
CLEAN = "none"
LEFT_OUT = "lineage.left_out"
REQUIREMENTS = "lineage.requirements"  # SHA-256 of the lock
PYTHON, PLATFORM, IMAGE = "lineage.python", "lineage.platform", "lineage.image"
# What the reaction to drift records of a run that it made (reaction/register.py).
TRAINING_JOB, TRAINING_DATA = "labcycle.trainingJob", "labcycle.trainingData"

_SNAPSHOT = "call labcycle.client.record.snapshot() in the run"
_LOG_INPUT = "mlflow.log_input(mlflow.data.from_pandas(frame, source='s3://...', name='...'), context='training')"
_LOCATIONS = ("uri", "url", "path")  # mlflow/data/*_dataset_source.py, to_dict
_SHOWN = 5


@dataclass(frozen=True)
class Input:
    """A data set that the run used. `location` is "" where nothing says from where it can be read again."""

    name: str
    digest: str
    source_type: str
    location: str
    context: str


@dataclass(frozen=True)
class Model:
    """A model that the run logged. `python` is the version its environment names, "" where it names none."""

    model_id: str
    requirements: bool
    python: str


@dataclass(frozen=True)
class Record:
    """What is recorded of a run. `recipe`: it carries the artifact recipe/train.py."""

    status: str
    params: Mapping[str, str]
    metrics: Sequence[str]
    tags: Mapping[str, str]
    inputs: Sequence[Input]
    models: Sequence[Model]
    recipe: bool


@dataclass(frozen=True)
class Part:
    """`evidence` and `lacking` are sentences; `supply` says how what is lacking would have been recorded."""

    name: str
    state: State
    evidence: list[str]
    lacking: list[str]
    supply: str


def parts(record: Record) -> list[Part]:
    """All six parts, in the order of `PARTS`."""
    found = (_code, _data, _parameters, _environment, _libraries, _results)
    return [find(record) for find in found]


def complete(found: Sequence[Part]) -> bool:
    return all(part.state == "found" for part in found)


def location(source: str) -> str:
    """Where a data set lies, out of the JSON that MLflow keeps of its source; "" where that names no place."""
    try:
        known = json.loads(source)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(known, dict):
        return ""
    return next((str(known[key]) for key in _LOCATIONS if isinstance(known.get(key), str) and known[key]), "")


def _code(record: Record) -> Part:
    tags, evidence, lacking = record.tags, [], []
    commit, uncommitted = tags.get(COMMIT), tags.get(UNCOMMITTED)
    if commit:
        evidence.append(f"commit {commit}")
    if uncommitted == CLEAN:
        evidence.append("no uncommitted changes")
    elif uncommitted:
        evidence.append(f"uncommitted changes in lineage/uncommitted.diff, SHA-256 {uncommitted}")
    if record.recipe:
        evidence.append("the recipe that built it, in the artifact folder recipe/")
    elif not commit:
        lacking.append("no commit and no recipe: nothing says which code ran")
    elif not uncommitted:
        lacking.append("whether there were changes that were not committed")
    if left_out := tags.get(LEFT_OUT):
        lacking.append(f"left out of the diff: {left_out}")
    if not evidence and tags.get(SOURCE):
        evidence.append(f"started as {tags[SOURCE]}")
    supply = f"run from a git checkout and {_SNAPSHOT}, or log the script with mlflow.log_artifacts(folder, 'recipe')"
    known = bool(commit or record.recipe)
    return _part("code", known, evidence, lacking, supply)


def _data(record: Record) -> Part:
    evidence, lacking = [], []
    for item in record.inputs[:_SHOWN]:
        said = f"{item.name}" + (f", {item.context}" if item.context else "")
        said += f", digest {item.digest}" if item.digest else ", without digest"
        evidence.append(said + (f", {item.location}" if item.location else ""))
    if len(record.inputs) > _SHOWN:
        evidence.append(f"and {len(record.inputs) - _SHOWN} more")
    trained_on = record.tags.get(TRAINING_DATA)
    if trained_on:
        evidence.append(f"everything at {trained_on}, when it was trained")
    if not record.inputs:
        lacking.append("the digest of the data" if trained_on else "no data set was logged")
    elif not any(item.digest for item in record.inputs):
        lacking.append("no data set has a digest")
    elif not any(item.digest and item.location for item in record.inputs):
        lacking.append("where the data lies: its source is the code that made it")
    known = bool(trained_on) or any(item.digest for item in record.inputs)
    return _part("data", known, evidence, lacking, f"call {_LOG_INPUT}")


def _parameters(record: Record) -> Part:
    names = sorted(record.params)
    evidence = [f"{len(names)} parameters: {_few(names)}"] if names else []
    lacking = [] if names else ["no parameter was logged"]
    return _part("parameters", bool(names), evidence, lacking, "call mlflow.log_params(...), or mlflow.autolog()")


def _environment(record: Record) -> Part:
    tags, evidence = record.tags, []
    image = tags.get(IMAGE) or next((tags[tag] for tag in IMAGE_TAGS if tags.get(tag)), "")
    if image:
        evidence.append(f"image {image}")
    python = tags.get(PYTHON) or next((model.python for model in record.models if model.python), "")
    if python:
        evidence.append(f"Python {python}")
    if tags.get(PLATFORM):
        evidence.append(tags[PLATFORM])
    job = tags.get(TRAINING_JOB)
    if job:
        evidence.append(f"training job {job}, whose description names the image")
    lacking = []
    if not image and not tags.get(PLATFORM):
        lacking.append("the platform, or the image that it ran in")
    if not image and not python:
        lacking.append("the version of Python")
    return _part("environment", bool(image or python or job), evidence, lacking, _SNAPSHOT)


def _libraries(record: Record) -> Part:
    evidence, lacking = [], []
    lock = record.tags.get(REQUIREMENTS)
    if lock:
        evidence.append(f"all installed packages in lineage/requirements.txt, SHA-256 {lock}")
    named = [model.model_id for model in record.models if model.requirements]
    if named:
        evidence.append(f"requirements.txt of the model {_few(named)}")
    if not lock:
        lacking.append(
            "the packages that were installed: the model names only what it needs itself"
            if named
            else "the packages that were installed"
        )
    return _part("libraries", bool(lock or named), evidence, lacking, _SNAPSHOT)


def _results(record: Record) -> Part:
    evidence, lacking = [], []
    if record.metrics:
        evidence.append(f"{len(record.metrics)} metrics: {_few(sorted(record.metrics))}")
    if record.models:
        evidence.append(f"models: {_few([model.model_id for model in record.models])}")
    if not record.metrics:
        lacking.append("no metric was logged")
    if record.status in ("RUNNING", "SCHEDULED"):
        lacking.append("the run has not ended")
    supply = "call mlflow.log_metrics(...), and end the run with mlflow.end_run()"
    return _part("results", bool(record.metrics or record.models), evidence, lacking, supply)


def _part(name: str, known: bool, evidence: list[str], lacking: list[str], supply: str) -> Part:
    state: State = "missing" if not known else "partial" if lacking else "found"
    return Part(name, state, evidence, lacking, supply if lacking else "")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
