"""Ids of predictions: pointers to a row of a window of the prediction log, so that to join is to look up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

FORM = "VERSION-YYYYMMDDTHHMMSSZ-SANDBOX-NUMBER-ROW"
LONGEST = 160  # characters
_ID = re.compile(
    r"([1-9][0-9]{0,8})-([0-9]{8}T[0-9]{6}Z)-([a-z0-9]{1,80})-([0-9]{1,12})-(0|[1-9][0-9]{0,11})", re.ASCII
)


@dataclass(frozen=True, order=True)
class Window:
    """A window of a version's prediction log. `start` is UTC; `name` is what the log's object is called by."""

    version: int
    start: datetime
    name: str

    @property
    def day(self) -> str:
        """The UTC day that its predictions are counted in, as YYYY-MM-DD: all of a window in the day of its start."""
        return f"{self.start:%Y-%m-%d}"

    def log_key(self, model: str) -> str:
        """Where the prediction log has it in the artifact bucket."""
        return f"predictions/{model}/{self.version}/{self.name}.jsonl.gz"

    def joined_key(self, model: str) -> str:
        """Where its rows are kept whose outcomes are known."""
        return f"outcomes/{model}/joined/{self.version}/{self.name}.jsonl.gz"


def parse(text: str) -> tuple[Window, int] | None:
    """The window of an id, and the row in it; None where it is no id."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    version, start, sandbox, number, row = match.groups()
    try:
        return _window(int(version), start, sandbox, number), int(row)
    except ValueError:  # no such time
        return None


@lru_cache(4096)
def _window(version: int, start: str, sandbox: str, number: str) -> Window:
    at = datetime.strptime(start, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Window(version, at, f"{start}-{sandbox}-{number}")
