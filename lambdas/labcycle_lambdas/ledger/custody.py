"""The chain of custody: one append-only, hash-chained list of events a subject.

A subject is `model/<name>`, `experiment/<id>` or `run/<id>`. Each event holds the hash of the one before it, so that a
change of any past event breaks the chain from there on. The hash is the SHA-256 of the event's canonical JSON (sorted
keys, no blanks, UTF-8) without the hash itself. docs/custody.md says what is an event, and how all of it is verified.

Written with each event, in one transaction: the head of its chain, a mark that the event waits to be anchored (anchors.py)
and, with the first one, the subject's entry in the list of all subjects.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.anchors import mark
from labcycle_lambdas.ledger.table import Changed, Create, Exists, Item, Put, Replace, Table, Throttled, Write, pause
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who

GENESIS = "0" * 64
SUBJECTS = "CUSTODY_SUBJECTS"
TOLD_CHARACTERS = 1_000  # of a text in an event: EventBridge takes 256 KB an event
_PREFIX = "CUSTODY#"
_ATTEMPTS = 12
_HEAD = "HEAD"
_DIGITS = 12  # of a number in a sort key
_READ_AT_ONCE = 50  # of a chain's end
_UNREADABLE = 10  # items in a row after which no more is looked for


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
        return hashlib.sha256(canonical(fields)).hexdigest()


def canonical(document: object) -> bytes:
    """JSON with sorted keys and without blanks, in UTF-8: one document, one sequence of bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def told(text: str) -> str:
    """A text as an event tells it: a long one by its beginning, length and SHA-256."""
    if len(text) <= TOLD_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:TOLD_CHARACTERS]}... ({len(text)} characters, SHA-256 {digest})"


@dataclass(frozen=True)
class News:
    """What becomes an event of a chain."""

    action: str
    who: Who
    detail: Mapping[str, Any]


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
        return self.append_all(subject, [News(action, who, detail)], *also)[0]

    def append_all(self, subject: str, news: Sequence[News], *also: Write) -> list[Event]:
        """Add events one behind the other, all of them or none; otherwise as `append`."""
        pk = f"{_PREFIX}{subject}"
        for attempt in range(_ATTEMPTS):
            head = self._table.get(pk, _HEAD)
            events, writes = self._events(head, subject, news)
            try:
                self._table.write(*writes, *also)
                return events
            except (Exists, Changed):
                now = self._table.get(pk, _HEAD)
                if (now.rev if now else 0) == (head.rev if head else 0):
                    raise  # the chain stands still: it is a condition of `also`
                pause(attempt)
        raise Throttled(f"the custody chain of {subject} is written by too many at once")

    def writes(self, subject: str, action: str, who: Who, detail: Mapping[str, Any]) -> list[Write]:
        """What adds an event to a second chain, for `also` of `append`.

        Writing it raises `Exists` or `Changed` where that chain went on in between: make it again then.
        """
        head = self._table.get(f"{_PREFIX}{subject}", _HEAD)
        return self._events(head, subject, [News(action, who, detail)])[1]

    def _events(self, head: Item | None, subject: str, news: Sequence[News]) -> tuple[list[Event], list[Write]]:
        """The events that come behind `head`, and what writes them."""
        pk = f"{_PREFIX}{subject}"
        last: dict[str, Any] = dict(head.doc) if head else {"seq": 0, "hash": GENESIS}
        events: list[Event] = []
        writes: list[Write] = []
        for one in news:
            seq = last["seq"] + 1
            at = stamp(self._now())
            event = Event(subject, seq, at, one.action, one.who.to_doc(), dict(one.detail), last["hash"], "")
            event = Event(**{**asdict(event), "hash": event.computed_hash()})
            writes += [Create(pk, _sk(seq), asdict(event)), mark(subject, seq, event.at, event.hash)]
            events.append(event)
            last = {"seq": seq, "hash": event.hash}
        writes.insert(0, Replace(head, last) if head else Create(pk, _HEAD, last))
        if head is None:
            writes.append(Put(SUBJECTS, hashlib.sha256(subject.encode()).hexdigest(), {"subject": subject}))
        return events, writes

    def events(self, subject: str) -> list[Event]:
        """The chain of `subject`, oldest first."""
        return [Event(**item.doc) for item in self._table.query(f"{_PREFIX}{subject}") if item.sk != _HEAD]

    def newest_first(self, subject: str) -> Iterator[Event]:
        """The chain of `subject` from its end, read page by page as far as it is asked for."""
        for item in self._table.query(f"{_PREFIX}{subject}", "0", last_first=True, page_items=_READ_AT_ONCE):
            yield Event(**item.doc)

    def documents(self, subject: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """What is kept as the events behind number `after`, whether or not it is an event still.

        Each is `{"seq": number by its key, "event": document}`; of one that is no JSON, `event` is None.
        """
        position, unreadable = _sk(after), 0
        while unreadable < _UNREADABLE:
            try:
                for item in self._table.query(f"{_PREFIX}{subject}", "0", after=position):
                    position, unreadable = item.sk, 0
                    yield {"seq": int(item.sk) if item.sk.isdecimal() else item.sk, "event": item.doc}
                return
            except (ValueError, zlib.error):  # the item behind `position`, whose key only the chain can tell
                position, unreadable = _sk(int(position[:_DIGITS]) + 1), unreadable + 1
                yield {"seq": int(position), "event": None}

    def head(self, subject: str) -> dict[str, Any] | None:
        """`{"seq": ..., "hash": ...}` of the last event, as the chain's head says; None where there is none."""
        try:
            item = self._table.get(f"{_PREFIX}{subject}", _HEAD)
        except (ValueError, zlib.error):
            return {}
        return item.doc if item else None

    def subjects(self, after: str = "") -> Iterator[tuple[str, str]]:
        """Every subject that has a chain, each with its position in the list; `after` is such a position."""
        for item in self._table.query(SUBJECTS, after=after or None):
            yield item.sk, item.doc["subject"]

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
        head = self._table.get(f"{_PREFIX}{subject}", _HEAD)
        if (head.doc if head else {"seq": 0, "hash": GENESIS}) != {"seq": expected - 1, "hash": previous}:
            wrong.append(f"{subject}: the head of the chain does not match its last event")
        return wrong


def _sk(seq: int) -> str:
    return f"{seq:0{_DIGITS}d}"
