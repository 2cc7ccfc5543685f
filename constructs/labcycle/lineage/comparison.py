"""Two runs side by side: what differs in what they were made of, and in what came out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labcycle.client import record
from labcycle.client.uncommitted import GitFailed, find_checkout, git, is_commit
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.libraries import differences, lock_of
from labcycle.lineage.runs_client import Run, RunsClient

_ENVIRONMENT = {"python": record.PYTHON, "platform": record.PLATFORM, "image": record.IMAGE, "gpu": record.GPU}
# Of these tags the platform's and MLflow's book-keeping is made; what matters of it is compared as code and environment.
_BOOKKEEPING = ("mlflow.", "lineage.", "labcycle.")
_TELLING = {"mlflow.note.content", "mlflow.source.name", "mlflow.parentRunId"}


def compare(client: RunsClient, artifacts: Artifacts, a: Run, b: Run, checkout: Path) -> dict[str, Any]:
    """`params`, `metrics`, `tags`, `code`, `data`, `libraries`, `environment`: what differs, as pairs of values.

    Parameters
    ----------
    checkout
        Where both commits are in the git checkout of this folder, the files that changed between them are told.

    Raises
    ------
    ApiError, ArtifactError
        If something cannot be read.
    """
    return {
        "a": _head(a),
        "b": _head(b),
        "params": _pairs(a.params, b.params),
        "metrics": metrics(a.metrics, b.metrics),
        "tags": _pairs(_tags(a), _tags(b)),
        "code": _code(a, b, checkout),
        "data": _pairs(_data(a), _data(b)),
        "libraries": _libraries(client, artifacts, a, b),
        "environment": _pairs(_environment(a), _environment(b)),
    }


def metrics(a: Mapping[str, float], b: Mapping[str, float]) -> list[dict[str, Any]]:
    """Every metric of either, with the difference where both have it; NaN and infinities as text."""
    return [
        {
            "key": key,
            "a": number(a.get(key)),
            "b": number(b.get(key)),
            "difference": number(b[key] - a[key]) if key in a and key in b else None,
        }
        for key in sorted(a.keys() | b.keys())
    ]


def number(value: float | None) -> float | str | None:
    """As MLflow writes it in JSON."""
    if value is None or value - value == 0:
        return value
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]


def _head(run: Run) -> dict[str, Any]:
    fields = ("run_id", "name", "status", "lifecycle_stage", "user_id", "start_time", "experiment_id")
    return {name: getattr(run, name) for name in fields}


def _pairs(a: dict[str, str], b: dict[str, str]) -> dict[str, Any]:
    different = differences(a, b)
    return {
        "different": [{"key": key, "a": left, "b": right} for key, (left, right) in different.items()],
        "same": len(a.keys() | b.keys()) - len(different),
    }


def _tags(run: Run) -> dict[str, str]:
    return {k: v for k, v in run.tags.items() if k in _TELLING or not k.startswith(_BOOKKEEPING)}


def _data(run: Run) -> dict[str, str]:
    """The digests of each name, which MLflow calls `dataset` where none was given."""
    found: dict[str, set[str]] = {}
    for dataset in run.datasets:
        key = f"{dataset.name} ({dataset.context or 'no context'})"
        found.setdefault(key, set()).add(dataset.digest or "no digest")
    return {key: ", ".join(sorted(digests)) for key, digests in found.items()}


def _environment(run: Run) -> dict[str, str]:
    return {name: run.tags[tag] for name, tag in _ENVIRONMENT.items() if run.tags.get(tag)}


def _code(a: Run, b: Run, checkout: Path) -> dict[str, Any]:
    commits = [run.tags.get(record.COMMIT) or None for run in (a, b)]
    changes = [run.tags.get(record.UNCOMMITTED) or None for run in (a, b)]
    left_out = [(run, run.tags[record.LEFT_OUT]) for run in (a, b) if run.tags.get(record.LEFT_OUT)]
    recorded_same = None not in (*commits, *changes) and commits[0] == commits[1] and changes[0] == changes[1]
    return {
        "commit": {"a": commits[0], "b": commits[1]},
        "uncommitted": {"a": changes[0], "b": changes[1]},
        "same": recorded_same and not left_out,
        "unknown": [f"what run {run.run_id} left out is not known: {names}" for run, names in left_out],
        "files": _files(checkout, *commits) if all(commits) and commits[0] != commits[1] else None,
    }


def _files(folder: Path, old: str | None, new: str | None) -> list[str] | None:
    """What changed from commit to commit, a line a file; None where this checkout does not have both."""
    try:
        checkout = find_checkout(folder)
        if checkout is None or not (is_commit(old) and is_commit(new)):
            return None
        told = git(checkout.root, "diff", "--no-ext-diff", "--name-status", str(old), str(new), "--")
    except GitFailed:
        return None
    return told.decode(errors="replace").splitlines()


def _libraries(client: RunsClient, artifacts: Artifacts, a: Run, b: Run) -> dict[str, Any]:
    locks, unknown = [], []
    for run in (a, b):
        try:
            found = lock_of(client, artifacts, run)
        except LabcycleError as error:
            found = None
            unknown.append(str(error))
        else:
            if found is None:
                unknown.append(f"run {run.run_id} recorded no libraries")
        locks.append(found)
    left, right = locks
    if left is None or right is None:
        return {"different": [], "same": 0, "unknown": unknown}
    if left.whole != right.whole:
        unknown.append("one run recorded all packages, the other only what its model needs")
    return {**_pairs(left.packages(), right.packages()), "unknown": unknown}
