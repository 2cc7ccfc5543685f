"""Rows of a file, in parts that a request takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

# What the API takes of a request: labcycle_lambdas/lifecycle/sent_rows.py.
PART_ROWS, PART_BYTES = 5_000, 4_500_000


def parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """So many rows at once as a request takes. The same rows are always parted the same."""
    held: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row)) + 2
        if held and (len(held) == PART_ROWS or size + length > PART_BYTES):
            yield held
            held, size = [], 0
        held.append(row)
        size += length
    if held:
        yield held


def json_lines(text: Iterable[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """The record of each line, with what is wrong with it."""
    for line in text:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield {}, f"it is not valid JSON: {error}"
            continue
        yield (row, "") if isinstance(row, dict) else ({}, "it must be an object")
