"""How the sides of a roll-out answer: requests, failures and times, as the model servers counted them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.table import Put, Table
from labcycle_lambdas.ledger.windows import beginning, window_key

# Milliseconds, the upper ends of the bins; one more bin is above the last.
BINS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 2_000, 3_000, 5_000, 10_000, 30_000)


@dataclass
class Tally:
    """Answers of one version. `failed` are those that the version could not give; `times` counts all by `BINS`."""

    requests: int = 0
    failed: int = 0
    times: list[int] = field(default_factory=lambda: [0] * (len(BINS) + 1))

    def count(self, milliseconds: float, *, failed: bool) -> None:
        self.requests += 1
        self.failed += failed
        self.times[bisect_left(BINS, milliseconds)] += 1

    def add(self, other: Tally) -> None:
        self.requests += other.requests
        self.failed += other.failed
        self.times = [a + b for a, b in zip(self.times, other.times, strict=True)]

    @property
    def failed_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    def milliseconds(self, share: float) -> float | None:
        """Upper bound of the time in which this share of the answers was there; None without answers, or above all bins."""
        wanted, seen = share * self.requests, 0
        for upper, count in zip(BINS, self.times, strict=False):
            seen += count
            if self.requests and seen >= wanted:
                return float(upper)
        return None

    def to_doc(self) -> dict[str, Any]:
        return {"requests": self.requests, "failed": self.failed, "times": self.times}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Tally:
        return cls(int(doc["requests"]), int(doc["failed"]), [int(count) for count in doc["times"]])


class Traffic:
    """The tallies of a ledger: one document a window and sandbox."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def write(
        self, model: str, version: int, sandbox_id: str, number: int, window_start: datetime, tally: Tally
    ) -> None:
        """Keep the tally of window `number` of a sandbox: the last document counts. Raises `Throttled`."""
        sort_key = window_key(window_start, sandbox_id, number)
        self._table.write(Put(_partition(model, version), sort_key, tally.to_doc()))

    def since(self, model: str, version: int, since: datetime) -> Tally:
        """All that this version answered in windows that began at `since` or later. Raises `Throttled`."""
        found = Tally()
        for item in self._table.query(_partition(model, version), after=beginning(since)):
            found.add(Tally.from_doc(item.doc))
        return found


def _partition(model: str, version: int) -> str:
    return f"TRAFFIC#{model}#{version}"
