"""The group `labcycle outcomes`: send what became of predictions, see what is known of them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from labcycle.client.api import TeamApi, model_path
from labcycle.client.decisions import AsJson, ModelName
from labcycle.client.row_parts import json_lines, parts
from labcycle.client.tables import print_json, print_table
from labcycle.errors import LabcycleError

_FIELDS = ("prediction_id", "truth", "value", "at")
_ID = re.compile(r"[1-9][0-9]{0,8}-[0-9]{8}T[0-9]{6}Z-[a-z0-9]{1,80}-[0-9]{1,12}-(0|[1-9][0-9]{0,11})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)  # 007 is a label
_LARGEST = 1e30
_LONGEST_LABEL = 100
_TOLD = 20
_BAR = 20  # characters
_SHOWN = ("accuracy", "rmse")  # what is drawn

app = typer.Typer(
    name="outcomes",
    no_args_is_help=True,
    help="What became of a model's predictions: send it, see what is known.",
)


@app.command()
def send(
    model: ModelName,
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSON Lines: prediction_id, truth, value, at.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the rows, and send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send truths and values of predictions by their ids. Exits 1 where a row is no outcome; the others are sent."""
    good: list[dict[str, Any]] = []
    wrong: list[tuple[int, str]] = []
    for number, row, why in read(file):
        if why:
            wrong.append((number, why))
        else:
            good.append(row)
    sent = 0
    objects = []
    if good and not dry_run:
        api = TeamApi()
        for part in parts(good):
            answer = api.call("POST", f"{model_path(model)}/outcomes", body={"outcomes": part})
            objects.append(answer["object"])
            sent += len(part)
            if not as_json and sent < len(good):
                typer.echo(f"{model}: {sent:,} of {len(good):,} rows are sent")
    if as_json:
        rejected = [{"row": number, "reason": why} for number, why in wrong]
        print_json({"model": model, "rows": len(good), "sent": sent, "objects": objects, "rejected": rejected})
    else:
        for number, why in wrong[:_TOLD]:
            typer.echo(f"row {number}: {why}")
        if len(wrong) > _TOLD:
            typer.echo(f"and {len(wrong) - _TOLD:,} more rows")
        checked = f"{len(good):,} rows are right, {len(wrong):,} are not"
        what = "; nothing is sent (--dry-run)" if dry_run else f"; {sent:,} rows are sent"
        typer.echo(f"{model}: {checked}{what}")
        if sent:
            typer.echo(
                f"they are taken in by the next evaluation; see what came of them: labcycle outcomes show {model}"
            )
    if wrong:
        raise typer.Exit(1)


@app.command()
def show(
    model: ModelName,
    days: Annotated[int, typer.Option(min=1, max=92, help="Days of predictions to look back on.")] = 28,
    as_json: AsJson = False,
) -> None:
    """Show realised metrics and values by version and day, and which rows came to nothing."""
    found = TeamApi().call("GET", f"{model_path(model)}/outcomes", query={"days": str(days)})
    if as_json:
        return print_json(found)
    if not found["versions"]:
        typer.echo(
            f"{model}: nothing is known of the predictions since {found['since']}. Send what became of them: "
            f"labcycle outcomes send {model} FILE"
        )
    for version in found["versions"]:
        _print_version(model, version)
    if found["waiting"]:
        typer.echo(f"{found['waiting']:,} objects wait for the next evaluation")
    for one in found["objects"]:
        if "first" in one:
            counts = ", ".join(f"{one[name]:,} {name}" for name in ("contradictory", "unknown", "invalid") if one[name])
            typer.echo(
                f"{one['object']}: of {one['rows']:,} rows {counts}; row {one['first']['row']}: {one['first']['reason']}"
            )
            typer.echo(f"  all of them: {one['rejected']}")


