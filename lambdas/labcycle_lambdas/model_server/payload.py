"""Read a scoring request: what MLflow's scoring server takes, as a table or as tensors.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ (JSON keys `dataframe_split`,
`dataframe_records`, `instances`, `inputs`, and CSV with a header).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from labcycle_lambdas.http import Request
from labcycle_lambdas.mlflow_error import BAD_REQUEST, MlflowError, invalid, json_body, kind_of
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.schema import Schema

BODY_BYTES = 6_000_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB each way
SPLIT, RECORDS, INSTANCES, INPUTS = "dataframe_split", "dataframe_records", "instances", "inputs"
_FORMATS = (SPLIT, RECORDS, INSTANCES, INPUTS)
_KEYS = {*_FORMATS, "params"}
_ABSENT = object()
_DECODER = msgspec.json.Decoder()


@dataclass(frozen=True)
class ScoringRequest:
    """`all_outputs`: answer each output of the graph by name, not the first alone."""

    data: Table | Tensors
    all_outputs: bool = field(default=False)


def read(request: Request, schema: Schema | None) -> ScoringRequest:
    """The request's data, in the form that `schema` asks for where it can be had.

    Raises
    ------
    MlflowError
        If it is none of the formats; the message says what is wrong, and where.
    """
    if len(request.body) > BODY_BYTES:
        raise MlflowError(
            BAD_REQUEST,
            f"The request has {len(request.body) / 1e6:.1f} MB; allowed are {BODY_BYTES / 1e6:.0f} MB: send "
            f"fewer rows at once.",
            status=413,
        )
    if _is_csv(request.headers.get("content-type", "")):
        return ScoringRequest(_csv(request.body, schema))
    body = _object(request)
    given = [name for name in _FORMATS if name in body]
    if len(given) != 1:
        raise MlflowError(
            BAD_REQUEST,
            f"The request must have exactly one of {', '.join(_FORMATS)}; got "
            f"{', '.join(sorted(str(name)[:40] for name in body)[:10]) or 'none'}.",
        )
    unknown = [str(name)[:40] for name in body if name not in _KEYS]
    if unknown:
        raise invalid(f"Unknown key of the request: {', '.join(sorted(unknown)[:10])}.")
    return ScoringRequest(_READERS[given[0]](body[given[0]], schema), _all_outputs(body.get("params")))


def _object(request: Request) -> dict[str, Any]:
    """As `json_body`, which also takes what is not quite JSON, such as NaN, and says what is wrong; but several times as fast."""
    try:
        body = _DECODER.decode(request.body)
    except (msgspec.MsgspecError, RecursionError):
        return json_body(request)
    return body if isinstance(body, dict) else json_body(request)


@lru_cache(64)
def _is_csv(content_type: str) -> bool:
    """Else it is JSON."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = dict(p.partition("=")[::2] for p in parameters).get("charset", "utf-8").strip('"')
    if charset not in {"utf-8", "utf8"}:
        raise MlflowError(BAD_REQUEST, f"The model server reads UTF-8, not {charset[:40]}.", status=415)
    if kind not in {"text/csv", "application/json", ""}:
        raise MlflowError(
            BAD_REQUEST, f"Content-Type must be application/json or text/csv, got {kind[:60]}.", status=415
        )
    return kind == "text/csv"


def _all_outputs(params: object) -> bool:
    if params is None:
        return False
    if not isinstance(params, dict):
        raise invalid(f"params must be an object, got {kind_of(params)}.")
    unknown = sorted(str(name)[:40] for name in params if name != "outputs")
    if unknown:
        raise invalid(f"Unknown parameter {', '.join(unknown[:10])}; allowed: outputs.")
    value = params.get("outputs", "first")
    if value not in ("first", "all"):
        raise invalid('params.outputs must be "first" (the default) or "all".')
    return bool(value == "all")


def _split(value: object, schema: Schema | None) -> Table:
    if not isinstance(value, dict):
        raise invalid(f"{SPLIT} must be an object with columns and data, got {kind_of(value)}.")
    unknown = [str(name)[:40] for name in value if name not in ("columns", "data", "index")]
    if unknown:
        raise invalid(f"{SPLIT} has the unknown key {', '.join(sorted(unknown)[:10])}; allowed: columns, data, index.")
    rows, columns = _rows(value.get("data"), f"{SPLIT}.data"), value.get("columns")
    if columns is None:
        return Table(None, _equally_long(rows, schema, f"{SPLIT}.data"))
    if not isinstance(columns, list):
        raise invalid(f"{SPLIT}.columns must be an array, got {kind_of(columns)}.")
    names = _names(columns) if schema is None or columns != schema.names else schema.names
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise invalid(f"{SPLIT}.data[{number}] has {len(row)} values for {len(names)} columns.")
    return Table(names, rows)


