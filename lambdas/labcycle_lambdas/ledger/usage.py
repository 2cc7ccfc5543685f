"""What the servers of a model use of what they run on, as they wrote it themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.table import Put, Table
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.windows import beginning, window_key

_READ_AT_ONCE = 1_000


@dataclass
class Used:
    """What one server used in one window.

    Parameters
    ----------
    runs_on
        Form and size of what it runs on, with the keys of the team file.
    tally
        All answers, also those with which the server began, and whether they failed for a reason of ours.
    answered_ms, cpu_ms
        Milliseconds of the answers, and of processor that the server used since the window began. The first answer of a server, which
        loads the version, is in neither.
    seconds
        How long the window was when this was written.
    peak_mb
        The most memory (MB) that the server ever had; 0 where it is not known.
    began
        Whether it is the server's first window.
    """

    runs_on: Mapping[str, Any]
    tally: Tally = field(default_factory=Tally)
    answered_ms: float = 0.0
    cpu_ms: float = 0.0
    seconds: float = 0.0
    peak_mb: int = 0
    began: bool = False

    def to_doc(self) -> dict[str, Any]:
        return {
            "on": dict(self.runs_on),
            **self.tally.to_doc(),
            "answered_ms": round(self.answered_ms),
            "cpu_ms": round(self.cpu_ms),
            "seconds": round(self.seconds),
            "peak_mb": self.peak_mb,
            "began": self.began,
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Used:
        answered_ms, cpu_ms, seconds = (float(doc[name]) for name in ("answered_ms", "cpu_ms", "seconds"))
        tally, peak_mb, began = Tally.from_doc(doc), int(doc["peak_mb"]), bool(doc["began"])
        return cls(doc["on"], tally, answered_ms, cpu_ms, seconds, peak_mb, began)


@dataclass(frozen=True)
class StoredUsage:
    """One window of one server."""

    window_start: datetime
    sandbox_id: str
    used: Used


class Usage:
    """The usage of a ledger: one document a window and server."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def write(self, model: str, sandbox_id: str, number: int, window_start: datetime, used: Used) -> None:
        """Keep window `number` of a server: the last document counts. Raises `Throttled`."""
        self._table.write(Put(_partition(model), window_key(window_start, sandbox_id, number), used.to_doc()))

    def newest_first(self, model: str, since: datetime) -> Iterator[StoredUsage]:
        """Windows that began at `since` or later, read page by page as far as they are asked for. Raises `Throttled`."""
        for item in self._table.query(_partition(model), last_first=True, page_items=_READ_AT_ONCE):
            if item.sk < beginning(since):
                return
            stamp, sandbox_id, _ = item.sk.split("#")
            yield StoredUsage(datetime.fromisoformat(stamp), sandbox_id, Used.from_doc(item.doc))


def _partition(model: str) -> str:
    return f"USAGE#{model}"
