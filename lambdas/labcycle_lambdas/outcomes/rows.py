"""What a row of outcomes must be: which prediction, and what became of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.ledger.times import stamp, written
from labcycle_lambdas.mlflow_error import is_text, kind_of
from labcycle_lambdas.outcomes.prediction_id import FORM, LONGEST, Window, parse

FIELDS = ("prediction_id", "truth", "value", "at")
LARGEST = 1e30  # of numbers, either side of 0
_LABEL_CHARACTERS = 100  # as profiles.bins.category compares them
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)  # 007 is a label


class Invalid(Exception):
    """The row is no outcome; a sentence that says why."""


@dataclass(frozen=True)
class Outcome:
    """What is known of one prediction. `at`: when it became known, ISO 8601 in UTC; "" where the row does not say."""

    window: Window
    row: int
    truth: str | int | float | bool | None = None
    value: float | None = None
    at: str = ""


def outcome(fields: object) -> Outcome:
    """The outcome that a record of JSON says. Raises `Invalid`."""
    if not isinstance(fields, Mapping):
        raise Invalid(f"It must be an object, got {kind_of(fields)}.")
    if unknown := [name for name in fields if name not in FIELDS]:
        raise Invalid(f"It has the field {unknown[0][:60]!r}; allowed: {', '.join(FIELDS)}.")
    told = fields.get("prediction_id")
    found = parse(told) if isinstance(told, str) and len(told) <= LONGEST else None
    if found is None:
        said = repr(told[:60]) if isinstance(told, str) else kind_of(told)
        raise Invalid(f"prediction_id: got {said}; allowed is the id that an answer carried, {FORM}.")
    truth, value = _truth(fields.get("truth")), _value(fields.get("value"))
    if truth is None and value is None:
        raise Invalid("It has neither truth nor value; give one of them at least.")
    return Outcome(*found, truth, value, _at(fields.get("at")))


def from_csv(header: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The record of a line of CSV: what is empty is absent, what is written as a number is one."""
    return {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True) if cell != ""}


def _cell(name: str, cell: str) -> Any:
    if name == "truth" and cell in ("True", "False"):  # as pandas writes them
        return cell == "True"
    if name in ("truth", "value") and _NUMBER.fullmatch(cell):
        return float(cell) if set(cell) & set(".eE") else int(cell)
    return cell


def _truth(told: object) -> str | int | float | bool | None:
    if told is None or isinstance(told, bool):
        return told
    if isinstance(told, str):
        if not 0 < len(told) <= _LABEL_CHARACTERS or not is_text(told):
            raise Invalid(f"truth: got a text of {len(told)} characters; allowed are 1 to {_LABEL_CHARACTERS}.")
        return told
    return _number("truth", told, "a label or a number")


def _value(told: object) -> float | None:
    return None if told is None else _number("value", told, "a number")


def _number(name: str, told: object, allowed: str) -> int | float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        said = repr(told[:60]) if isinstance(told, str) else kind_of(told)
        raise Invalid(f"{name}: got {said}; allowed is {allowed}.")
    if not -LARGEST <= told <= LARGEST or math.isnan(told):
        raise Invalid(f"{name}: the number is outside of what is allowed, -1e30 to 1e30.")
    return told


def _at(told: object) -> str:
    if told is None:
        return ""
    if isinstance(told, str) and (at := written(told)):
        return stamp(at)
    said = repr(told[:60]) if isinstance(told, str) else kind_of(told)
    raise Invalid(f"at: got {said}; allowed is a time in ISO 8601 such as 2026-03-01T12:00:00Z.")
