"""What waits to be anchored, and which anchor was the last.

A mark stands for each event until an anchor holds it, so that anchoring reads what is new and nothing else. Marks are read
oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from labcycle_lambdas.ledger.table import Create, Item, Put, Table

WAITING = "CUSTODY_WAITING"
_LAST = ("CUSTODY_ANCHOR", "LAST")


@dataclass(frozen=True)
class Waiting:
    """An event that no anchor holds yet. `at` is UTC in ISO 8601."""

    subject: str
    seq: int
    at: str
    hash: str
    item: Item


@dataclass(frozen=True)
class Last:
    """The anchor written last: its number, time, and the SHA-256 of its bytes."""

    number: int
    at: str
    sha256: str


def mark(subject: str, seq: int, at: str, event_hash: str) -> Create:
    """What says that an event waits, to be written together with it."""
    return Create(WAITING, f"{at}#{event_hash}", {"subject": subject, "seq": seq})


class Anchors:
    """The marks of a ledger."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def waiting(self, after: str | None = None) -> Iterator[Waiting]:
        """The events that wait, oldest first, behind the mark `after`."""
        for item in self._table.query(WAITING, after=after):
            at, _, event_hash = item.sk.partition("#")
            yield Waiting(item.doc["subject"], item.doc["seq"], at, event_hash, item)

    def oldest(self) -> str:
        """Since when the oldest event waits; "" where none does."""
        return next((item.sk.partition("#")[0] for item in self._table.query(WAITING, page_items=1)), "")

    def settle(self, held: Iterable[Waiting]) -> None:
        """An anchor holds these events. Raises `Throttled`, with some of them settled."""
        self._table.delete_many((event.item.pk, event.item.sk) for event in held)

    def last(self) -> Last | None:
        """None before the first anchor."""
        item = self._table.get(*_LAST)
        return Last(**item.doc) if item else None

    def set_last(self, last: Last) -> None:
        self._table.write(Put(*_LAST, asdict(last)))
