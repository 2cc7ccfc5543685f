"""What a record must be: a prediction that was made elsewhere, and what it was made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.times import written
from labcycle_lambdas.mlflow_error import is_text, kind_of

FIELDS = ("prediction", "features", "chances", "id", "at")
_LONGEST_ID, _LONGEST_NAME, _MOST_NAMES = 200, 250, 2_000
_LARGEST = 2**63 - 1
Value = str | int | float | bool | None


class NoRecord(Exception):
    """The row is no record; a sentence that says why."""


@dataclass(frozen=True)
class Record:
    """`chances`: class -> chance; None where the sender knows none. `id`: how the sender calls it, "" where it says nothing. `at`:
    when it was predicted, None where the sender does not say."""

    prediction: Value
    features: Mapping[str, Value] = field(default_factory=dict)
    chances: Mapping[str, float] | None = None
    id: str = ""
    at: datetime | None = None


def record(fields: object) -> Record:
    """The record that a JSON object says. Raises `NoRecord`."""
    if not isinstance(fields, Mapping):
        raise NoRecord(f"It must be an object, got {kind_of(fields)}.")
    if unknown := [name for name in fields if name not in FIELDS]:
        raise NoRecord(
            f"It has the field {unknown[0][:60]!r}; allowed: {', '.join(FIELDS)}. What the model was given belongs into features."
        )
    if fields.get("prediction") is None:
        raise NoRecord("It has no prediction.")
    return Record(
        _value("prediction", fields["prediction"]),
        {name: _value(f"features.{name[:60]}", told) for name, told in _mapping(fields, "features").items()},
        _chances(fields) if fields.get("chances") is not None else None,
        _id(fields.get("id")),
        _at(fields.get("at")),
    )


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    told = fields.get(name)
    if not isinstance(told, Mapping) or not 0 < len(told) <= _MOST_NAMES:
        got = f"{len(told)} names" if isinstance(told, Mapping) else kind_of(told)
        raise NoRecord(f"{name}: got {got}; allowed is an object with 1 to {_MOST_NAMES} names.")
    if long := [key for key in told if len(key) > _LONGEST_NAME or not is_text(key)]:
        raise NoRecord(f"{name}: got the name {long[0][:60]!r}; allowed are names of {_LONGEST_NAME} characters.")
    return told


def _value(name: str, told: object) -> Value:
    if isinstance(told, str) and not is_text(told):
        raise NoRecord(f"{name}: got half of a character; allowed is text in Unicode.")
    if isinstance(told, int) and not -_LARGEST <= told <= _LARGEST:
        raise NoRecord(f"{name}: got a whole number of more than 63 bits; allowed are smaller ones, or text.")
    if told is None or isinstance(told, str | int | float):  # of which true and false are some
        return told
    raise NoRecord(f"{name}: got {kind_of(told)}; allowed is a text, a number, true or false.")


def _chances(fields: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, told in _mapping(fields, "chances").items():
        if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 1:
            said = told if isinstance(told, int | float) and math.isfinite(told) else kind_of(told)
            raise NoRecord(f"chances.{name[:60]}: got {said}; allowed is a number of 0 to 1.")
        found[name] = float(told)
    return found


def _id(told: object) -> str:
    if told is None:
        return ""
    if not isinstance(told, str) or not 0 < len(told) <= _LONGEST_ID or not is_text(told):
        got = f"a text of {len(told)} characters" if isinstance(told, str) else kind_of(told)
        raise NoRecord(f"id: got {got}; allowed is a text of 1 to {_LONGEST_ID} characters.")
    return told


def _at(told: object) -> datetime | None:
    if told is None:
        return None
    if isinstance(told, str) and (at := written(told)):
        return at
    said = repr(told[:60]) if isinstance(told, str) else kind_of(told)
    raise NoRecord(f"at: got {said}; allowed is a time in ISO 8601 such as 2026-03-01T12:00:00Z.")
