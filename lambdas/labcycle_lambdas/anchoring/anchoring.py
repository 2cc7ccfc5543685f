"""Write what waits into the next anchor.

An anchor holds, for each subject with new events, the number and hash of its last one. It names the SHA-256 of the anchor
before it, so that none can be taken out or put in. It is written first, and only then do the events wait no longer: a
crash in between, a repeat, or two at once write nothing twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from labcycle_lambdas.anchoring.store import AnchorStore, Taken
from labcycle_lambdas.ledger.anchors import Anchors, Last, Waiting
from labcycle_lambdas.ledger.custody import GENESIS, canonical
from labcycle_lambdas.ledger.times import stamp

SCHEMA_VERSION = 1
MOST_EVENTS = 20_000  # of one anchor: some 3 MB
_FIRST = Last(0, "", GENESIS)


@dataclass(frozen=True)
class Anchor:
    """An anchor that was written; `root` is the SHA-256 of its heads in canonical JSON."""

    number: int
    root: str
    sha256: str
    subjects: int


class Anchoring:
    """Anchors the chains of one team."""

    def __init__(
        self,
        anchors: Anchors,
        store: AnchorStore,
        team: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._anchors = anchors
        self._store = store
        self._team = team
        self._now = now

    def anchor(self) -> list[Anchor]:
        """Anchor all that waits: one anchor as a rule, more after a sweep, none where nothing happened."""
        written = []
        while waiting := list(islice(self._anchors.waiting(), MOST_EVENTS)):
            last, heads = self._last()
            new = [event for event in waiting if event.seq > heads.get(event.subject, {"seq": 0})["seq"]]
            if new:
                try:
                    written.append(self._write(last, new))
                except Taken:  # by another call, or by one that ended before it could say so
                    self._follow(last.number + 1)
                    continue
            self._anchors.settle(waiting)
        return written

    def _last(self) -> tuple[Last, dict[str, Any]]:
        """The last anchor, and its heads. What the locked bucket says of it counts, before what the table says."""
        last = self._anchors.last() or _FIRST
        content = self._store.read(last.number) if last.number else None
        if content is None:
            return last, {}
        return Last(last.number, last.at, hashlib.sha256(content).hexdigest()), json.loads(content)["heads"]

    def _follow(self, number: int) -> None:
        """Take an anchor that is there as the last one."""
        content = self._store.read(number)
        if content is None:
            raise RuntimeError(f"anchor {number} is taken, and cannot be read")
        self._anchors.set_last(Last(number, json.loads(content)["at"], hashlib.sha256(content).hexdigest()))

    def _write(self, last: Last, events: Iterable[Waiting]) -> Anchor:
        heads: dict[str, dict[str, Any]] = {}
        for event in events:
            if event.seq > heads.get(event.subject, {"seq": 0})["seq"]:
                heads[event.subject] = {"seq": event.seq, "hash": event.hash}
        root = hashlib.sha256(canonical(heads)).hexdigest()
        at = stamp(self._now())
        content = canonical(
            {
                "schema_version": SCHEMA_VERSION,
                "team": self._team,
                "number": last.number + 1,
                "at": at,
                "previous": last.sha256,
                "heads": heads,
                "root": root,
            }
        )
        self._store.write(last.number + 1, content)
        digest = hashlib.sha256(content).hexdigest()
        self._anchors.set_last(Last(last.number + 1, at, digest))
        return Anchor(last.number + 1, root, digest, len(heads))