def read(file: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """The rows of a file, counted from 1, each with what is wrong with it. Raises `LabcycleError` where it cannot be read."""
    kind = file.suffix
    if kind not in (".csv", ".jsonl", ".ndjson"):
        raise LabcycleError(
            f"{file}: got a file whose name ends with {kind or 'nothing'}; allowed .csv, .jsonl and .ndjson"
        )
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = _csv(text) if kind == ".csv" else json_lines(text)
            for number, (row, why) in enumerate(rows, 1):
                yield number, row, why or problem(row)
    except OSError as error:
        raise LabcycleError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabcycleError(f"{file} cannot be read: {error}. Write it as UTF-8") from error


def problem(row: Mapping[str, Any]) -> str:
    """What is wrong with a row; "" where it is an outcome. The rules are the API's (labcycle_lambdas/outcomes/rows.py)."""
    if unknown := [name for name in row if name not in _FIELDS]:
        return f"it has the field {unknown[0][:60]!r}; allowed: {', '.join(_FIELDS)}"
    if not (isinstance(told := row.get("prediction_id"), str) and _is_id(told)):
        return f"prediction_id: got {str(told)[:60]!r}; allowed is the id that an answer carried (x-labcycle-prediction-id)"
    truth, value, at = row.get("truth"), row.get("value"), row.get("at")
    if truth is None and value is None:
        return "it has neither truth nor value; give one of them at least"
    if isinstance(truth, str):
        if not 0 < len(truth) <= _LONGEST_LABEL or not _is_text(truth):
            return f"truth: got a text of {len(truth)} characters; allowed are 1 to {_LONGEST_LABEL}"
    elif truth is not None and not isinstance(truth, bool) and not _is_number(truth):
        return f"truth: got {str(truth)[:60]}; allowed is a label or a number of -1e30 to 1e30"
    if value is not None and (isinstance(value, bool) or not _is_number(value)):
        return f"value: got {str(value)[:60]}; allowed is a number of -1e30 to 1e30"
    if at is not None and not _is_time(at):
        return f"at: got {str(at)[:60]}; allowed is a time in ISO 8601 such as 2026-03-01T12:00:00Z"
    return ""


def _is_id(told: str) -> bool:
    if not _ID.fullmatch(told):
        return False
    try:
        datetime.strptime(told.split("-")[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return len(told) <= 160


def _is_number(told: object) -> bool:
    return isinstance(told, int | float) and -_LARGEST <= told <= _LARGEST and not math.isnan(told)


def _is_text(told: str) -> bool:
    try:
        told.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_time(told: object) -> bool:
    try:
        at = datetime.fromisoformat(told) if isinstance(told, str) else None
        return at is not None and (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) is not None
    except (ValueError, OverflowError):
        return False


def _csv(text: Any) -> Iterator[tuple[dict[str, Any], str]]:
    lines = (line for line in csv.reader(text, strict=True) if line)
    header = next(lines, None)
    if header is None:
        raise csv.Error("it is empty; the first line of a CSV must name the columns")
    for line in lines:
        if len(line) != len(header):
            yield {}, f"it has {len(line)} values for {len(header)} columns"
        else:
            yield {name: _cell(name, cell) for name, cell in zip(header, line, strict=True) if cell != ""}, ""


def _cell(name: str, cell: str) -> Any:
    if name == "truth" and cell in ("True", "False"):  # as pandas writes them
        return cell == "True"
    if name in ("truth", "value") and _NUMBER.fullmatch(cell):
        return float(cell) if set(cell) & set(".eE") else int(cell)
    return cell


def _print_version(model: str, version: Mapping[str, Any]) -> None:
    drawn = next((name for name in _SHOWN if name in version["metrics"]), "")
    rows = [_row("all", version, drawn, version)] + [_row(day["day"], day, drawn, version) for day in version["days"]]
    headings = ("day", "with truth", drawn or "metric", "", "with value", "value", "standard error")
    print_table(f"{model}, version {version['version']}", headings, rows)
    others = {name: value for name, value in version["metrics"].items() if name != drawn}
    if others:
        typer.echo("in all: " + ", ".join(f"{name} {value:.4g}" for name, value in others.items()))
    if version["contradicted"]:
        typer.echo(f"different things were said of {version['contradicted']:,} predictions")
    if version["unmeasured"]:
        typer.echo(f"{version['unmeasured']:,} truths are of another kind than the metric takes")


def _row(name: str, part: Mapping[str, Any], drawn: str, whole: Mapping[str, Any]) -> tuple[str, ...]:
    found, value = part["metrics"].get(drawn), part["value"]
    most = max([1.0 if drawn == "accuracy" else 0.0, *(day["metrics"].get(drawn, 0.0) for day in whole["days"])])
    bar = "" if found is None or not most else "█" * max(round(min(found / most, 1.0) * _BAR), 0)
    return (
        name,
        f"{part['rows']:,}",
        "no truth yet" if found is None else f"{found:.4g}",
        bar,
        f"{value['rows']:,}",
        "" if not value["rows"] else f"{value['sum']:,.6g}",
        "" if value["standard_error"] is None else f"{value['standard_error']:,.3g}",
    )