def _names(columns: list[Any]) -> list[str]:
    for position, name in enumerate(columns):
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise invalid(f"{SPLIT}.columns[{position}] must be a string, got {kind_of(name)}.")
    names = [str(name) for name in columns]
    _unique(names, f"{SPLIT}.columns")
    return names


def _records(value: object, schema: Schema | None) -> Table:
    if not isinstance(value, list):
        raise invalid(f"{RECORDS} must be an array of objects, got {kind_of(value)}.")
    return _table_of(value, schema, RECORDS)


def _instances(value: object, schema: Schema | None) -> Table | Tensors:
    if not isinstance(value, list):
        raise invalid(f"{INSTANCES} must be an array, got {kind_of(value)}.")
    if value and isinstance(value[0], dict):
        table = _table_of(value, schema, INSTANCES)
        if schema and schema.tensors and table.columns is not None:
            return Tensors({name: [row[i] for row in table.rows] for i, name in enumerate(table.columns)})
        return table
    return _nested(value, schema, INSTANCES)


def _inputs(value: object, schema: Schema | None) -> Table | Tensors:
    if isinstance(value, list):
        return _nested(value, schema, INPUTS)
    if not isinstance(value, dict):
        raise invalid(f"{INPUTS} must be an object or an array, got {kind_of(value)}.")
    if not value:
        raise invalid(f"{INPUTS} is empty.")
    if not (schema and schema.columns):
        return Tensors(dict(value))
    columns = {name: column if isinstance(column, list) else [column] for name, column in value.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name[:40]} {length}" for name, length in list(lengths.items())[:10])
        raise invalid(f"The columns of {INPUTS} have different lengths: {shown}.")
    return Table(list(columns), [list(row) for row in zip(*columns.values(), strict=True)])


_READERS: Mapping[str, Callable[[Any, Schema | None], Table | Tensors]] = {
    SPLIT: _split,
    RECORDS: _records,
    INSTANCES: _instances,
    INPUTS: _inputs,
}


def _nested(value: list[Any], schema: Schema | None, where: str) -> Table | Tensors:
    """An array without names: rows where the schema has columns, else one tensor."""
    if not (schema and schema.columns):
        return Tensors({None: value})
    rows = [row if isinstance(row, list) else [row] for row in value]
    return Table(None, _equally_long(rows, schema, where))


def _table_of(records: Sequence[Any], schema: Schema | None, where: str) -> Table:
    """Columns in order of first appearance; a value that a record leaves out is an error, unless the column is optional."""
    columns: dict[str, None] = {}
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise invalid(f"{where}[{number}] must be an object, got {kind_of(record)}.")
        columns.update(dict.fromkeys(record))
    optional = {c.name for c in schema.columns if not c.required} if schema else set()
    rows = []
    for number, record in enumerate(records):
        row = []
        for name in columns:
            value = record.get(name, _ABSENT)
            if value is _ABSENT:
                if name not in optional:
                    raise invalid(f"{where}[{number}] has no value for the column {name[:80]!r}.")
                value = None
            row.append(value)
        rows.append(row)
    return Table(list(columns), rows)


def _rows(value: object, where: str) -> list[list[Any]]:
    if not isinstance(value, list):
        raise invalid(f"{where} must be an array of rows, got {kind_of(value)}.")
    for number, row in enumerate(value):
        if not isinstance(row, list):
            raise invalid(f"{where}[{number}] must be an array, got {kind_of(row)}.")
    return value


def _equally_long(rows: list[list[Any]], schema: Schema | None, where: str) -> list[list[Any]]:
    width = len(schema.columns) if schema and schema.columns else (len(rows[0]) if rows else 0)
    for number, row in enumerate(rows):
        if len(row) != width:
            raise invalid(f"{where}[{number}] has {len(row)} values; the model takes {width}.")
    return rows


def _unique(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise invalid(f"{where} names {name[:80]!r} twice.")
        seen.add(name)


def _csv(body: bytes, schema: Schema | None) -> Table:
    try:
        text = body.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except UnicodeDecodeError as error:
        raise invalid(f"The CSV is not UTF-8: {error}") from None
    except csv.Error as error:
        raise invalid(f"The CSV cannot be read: {error}") from None
    if not lines:
        raise invalid("The CSV is empty; its first line must name the columns.")
    header, *data = lines
    _unique(header, "The header of the CSV")
    kinds: Mapping[str, str] = {c.name: c.type for c in schema.columns} if schema else {}
    rows = []
    for number, line in enumerate(data):
        if len(line) != len(header):
            raise invalid(f"Row {number} of the CSV has {len(line)} values for {len(header)} columns.")
        rows.append([_csv_value(value, kinds.get(name)) for name, value in zip(header, line, strict=True)])
    return Table(header, rows)


def _csv_value(text: str, kind: str | None) -> Any:
    """As JSON would have it; what does not fit its column stays text, and is refused with the column's own message."""
    if kind == "string":
        return text
    if text == "":
        return None
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if kind in ("integer", "long") else float(text)
    except ValueError:
        return text
