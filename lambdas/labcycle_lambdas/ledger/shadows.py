"""What a shadow did beside the live version: how many requests it was to see, and how its answers compare.

SHADOW#card-fraud#4 / <start>#<sandbox>-seen#<number>       what it scored, in a window of a sandbox
SHADOW#card-fraud#4 / <start>#<sandbox>-offered#<number>    what the live version had for it
SHADOWED#card-fraud / <since>#<request>                     this request was scored, for some days
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from labcycle_lambdas.ledger.table import Mark, Put, Repeated, Table
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.windows import beginning, window_key

_CLOCKS = timedelta(minutes=5)  # by which those of sandboxes may differ
_MARKED = timedelta(hours=1)  # an event comes again within minutes


class Comparison(NamedTuple):
    """A shadow since it began (`since`, as the record says it), beside one live version."""

    version: int
    since: str
    live_version: int


@dataclass
class Offered:
    """Requests that were meant for the shadow, and those of them that never were on their way to it."""

    requests: int = 0
    too_large: int = 0
    not_taken: int = 0  # its function, or its queue, did not take them

    def add(self, other: Offered) -> None:
        self.requests += other.requests
        self.too_large += other.too_large
        self.not_taken += other.not_taken

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Offered:
        return cls(**doc)


@dataclass
class Seen:
    """Requests that the shadow scored; `live` are the live version's answers to the same requests.

    `rows` are those that both have a prediction of, `same` those with the same one. `difference` is the sum of the absolute
    differences of the `numbers` rows where both are numbers. `problem` is the last one.
    """

    tally: Tally = field(default_factory=Tally)
    live: Tally = field(default_factory=Tally)
    rows: int = 0
    same: int = 0
    numbers: int = 0
    difference: float = 0.0
    problem: str = ""

    def add(self, other: Seen) -> None:
        self.tally.add(other.tally)
        self.live.add(other.live)
        self.rows += other.rows
        self.same += other.same
        self.numbers += other.numbers
        self.difference += other.difference
        self.problem = other.problem or self.problem

    def to_doc(self) -> dict[str, Any]:
        return {**asdict(self), "tally": self.tally.to_doc(), "live": self.live.to_doc()}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Seen:
        return cls(**{**doc, "tally": Tally.from_doc(doc["tally"]), "live": Tally.from_doc(doc["live"])})


class Shadows:
    """What the shadows of a ledger did: one document a window and sandbox."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def write(
        self, model: str, of: Comparison, sandbox_id: str, number: int, start: datetime, sums: Seen | Offered
    ) -> None:
        """Keep the sums of window `number` of a sandbox: the last document counts. Raises `Throttled`."""
        kind = "seen" if isinstance(sums, Seen) else "offered"
        doc = {"since": of.since, "live_version": of.live_version, kind: sums.to_doc()}
        self._table.write(Put(_partition(model, of.version), window_key(start, f"{sandbox_id}-{kind}", number), doc))

    def is_first(self, model: str, of: Comparison, request_id: str, now: datetime) -> bool:
        """Whether the request was not scored yet; from now on it was. Raises `Throttled`."""
        expires = int((now + _MARKED).timestamp())
        try:
            self._table.write(Mark(f"SHADOWED#{model}", f"{of.since}#{request_id}", {}, expires=expires))
        except Repeated:
            return False
        return True

    def read(self, model: str, of: Comparison) -> tuple[Offered, Seen]:
        """All of this comparison. Raises `Throttled`."""
        offered, seen = Offered(), Seen()
        after = beginning(datetime.fromisoformat(of.since) - _CLOCKS)
        for item in self._table.query(_partition(model, of.version), after=after):
            if (item.doc["since"], item.doc["live_version"]) != (of.since, of.live_version):
                continue
            if "seen" in item.doc:
                seen.add(Seen.from_doc(item.doc["seen"]))
            else:
                offered.add(Offered.from_doc(item.doc["offered"]))
        return offered, seen


def _partition(model: str, version: int) -> str:
    return f"SHADOW#{model}#{version}"
