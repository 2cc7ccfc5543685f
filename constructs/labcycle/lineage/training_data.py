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
        If nothing was given and no data set of the run says where it lies, or there is no CSV file; if two data sets have a
        file of the same name, since a recipe reads one folder; or if a file cannot be read.
    ArtifactError
        If S3 does not give it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if given is not None:
        _copy(given, folder)
    else:
        _download(run, inputs, artifacts, folder)
    return _digests(inputs, folder)


def _copy(given: Path, folder: Path) -> None:
    files = sorted(given.glob(f"*{_SUFFIX}")) if given.is_dir() else [given]
    if not files or not all(file.is_file() and file.suffix == _SUFFIX for file in files):
        raise CannotReproduce(f"--data {given}: there is no such CSV file (*{_SUFFIX}), nor a folder with some.")
    for file in files:
        try:
            shutil.copy(file, folder / file.name)
        except OSError as error:
            raise CannotReproduce(f"--data {file} cannot be read: {error.strerror}.") from None


def _download(run: Run, inputs: Sequence[Input], artifacts: Artifacts, folder: Path) -> None:
    places = [item["location"] for item in _training(inputs) if item["location"]]
    if not places:
        raise CannotReproduce(
            f"no data set of run {run.run_id} says where it lies. Give its CSV files: --data PATH. In new runs, name the "
            f"source: mlflow.log_input(mlflow.data.from_pandas(frame, source='s3://...'))."
        )
    names: set[str] = set()
    for place in dict.fromkeys(places):
        if not place.startswith("s3://"):
            raise CannotReproduce(f"the data lies at {place}, which cannot be fetched from here. Give it: --data PATH.")
        content = artifacts.read(place, "") if place.endswith(_SUFFIX) else None
        if content is not None:
            found = [place.rpartition("/")[2]]
            (folder / found[0]).write_bytes(content)
        else:
            found = artifacts.download(place, folder)
        if not found:
            raise CannotReproduce(f"the data of run {run.run_id} is not at {place} any more. Give it: --data PATH.")
        if twice := sorted(names.intersection(found)):
            raise CannotReproduce(
                f"two data sets of run {run.run_id} have a file {twice[0]} ({', '.join(places)}), and a recipe reads one "
                f"folder. Give the files under names of their own: --data FOLDER."
            )
        names.update(found)
    if not list(folder.glob(f"*{_SUFFIX}")):
        raise CannotReproduce(f"there is no CSV file at {', '.join(places)}. Give the data: --data PATH.")


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
    found = set()
    for file in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            found.add(compute_pandas_digest(pd.read_csv(file)))
        except ValueError as error:  # pandas' own errors are kinds of it
            raise CannotReproduce(
                f"{file.name} is no CSV file with a heading: {error}. Give it: --data PATH."
            ) from None
    if found == wanted:
        return []
    return [
        f"the data is not what the run read: its digest is {', '.join(sorted(found))}, not {', '.join(sorted(wanted))}"
    ]
