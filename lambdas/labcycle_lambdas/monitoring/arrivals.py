"""Outcomes that arrived are taken in before they are judged, once an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import Subject
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.monitoring.judging import Judge, Judged, Moment
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.sums import Kind
from labcycle_lambdas.outcomes.taking_in import Taken, take_in


class Arrivals:
    """Takes in what arrived, for whichever judge asks first, and again for the next where that failed."""

    def __init__(self, table: Table, store: Store, kind: Kind) -> None:
        self._table, self._store, self._kind = table, store, kind
        self._last: tuple[Moment, Taken] | None = None

    def taken(self, moment: Moment) -> Taken:
        """Raises `Throttled`."""
        if self._last is None or self._last[0] is not moment:
            now = max(moment.at, datetime.now(UTC))  # an evaluation may be made again hours later
            taken = take_in(self._table, self._store, self._kind, now=lambda: now, has_time=moment.has_time)
            self._last = moment, taken
        return self._last[1]


@dataclass(frozen=True)
class AfterTakingIn:
    """Lets a judge judge what arrived, too."""

    inner: Judge
    arrivals: Arrivals

    @property
    def subject(self) -> Subject:
        return self.inner.subject

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        taken = self.arrivals.taken(moment)
        found = self.inner.judge(moment, before)
        return replace(found, more={**found.more, "outcomes": taken.to_doc()})
