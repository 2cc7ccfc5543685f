"""Performance and business value: what arrived is taken in, then both are judged by all that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import Judgement, Subject
from labcycle_lambdas.ledger.outcomes import Outcomes, WatchState
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.monitoring.judging import Judged, Moment
from labcycle_lambdas.outcomes import business, performance
from labcycle_lambdas.outcomes.predicted import count_predicted
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.sums import Kind
from labcycle_lambdas.outcomes.taking_in import Taken, take_in

_GENERATION = 0  # the evaluator itself begins anew with another version


class Arrivals:
    """Takes in what arrived, once an evaluation: whichever judge asks first, and again where that failed."""

    def __init__(self, table: Table, store: Store, kind: Kind) -> None:
        self._table, self._store, self._kind = table, store, kind
        self._last: tuple[Moment, Taken] | None = None

    def taken(self, moment: Moment) -> Taken:
        """Raises `Throttled`."""
        if self._last is None or self._last[0] is not moment:
            taken = take_in(self._table, self._store, self._kind, now=lambda: moment.at, has_time=moment.has_time)
            self._last = moment, taken
        return self._last[1]


@dataclass(frozen=True)
class PerformanceJudge:
    """`estimated` is how far back the chances of predictions are looked at, whose truth is not known yet."""

    model: str
    settings: performance.Settings
    arrivals: Arrivals
    outcomes: Outcomes
    profiles: Profiles
    estimated: timedelta

    @property
    def subject(self) -> Subject:
        return "performance"

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        taken, live = self.arrivals.taken(moment), moment.live
        judgement, state = performance.judge(
            self.settings,
            live.version if live else None,
            self.outcomes.days(self.model, live.version, _first(moment, self.settings.window_days)) if live else [],
            at=moment.at,
            promoted_at=_promoted(live),
            generation=_GENERATION,
            before=_before(before),
            confidence=self._confidence(live, moment.at) if live else None,
        )
        return _judged(judgement, state, taken)

    def _confidence(self, live: Deployed, at: datetime) -> performance.Confidence | None:
        if self.settings.metric != "accuracy":
            return None
        since = max(at - self.estimated, datetime.fromisoformat(live.promoted_at))
        stored = self.profiles.each(self.model, live.version, since)
        return performance.Confidence.of(profile.doc for profile in stored)


@dataclass(frozen=True)
class BusinessJudge:
    model: str
    settings: business.Settings
    arrivals: Arrivals
    outcomes: Outcomes
    profiles: Profiles

    @property
    def subject(self) -> Subject:
        return "business"

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        taken, live = self.arrivals.taken(moment), moment.live
        days = self.settings.window_days + business.LOOKED_BACK_DAYS
        first = _first(moment, days)
        known = self.outcomes.versions(self.model)
        predicted = {
            version: count_predicted(self.outcomes, self.profiles, self.model, version, at=moment.at, days=days)
            for version in sorted({*known, *_answering(moment, first)})
        }
        judgement, state = business.judge(
            self.settings,
            live.version if live else None,
            [day for version in known for day in self.outcomes.days(self.model, version, first)],
            predicted,
            at=moment.at,
            promoted_at=_promoted(live),
            generation=_GENERATION,
            before=_before(before),
        )
        return _judged(judgement, state, taken)


def _first(moment: Moment, days: int) -> str:
    """The first of the last `days` UTC days, today among them."""
    today: date = moment.at.astimezone(UTC).date()
    return (today - timedelta(days=days)).isoformat()


def _answering(moment: Moment, since: str) -> set[int]:
    """The versions that the deployment record has as live since that day."""
    live = moment.live
    if live is None:
        return set()
    found, ended = {live.version}, live.promoted_at
    for previous in moment.deployment.previous:
        if ended < since:
            break
        found.add(previous.version)
        ended = previous.promoted_at
    return found


def _promoted(live: Deployed | None) -> datetime | None:
    return datetime.fromisoformat(live.promoted_at) if live else None


def _before(before: SubjectState) -> WatchState:
    return WatchState(_GENERATION, before.consecutive, before.in_episode, before.seen)


def _judged(judgement: Judgement, state: WatchState, taken: Taken) -> Judged:
    told = {"why": judgement.reason, "figures": judgement.figures}
    after = SubjectState(state.consecutive, state.in_episode, state.seen)
    return Judged(judgement, after, {"outcomes": taken.to_doc()}, told)
