"""The rows on which versions are compared: those that people checked and laid apart, else those that the recipe left out of its training.

The recipe's are of the data that it trained on: where that is wrong, so are they.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.model_server.data import Table as Rows
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.row_files import Unreadable, parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TARGET = "target"
MOST_BYTES = 50_000_000


def checked_prefix(model: str) -> str:
    """Where rows lie that people checked, in the team's artifact bucket: beside what is trained on, and no name of a model has a `_`."""
    return f"data/_holdout/{model}/"


@dataclass(frozen=True)
class Holdout:
    """`truth` has the target of each of `rows`; `checked`: people laid them there, else they are the recipe's."""

    rows: Rows
    truth: list[object]
    checked: bool


def holdout(s3: S3Client, bucket: str, model: str, run: Run) -> Holdout:
    """CSV files with a header, the target as the last column, below `checked_prefix`; where there are none, the artifact `holdout.json` of the
    run, a table with the column `target`.

    Raises
    ------
    CannotReact
        If what is there cannot be read.
    """
    prefix = checked_prefix(model)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = [one for page in pages for one in page.get("Contents", []) if one["Key"].endswith(".csv") and one["Size"]]
    if not there:
        return _of_recipe(s3, bucket, run)
    if (size := sum(one["Size"] for one in there)) > MOST_BYTES:
        raise CannotReact(
            f"the rows below s3://{bucket}/{prefix} have {size / 1e6:.0f} MB; at most {MOST_BYTES / 1e6:.0f} MB are read: lay fewer there"
        )
    names: list[str] = []
    lines: list[list[Any]] = []
    for key in sorted(one["Key"] for one in there):
        header, rows = _rows(f"s3://{bucket}/{key}", s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        if names and header != names:
            raise CannotReact(
                f"s3://{bucket}/{key} has other columns than the files before it: {', '.join(header)[:300]}"
            )
        names, lines = header, lines + rows
    if not lines or len(names) < 2:
        raise CannotReact(f"the files below s3://{bucket}/{prefix} need a feature before the target, and a row")
    return Holdout(Rows(names[:-1], [line[:-1] for line in lines]), [line[-1] for line in lines], checked=True)


def _rows(name: str, content: bytes) -> tuple[list[str], list[list[Any]]]:
    """The header and the rows of a CSV."""
    header: list[str] = []
    rows: list[list[Any]] = []
    try:
        for part in parts(io.BytesIO(content), name):
            header = part.header or []
            for row in part.rows:
                if row.refused:
                    raise CannotReact(f"row {row.number} of {name} is none: {row.refused}")
                rows.append([_value(cell) for cell in row.value])
    except Unreadable as error:
        raise CannotReact(f"{name} cannot be read: {error}") from None
    return header, rows


def _value(cell: str) -> Any:
    """What reads as a number is one; 1_000 does in Python alone."""
    for kind in () if "_" in cell else (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell or None


def _of_recipe(s3: S3Client, bucket: str, run: Run) -> Holdout:
    key = urlsplit(run.artifact_uri).path.strip("/") + "/holdout.json"
    text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        table = json.loads(text)
        columns, data = list(table["columns"]), list(table["data"])
        at = columns.index(TARGET)
        features = [name for name in columns if name != TARGET]
        rows = [[value for i, value in enumerate(row) if i != at] for row in data]
        return Holdout(Rows(features, rows), [row[at] for row in data], checked=False)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise CannotReact(f"the recipe's holdout.json is no table with a column {TARGET}: {error}") from None
