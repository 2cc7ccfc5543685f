"""What a model is worth to the business, as far as the values of its predictions are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from math import ceil
from statistics import median
from typing import Any

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import NOTHING_LIVE, Judgement, Verdict
from labcycle_lambdas.ledger.outcomes import Day
from labcycle_lambdas.outcomes.measures import value_of
from labcycle_lambdas.outcomes.sums import Part, Sums

MATURE = 0.8  # of the usual share of predictions with a value, from which a day's values are in
LOOKED_BACK_DAYS = 28  # beyond the window, for the usual share


@dataclass(frozen=True)
class Settings:
    """`outcome` of the team file."""

    metric: str
    minimum: float
    expected: float | None = None
    minimum_rows: int = 50
    persistence: int = 2
    window_days: int = 7

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Settings:
        return cls(**doc)


@dataclass(frozen=True)
class _Of:
    """A day of a model: the sums of all its versions, and how many rows they predicted."""

    part: Part
    predicted: int

    @property
    def share(self) -> float | None:
        """Of the predictions, which have a value; None where there are none."""
        return self.part.get(("values",), 0) / self.predicted if self.predicted else None


def judge(
    settings: Settings,
    live: int | None,
    days: Sequence[Day],
    predicted: Mapping[int, Mapping[str, int]],
    *,
    at: datetime,
    promoted_at: datetime | None,
    before: SubjectState,
) -> tuple[Judgement, SubjectState]:
    """The sum of the values against the minimum, and the state that this leaves.

    Whole days (UTC) alone are judged, `window_days` of them, up to the last one whose values are in: of whose predictions as many have
    a value as of those of earlier days (`MATURE` of the median of the older half). Days behind it wait for their outcomes, which is
    told, and is no loss. The minimum is missed where the window's sum over all versions is below it, and that of the live version alone
    is below its share of it, by the time that it has been live in the window: so that neither good days before a promotion hide a bad
    version, nor bad ones fall on the version that mends them. The sum is what was earned, no sample of it: it is held against the
    minimum as it is, its standard error stands beside it. Evaluations count towards persistence that saw new outcomes or another
    window.

    Parameters
    ----------
    live
        The live version; None where none is.
    days
        The outcomes of all versions, `window_days` + `LOOKED_BACK_DAYS` days back at least.
    predicted
        Rows that each version predicted, by day: of days that are over.
    """
    state = before
    today = at.date()
    figures: dict[str, Any] = {
        "metric": settings.metric,
        "limit": settings.minimum,
        "expected": settings.expected,
        "version": live,
        "window_days": settings.window_days,
        "minimum_rows": settings.minimum_rows,
        "persistence": settings.persistence,
    }

    def said(verdict: Verdict, reason: str, after: SubjectState) -> tuple[Judgement, SubjectState]:
        return Judgement("business", verdict, reason, figures | {"consecutive": after.consecutive}), after

    if live is None or promoted_at is None:
        return said("not_enough_data", NOTHING_LIVE, state)
    known = _by_day(days, predicted, today)
    if not known:
        return said("not_enough_data", "no prediction of a day that is over has a value yet", state)
    last = _last_mature(known, today)
    if last is None:
        return said("not_enough_data", "no day's values are in yet", state)
    figures |= {"until": last.isoformat(), "waiting_days": (today - last).days - 1}
    if figures["waiting_days"] >= settings.window_days:
        reason = (
            f"the values of the last {figures['waiting_days']} days are not in: the last day that has them is {last}"
        )
        return said("not_enough_data", reason, state)
    first = last - timedelta(days=settings.window_days - 1)
    figures["since"] = first.isoformat()
    if (began := min(known)) > first:
        answered = (last - began).days + 1
        reason = f"the model has predicted for {answered} of the {settings.window_days} whole days of a window"
        return said("not_enough_data", reason, state)
    inside = [day for day in days if first.isoformat() <= day.day <= last.isoformat()]
    earned = value_of(Sums.together(Sums.from_doc(day.sums) for day in inside).total())
    figures |= {"value": earned["sum"], "rows": earned["rows"], "standard_error": earned["standard_error"]}
    if earned["rows"] < settings.minimum_rows:
        reason = f"{earned['rows']} predictions of at least {settings.minimum_rows} with a value from {first} to {last}"
        return said("not_enough_data", reason, state)
    begin, end = (datetime.combine(day, time(), at.tzinfo) for day in (first, last + timedelta(days=1)))
    live_days = max((end - max(begin, promoted_at)) / timedelta(days=1), 0.0)
    own = [day for day in inside if day.version == live and day.day >= promoted_at.date().isoformat()]
    own_value = value_of(Sums.together(Sums.from_doc(day.sums) for day in own).total())["sum"]
    share = settings.minimum * live_days / settings.window_days
    figures |= {"live_days": live_days, "live_value": own_value, "live_minimum": share}
    summed = f"{settings.metric} from {first} to {last} is {earned['sum']:,.6g}, minimum {settings.minimum:,g}"
    if settings.expected is not None:
        summed += f", expected {settings.expected:,g}"
    if earned["sum"] >= settings.minimum:
        return said("good", summed, replace(state, consecutive=0, in_episode=False))
    if not live_days:
        return said("not_enough_data", f"{summed}; but version {live} went live after it", state)
    if own_value >= share:
        reason = f"{summed}; but version {live} earned {own_value:,.6g} in its {live_days:.3g} days, which is its share"
        return said("good", reason, replace(state, consecutive=0, in_episode=False))
    news = any(day.changes > state.seen.get(f"{day.version} {day.day}", 0) for day in inside)
    if news:
        count = state.consecutive + 1
        seen = {f"{day.version} {day.day}": day.changes for day in inside}
        state = replace(state, consecutive=count, in_episode=count >= settings.persistence, seen=seen)
    again = "" if news else ", no outcomes since the last one"
    reason = f"{summed}; version {live} earned {own_value:,.6g} of that in {live_days:.3g} days: evaluation {state.consecutive} in a row of {settings.persistence} needed{again}"
    return said("failed" if state.in_episode else "failing", reason, state)


def _by_day(days: Sequence[Day], predicted: Mapping[int, Mapping[str, int]], today: date) -> dict[date, _Of]:
    """The days that are over in which something was predicted."""
    parts: dict[str, list[Sums]] = {}
    for day in days:
        parts.setdefault(day.day, []).append(Sums.from_doc(day.sums))
    rows: dict[str, int] = {}
    for version in predicted.values():
        for name, count in version.items():
            rows[name] = rows.get(name, 0) + count
    found = {}
    for name in parts.keys() | rows.keys():
        part = Sums.together(parts.get(name, [])).total()
        count = max(rows.get(name, 0), part.get(("values",), 0))
        if count and (day_of := date.fromisoformat(name)) < today:
            found[day_of] = _Of(part, count)
    return found


def _last_mature(known: Mapping[date, _Of], today: date) -> date | None:
    """The last day that is over and has as large a share of values as earlier ones; of days without predictions nothing is to come."""
    recent = [known[day] for day in sorted(known)][-LOOKED_BACK_DAYS:]
    shares = [of.share for of in recent if of.share is not None]
    if not shares or not any(shares):
        return None
    usual = median(shares[: ceil(len(shares) / 2)])
    day = today - timedelta(days=1)
    while day >= min(known):
        of = known.get(day)
        if of is None or of.share is None or (of.share >= MATURE * usual and of.share > 0):
            return day
        day -= timedelta(days=1)
    return None
