"""Rows that a consumer may send though training saw few of them: whatever the live version answers, a new one must answer too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.runnable import Unusable
from labcycle_lambdas.profiles.bins import number

MOST_ROWS = 300
_ORDINARY = 20  # rows as they are, which the others are made from
_NEVER_SEEN = "never seen before"
_NAMED = 5  # objections that are told

Answer = Callable[[Table], Sequence[Mapping[str, Any]]]


def odd_rows(rows: Table) -> list[tuple[str, list[Any]]]:
    """Rows to ask, at most `MOST_ROWS`, each with what is odd of it: some as they are, then one column at a time beyond what was seen:
    far below, far above, zero, missing; of text the empty one and one that was never seen."""
    columns = rows.columns or []
    ordinary = rows.rows[:: max(1, len(rows.rows) // _ORDINARY)][:_ORDINARY]
    found = [("an ordinary row", list(row)) for row in ordinary]
    odd = [_variants(name, at, rows, ordinary) for at, name in enumerate(columns)] if ordinary else []
    # The first oddity of each column before the second of any, so that a wide table has all its columns asked.
    for turn in range(max((len(variants) for variants in odd), default=0)):
        found += [variants[turn] for variants in odd if turn < len(variants)]
    return found[:MOST_ROWS]


def _variants(name: str, at: int, rows: Table, ordinary: Sequence[Sequence[Any]]) -> list[tuple[str, list[Any]]]:
    values = [row[at] for row in rows.rows]
    return [
        (f"{name} {what}", [*row[:at], value, *row[at + 1 :]])
        for (what, value), row in zip(_odd(values), _again(ordinary), strict=False)
    ]


def _odd(values: Sequence[object]) -> Iterator[tuple[str, object]]:
    numbers = [value for value in map(number, values) if value is not None and math.isfinite(value)]
    if any(isinstance(value, str) for value in values) or not numbers:
        yield from (("is empty", ""), ("was never seen", _NEVER_SEEN), ("is missing", None))
        return
    low, high = min(numbers), max(numbers)
    far = max(abs(low), abs(high), 1) * 10
    whole = all(isinstance(value, int) for value in values)
    for what, value in (
        ("is far above what was seen", high + far),
        ("is far below what was seen", low - far),
        ("is 0", 0),
    ):
        yield what, int(value) if whole else float(value)
    yield "is missing", None


def _again(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    while True:
        yield from rows


def objections(rows: Table, challenger: Answer, champion: Answer) -> tuple[int, list[str]]:
    """How many rows were asked, and what is to be said against the challenger, a sentence each: rows that make it fail though the live
    version answers them, or to which its answer is no finite number though that of the live version is one."""
    odd, said = odd_rows(rows), []
    for what, row in odd:
        asked = Table(rows.columns, [row])
        usual = _answered(champion, asked)
        if isinstance(usual, str):
            continue
        new = _answered(challenger, asked)
        if isinstance(new, str):
            said.append(f"it fails where {what}, which the live version answers: {new}")
        elif _finite(usual) and (bad := [name for name in new if not _finite(new[name])]):
            said.append(f"its {bad[0] or 'answer'} is no finite number where {what}, and the live version answers one")
    more = len(said) - _NAMED
    return len(odd), said[:_NAMED] + ([f"and {more} more rows"] if more > 0 else [])


def _answered(answer: Answer, asked: Table) -> Mapping[str, Any] | str:
    """The outputs by name, or why there are none."""
    try:
        return answer(asked)[0]
    except (MlflowError, Unusable) as error:
        return " ".join(str(error).split())[:200]


def _finite(value: object) -> bool:
    """Whether all numbers in it are; a version answers None for one that is not. Text is no number."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(map(_finite, value))
    return value is not None and (not isinstance(value, float) or math.isfinite(value))
