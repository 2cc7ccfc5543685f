"""The header of the run that a sandbox added points to last, as it left it: the next point is written upon that, unread.

A training writes to one run, many times a second, and its calls meet the same sandbox again. The write holds only where the
header is still as it was left, so that nobody's change is lost; where it is not, it is read. What is not in the header,
whether the run's experiment was deleted, may have changed within the last second, if another sandbox did it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from labcycle_lambdas.ledger.table import Item

_GOOD_FOR = timedelta(seconds=1)


class Moment(NamedTuple):
    """When the ledger was read. `moves`: how often this sandbox had deleted or restored an experiment by then."""

    at: datetime
    moves: int


class Left(NamedTuple):
    """A header, and since when nobody has looked at the run's experiment."""

    header: Item
    moment: Moment


class LastWritten:
    """One header; a write that fails leaves none. Threads may share it."""

    def __init__(self, now: Callable[[], datetime], moves: Callable[[], int]) -> None:
        self._now = now
        self._moves = moves
        self._left: Left | None = None

    def moment(self) -> Moment:
        """To be asked for before the ledger is read."""
        return Moment(self._now(), self._moves())

    def take(self, pk: str) -> Left | None:
        """The header of the run of this partition, where it is the one that was left, and not too old."""
        left, self._left = self._left, None
        if left is None or left.header.pk != pk:
            return None
        now = self.moment()
        young = timedelta(0) <= now.at - left.moment.at < _GOOD_FOR
        return left if young and now.moves == left.moment.moves else None

    def leave(self, header: Item, moment: Moment) -> None:
        self._left = Left(header, moment)
