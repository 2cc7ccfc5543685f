"""Hold a table against the columns of a signature: all that are needed, none besides, each value of its type."""

from __future__ import annotations

import math
from typing import Any

from labcycle_lambdas.mlflow_error import invalid, kind_of
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.schema import RANGES, Column, Schema, listed

_FLOAT_MAX = {"float": RANGES["float"][1], "double": math.inf}
_WANTED = {
    "boolean": "true or false",
    "integer": "a whole number of 32 bits",
    "long": "a whole number of 64 bits",
    "float": "a number of 32 bits",
    "double": "a number",
    "string": "a string",
}


def enforce(table: Table, schema: Schema) -> Table:
    """The table with the columns of `schema`, in their order, each value of its column's type; a missing number is NaN.

    Raises
    ------
    MlflowError
        That names the columns that are missing or too many, or the row, column and value that do not fit.
    """
    names = schema.names
    given = table.columns if table.columns is not None else names[: len(table.rows[0]) if table.rows else None]
    if given == names and _plain(table.rows, schema):
        return table if table.columns is names else Table(names, table.rows)
    there, known = set(given), set(names)
    missing = [c.name for c in schema.columns if c.required and c.name not in there]
    extra = [name for name in given if name not in known]
    if missing or extra:
        said = [f"missing: {listed(missing)}"] if missing else []
        said += [f"not known to the model: {listed(extra)}"] if extra else []
        raise invalid(f"The columns do not match the model's signature; {'; '.join(said)}.")
    position = {name: i for i, name in enumerate(given)}
    columns = []
    for column in schema.columns:
        at = position.get(column.name)
        values = [None] * len(table.rows) if at is None else [row[at] for row in table.rows]
        columns.append(_typed(values, column))
    return Table(names, [list(row) for row in zip(*columns, strict=True)])


def _plain(rows: list[list[Any]], schema: Schema) -> bool:
    """Whether each value is already what its column asks for, which is told of a whole row at once."""
    types, ranges = schema.types, schema.ranges
    return all(
        tuple(map(type, row)) == types and all(low <= row[at] <= high for at, low, high in ranges) for row in rows
    )


def _typed(values: list[Any], column: Column) -> list[Any]:
    if column.type == "double" and set(map(type, values)) <= {float}:
        return values
    made = []
    for number, value in enumerate(values):
        fit = _fit(value, column)
        if fit is None:
            shown = kind_of(value) if value is None or isinstance(value, list | dict) else repr(value)[:60]
            raise invalid(f"Row {number}, column {column.name[:80]!r}: expected {_WANTED[column.type]}, got {shown}.")
        made.append(fit)
    return made


def _fit(value: Any, column: Column) -> Any:
    """The value as its column's type; None where it does not fit."""
    kind = column.type
    if value is None:
        return math.nan if kind in _FLOAT_MAX else ("" if kind == "string" and not column.required else None)
    if kind == "string":
        return value if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind in _FLOAT_MAX:
        try:
            made = float(value)
        except OverflowError:
            return None
        return None if math.isfinite(made) and abs(made) > _FLOAT_MAX[kind] else made
    if isinstance(value, float) and not value.is_integer():  # False for NaN and infinities as well
        return None
    low, high = RANGES[kind]
    return int(value) if low <= value <= high else None
