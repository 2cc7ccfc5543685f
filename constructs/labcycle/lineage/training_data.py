"""The data of a run, fetched from where the run says it lies, or given."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.cannot_reproduce import CannotReproduce
from labcycle.lineage.runs_client import Run

_SUFFIX = ".csv"
Input = Mapping[str, str]  # of the API: name, digest, location, context


def fetch(run: Run, inputs: Sequence[Input], artifacts: Artifacts, given: Path | None, folder: Path) -> list[str]:
    """The CSV files of the run's training data, into `folder`; what is to be said of them, a sentence each.

    `inputs` are the data sets of the run, as the API tells them.

    Raises
    ------
    CannotReproduce
        If nothing was given and no data set of the run says where it lies, or there is no CSV file.
    ArtifactError
        If S3 does not give it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if given is not None:
        files = sorted(given.glob(f"*{_SUFFIX}")) if given.is_dir() else [given] if given.is_file() else []
        if not files:
            raise CannotReproduce(f"--data {given}: there is no such CSV file, nor a folder with some.")
        for file in files:
            shutil.copy(file, folder / file.name)
        return _digests(inputs, folder)
    places = [item["location"] for item in _training(inputs) if item["location"]]
    if not places:
        raise CannotReproduce(
            f"no data set of run {run.run_id} says where it lies. Give its CSV files: --data PATH. In new runs, name the "
            f"source: mlflow.log_input(mlflow.data.from_pandas(frame, source='s3://...'))."
        )
    for place in dict.fromkeys(places):
        if not place.startswith("s3://"):
            raise CannotReproduce(f"the data lies at {place}, which cannot be fetched from here. Give it: --data PATH.")
        content = artifacts.read(place, "") if place.endswith(_SUFFIX) else None
        if content is not None:
            (folder / place.rpartition("/")[2]).write_bytes(content)
        elif not artifacts.download(place, folder):
            raise CannotReproduce(f"the data of run {run.run_id} is not at {place} any more. Give it: --data PATH.")
    if not list(folder.glob(f"*{_SUFFIX}")):
        raise CannotReproduce(f"there is no CSV file at {', '.join(places)}. Give the data: --data PATH.")
    return _digests(inputs, folder)


def _training(inputs: Sequence[Input]) -> Sequence[Input]:
    """The inputs of the training; all, where none says that it is."""
    return [item for item in inputs if item["context"].startswith("train")] or inputs


def _digests(inputs: Sequence[Input], folder: Path) -> list[str]:
    """Whether the files are the recorded ones, as MLflow computes it; only where pandas and mlflow are installed."""
    wanted = {item["digest"] for item in _training(inputs) if item["digest"]}
    if not wanted:
        return ["the run recorded no digest of its data"]
    try:
        import pandas as pd
        from mlflow.data.digest_utils import compute_pandas_digest
    except ImportError:
        return ["the data was not held against its digest: that takes mlflow and pandas"]
    found = {compute_pandas_digest(pd.read_csv(file)) for file in sorted(folder.glob(f"*{_SUFFIX}"))}
    if found <= wanted:
        return []
    return [
        f"the data is not what the run read: its digest is {', '.join(sorted(found))}, not {', '.join(sorted(wanted))}"
    ]
