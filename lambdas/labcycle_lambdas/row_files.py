"""Read a file of rows, CSV with a header or JSON Lines of records, into requests as the scoring API takes them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.mlflow_error import kind_of

SUFFIXES = (".csv", ".jsonl", ".ndjson")
LONGEST_LINE = 2_000_000  # characters; a request takes 6 MB
_ROWS_AT_ONCE = 1000
_CHARACTERS_AT_ONCE = 1_000_000


class Unreadable(Exception):
    """The file as a whole cannot be scored; a sentence for its owner."""


@dataclass(frozen=True)
class Row:
    """`number` counts the rows of the file from 1; `refused` says why it is none, where it is none."""

    number: int
    value: Any = None
    refused: str = ""


@dataclass(frozen=True)
class Part:
    """Some rows of a file, in their order."""

    header: list[str] | None  # of a CSV
    rows: Sequence[Row]

    def request(self) -> Request:
        """The scoring request with these rows, none of which is refused."""
        if self.header is None:
            body = json.dumps({"dataframe_records": [row.value for row in self.rows]}).encode()
            return _request("application/json", body)
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([self.header, *(row.value for row in self.rows)])
        return _request("text/csv", out.getvalue().encode())

    def halves(self) -> tuple[Part, Part]:
        middle = len(self.rows) // 2
        return Part(self.header, self.rows[:middle]), Part(self.header, self.rows[middle:])


def parts(content: IO[bytes], name: str) -> Iterator[Part]:
    """The rows of a file of this name, in parts of a size that a request can have. A CSV begins with a part without rows.

    Raises
    ------
    Unreadable
        If it is neither of the two formats; also after some parts.
    """
    with io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text, _told():
        if not name.endswith(SUFFIXES):
            raise Unreadable(
                f"its name ends with none of {', '.join(SUFFIXES)}, so that nothing says what it is: name it so, or take it away"
            )
        if not name.endswith(".csv"):
            yield from _parts(None, _records(text))
            return
        lines = (line for line in csv.reader(_lines(text), strict=True) if line)
        header = next(lines, None)
        if header is None:
            raise Unreadable("it is empty; the first line of a CSV must name the columns")
        yield Part(header, [])
        yield from _parts(header, _csv_rows(header, lines))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is not UTF-8: {error}") from None
    except csv.Error as error:
        raise Unreadable(f"the CSV cannot be read: {error}") from None


def _lines(text: IO[str]) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise Unreadable(f"a line has more than {LONGEST_LINE} characters")
        yield line


def _csv_rows(header: list[str], lines: Iterable[list[str]]) -> Iterator[tuple[Row, int]]:
    for number, line in enumerate(lines, 1):
        fits = len(line) == len(header)
        refused = "" if fits else f"It has {len(line)} values for {len(header)} columns."
        yield Row(number, line, refused), sum(map(len, line))


def _records(text: IO[str]) -> Iterator[tuple[Row, int]]:
    lines = (stripped for line in _lines(text) if (stripped := line.strip()))
    for number, line in enumerate(lines, 1):
        yield _record(number, line), len(line)


def _record(number: int, line: str) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON, or a number of thousands of digits
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Row(number, refused=f"It is not valid JSON: {why[:200]}")
    if not isinstance(value, dict):
        return Row(number, refused=f"It must be an object, got {kind_of(value)}.")
    return Row(number, value)


def _parts(header: list[str] | None, rows: Iterable[tuple[Row, int]]) -> Iterator[Part]:
    held: list[Row] = []
    characters = 0
    for row, length in rows:
        held.append(row)
        characters += length
        if len(held) == _ROWS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield Part(header, held)
            held, characters = [], 0
    if held:
        yield Part(header, held)


def _request(kind: str, body: bytes) -> Request:
    return Request("POST", "/invocations", [], {"content-type": kind}, body, "", "")
