"""The group `labcycle records`: send what a model predicted that is served elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from labcycle.client.api import ApiError, TeamApi, model_path
from labcycle.client.decisions import AsJson, ModelName
from labcycle.client.row_parts import json_lines, parts
from labcycle.client.tables import print_json
from labcycle.errors import LabcycleError

_KINDS = (".jsonl", ".ndjson")

app = typer.Typer(
    name="records",
    no_args_is_help=True,
    help="What a model predicted that is served elsewhere.",
)


@app.callback()
def group() -> None:
    """What a model predicted that is served elsewhere."""


@app.command()
def send(
    model: ModelName,
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines: prediction, features (an object), and chances, id, at where they are known."),
    ],
    version: Annotated[int, typer.Option(min=1, help="Version of the model that made these predictions.")],
    ids: Annotated[
        Path | None, typer.Option(help="File to write with the id of each prediction, by which outcomes are sent.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the API check the rows, and keep nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send predictions, so that they are watched as those of a model server are. The same file again changes nothing."""
    api = TeamApi()
    rows = list(_read(file))
    if not rows:
        raise LabcycleError(f"{file}: got no rows; allowed is JSON Lines with a record a line")
    sent = 0
    known: list[str] = []
    for part in parts(rows):
        body = {"version": version, "records": part, **({"dry_run": True} if dry_run else {})}
        try:
            answer = api.call("POST", f"{model_path(model)}/records", body=body)
        except ApiError as error:
            raise LabcycleError(_where(file, sent, len(part), len(rows), str(error))) from error
        known += answer["prediction_ids"]
        sent += len(part)
        if not as_json and sent < len(rows):
            typer.echo(f"{model}: {sent:,} of {len(rows):,} rows are {'right' if dry_run else 'sent'}")
    if ids and known:
        _write_ids(ids, rows, known)
    if as_json:
        return print_json({"model": model, "version": version, "rows": 0 if dry_run else sent, "prediction_ids": known})
    if dry_run:
        return typer.echo(f"{model}: {sent:,} rows are right; nothing is kept (--dry-run)")
    typer.echo(f"{model}: {sent:,} rows of version {version} are counted")
    if known and not ids:
        typer.echo(
            "their predictions are kept; --ids FILE writes the ids by which outcomes are sent, also of the same file again"
        )
    if not known:
        typer.echo("their predictions are not kept: the model's monitor has no capture, performance or outcome")
    typer.echo(f"see what the next evaluation finds: labcycle monitor status {model}")


def _read(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix not in _KINDS:
        got = file.suffix or "nothing"
        raise LabcycleError(f"{file}: got a file whose name ends with {got}; allowed {' and '.join(_KINDS)}")
    try:
        with file.open(encoding="utf-8-sig") as text:
            for number, (row, why) in enumerate(json_lines(text), 1):
                if why:
                    raise LabcycleError(f"{file}, row {number}: {why}. Nothing was sent")
                yield row
    except OSError as error:
        raise LabcycleError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabcycleError(f"{file} cannot be read: {error}. Write it as UTF-8") from error


def _where(file: Path, sent: int, size: int, rows: int, said: str) -> str:
    if size == rows:
        return said
    before = f"the {sent:,} rows before are counted, and count no second time when the file is sent again"
    return f"{file}, rows {sent + 1:,} to {sent + size:,}, numbered from 1 here: {said} ({before if sent else 'nothing is counted'})"


def _write_ids(file: Path, rows: list[dict[str, Any]], ids: list[str]) -> None:
    try:
        with file.open("w", encoding="utf-8") as out:
            for row, prediction_id in zip(rows, ids, strict=True):
                own = {"id": row["id"]} if row.get("id") is not None else {}
                out.write(json.dumps({**own, "prediction_id": prediction_id}, ensure_ascii=False) + "\n")
    except OSError as error:
        raise LabcycleError(
            f"{file} cannot be written: {error.strerror}. All rows are sent; the same file again gives the same ids"
        ) from error
