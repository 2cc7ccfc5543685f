"""Rows that a call sends: all of them are what they must be, or none is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.mlflow_error import invalid, kind_of

MOST_ROWS, MOST_BYTES = 5_000, 5_000_000
_TOLD = 20  # rows that are wrong
T = TypeVar("T")


def sent_rows(call: Call, name: str, read: Callable[[object], T], wrong: type[Exception]) -> list[T]:
    """What `read` makes of each row of the body's list `name`; it raises `wrong`, a sentence, where a row is none. Raises `MlflowError`
    (400), with the numbers of rows that are none, from 1."""
    if len(call.request.body) > MOST_BYTES:
        raise invalid(f"The body has {len(call.request.body)} bytes; at most {MOST_BYTES} are taken: send it in parts.")
    rows: Any = call.body().get(name)
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
        got = f"{len(rows)} rows" if isinstance(rows, list) else kind_of(rows)
        raise invalid(f"{name}: got {got}; allowed is a list of 1 to {MOST_ROWS} rows. Send more in parts.")
    found: list[T] = []
    told: list[str] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(read(row))
        except wrong as error:
            told.append(f"Row {number}: {error}")
    if told:
        more = f" And {len(told) - _TOLD} more." if len(told) > _TOLD else ""
        said = " ".join(told[:_TOLD])
        raise invalid(f"{len(told)} of {len(rows)} rows are no {name}, and none was taken. {said}{more}")
    return found
