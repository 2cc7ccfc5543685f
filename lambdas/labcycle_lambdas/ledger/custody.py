"""The chain of custody: one append-only, hash-chained list of events a subject.

A subject is `model/<name>`. Each event holds the hash of the one before it, so that a change of any past
event breaks the chain from there on. The hash is the SHA-256 of the event's canonical JSON (sorted keys, no blanks,
UTF-8) without the hash itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.table import Changed, Create, Exists, Replace, Table, Throttled, Write, pause
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who

GENESIS = "0" * 64
_ATTEMPTS = 12
_HEAD = "HEAD"


@dataclass(frozen=True)
class Event:
    """`at` is UTC in ISO 8601 with milliseconds; `previous` is the hash of the event before, or 64 zeros."""

    subject: str
    seq: int
    at: str
    action: str
    who: dict[str, str | None]
    detail: dict[str, Any]
    previous: str
    hash: str

    def computed_hash(self) -> str:
        fields = asdict(self)
        del fields["hash"]
        return hashlib.sha256(
            json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()


class Custody:
    """The chains of a ledger. `now` gives the time of an event."""

    def __init__(self, table: Table, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._now = now

    def append(self, subject: str, action: str, who: Who, detail: Mapping[str, Any], *also: Write) -> Event:
        """Add an event to the chain of `subject`; `also` is written in the same transaction.

        Raises
        ------
        Exists, Changed
            If a condition in `also` does not hold; nothing was written.
        Throttled
            If too many write the same chain at once.
        """
        pk = f"CUSTODY#{subject}"
        for attempt in range(_ATTEMPTS):
            head = self._table.get(pk, _HEAD)
            seq = head.doc["seq"] + 1 if head else 1
            previous = head.doc["hash"] if head else GENESIS
            event = Event(subject, seq, stamp(self._now()), action, who.to_doc(), dict(detail), previous, "")
            event = Event(**{**asdict(event), "hash": event.computed_hash()})
            new_head = {"seq": seq, "hash": event.hash}
            move = Replace(head, new_head) if head else Create(pk, _HEAD, new_head)
            try:
                self._table.write(move, Create(pk, f"{seq:012d}", asdict(event)), *also)
                return event
            except (Exists, Changed):
                now = self._table.get(pk, _HEAD)
                if (now.rev if now else 0) == (head.rev if head else 0):
                    raise  # the chain stands still: it is a condition of `also`
                pause(attempt)
        raise Throttled(f"the custody chain of {subject} is written by too many at once")

    def events(self, subject: str) -> list[Event]:
        """The chain of `subject`, oldest first."""
        return [Event(**item.doc) for item in self._table.query(f"CUSTODY#{subject}") if item.sk != _HEAD]

    def verify(self, subject: str) -> list[str]:
        """What is wrong with the chain of `subject`: a sentence each, none where it is whole."""
        wrong = []
        previous, expected = GENESIS, 1
        for event in self.events(subject):
            if event.seq != expected:
                wrong.append(f"{subject}: event {expected} is missing before event {event.seq}")
            if event.previous != previous:
                wrong.append(f"{subject}: event {event.seq} does not follow from the event before it")
            if event.computed_hash() != event.hash:
                wrong.append(f"{subject}: event {event.seq} was changed after it was written")
            previous, expected = event.hash, event.seq + 1
        head = self._table.get(f"CUSTODY#{subject}", _HEAD)
        if (head.doc if head else {"seq": 0, "hash": GENESIS}) != {"seq": expected - 1, "hash": previous}:
            wrong.append(f"{subject}: the head of the chain does not match its last event")
        return wrong
