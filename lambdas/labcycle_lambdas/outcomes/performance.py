"""Whether predictions come true, as far as their truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import NOTHING_LIVE, Judgement, Verdict
from labcycle_lambdas.ledger.outcomes import Day
from labcycle_lambdas.outcomes.measures import LOWER_IS_BETTER, Measured, measure
from labcycle_lambdas.outcomes.sums import BILLION, WHOLE, Part, Sums
from labcycle_lambdas.profiles.chances import Confidence

SIGNIFICANCE = 0.01  # the chance that a model which is just good enough is found to miss the limit, in one evaluation
COHORT_ROWS = 30  # with a truth, below which nothing is said of a cohort


@dataclass(frozen=True)
class Settings:
    """`performance` of the team file."""

    metric: str
    limit: float
    minimum_rows: int = 200
    persistence: int = 2
    window_days: int = 7

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Settings:
        return cls(**doc)


def judge(
    settings: Settings,
    version: int | None,
    days: Sequence[Day],
    *,
    at: datetime,
    promoted_at: datetime | None,
    before: SubjectState,
    confidence: Confidence | None = None,
) -> tuple[Judgement, SubjectState]:
    """The realised value of the metric against its limit, and the state that this leaves.

    The limit is missed where the end of the metric's interval (measures.py) that is nearer to good misses it: a model that is just
    good enough is found to miss it in one evaluation of a hundred. Evaluations count towards persistence that saw new outcomes; one
    that saw none says what the last one said.

    Parameters
    ----------
    version
        The live one; None where none is.
    days
        The outcomes of that version, of whatever days: those of the window are taken, `window_days` days up to today (UTC), and none
        before the day of the promotion.
    confidence
        Of all predictions of the last evaluations: where labels are late, what accuracy is to be expected by them, corrected by how
        the model's confidence and its hits compare on the rows whose truth is known. It decides nothing.
    """
    state = before
    if version is None:
        return Judgement("performance", "not_enough_data", NOTHING_LIVE), state
    since = (at.date() - timedelta(days=settings.window_days - 1)).isoformat()
    since = max(since, promoted_at.date().isoformat()) if promoted_at else since
    inside = [day for day in days if since <= day.day <= at.date().isoformat()]
    sums = Sums.together(Sums.from_doc(day.sums) for day in inside)
    z = NormalDist().inv_cdf(1 - SIGNIFICANCE)
    found = measure(settings.metric, sums.total(), z)
    rows = found.rows if found else sums.total().get(("rows",), 0)
    figures: dict[str, Any] = {
        "metric": settings.metric,
        "limit": settings.limit,
        "version": version,
        "since": since,
        "rows": rows,
        "minimum_rows": settings.minimum_rows,
        "persistence": settings.persistence,
        "consecutive": state.consecutive,
        "unmeasured": sums.total().get(("unmeasured",), 0),
        "contradicted": sums.total().get(("contradicted",), 0),
        **({"value": found.value, "low": found.low, "high": found.high} if found else {}),
        **_estimate(settings, sums.total(), confidence),
    }

    def said(verdict: Verdict, reason: str, after: SubjectState) -> tuple[Judgement, SubjectState]:
        return Judgement("performance", verdict, reason, figures | {"consecutive": after.consecutive}), after

    if found is None or rows < settings.minimum_rows:
        return said("not_enough_data", _too_few(settings, rows, figures, found), state)
    cohorts = _cohorts(settings, sums)
    figures["cohorts"] = cohorts
    missing = [one for one in cohorts if one["misses"]]
    named = ", ".join(f"{one['field']} {one['category']} ({one['value']:.4g} of {one['rows']} rows)" for one in missing)
    cohort = f"; below it by itself: {named}" if missing else ""
    if settings.metric in LOWER_IS_BETTER:
        cohort = cohort.replace("below", "above")
    news = any(day.changes > state.seen.get(day.day, 0) for day in inside)
    misses = _misses(settings, found)
    value = f"{settings.metric} of version {version} is {found.value:.4g} ({found.low:.4g} to {found.high:.4g}) on {rows} rows"
    if news:
        count = state.consecutive + 1 if misses else 0
        seen = {day.day: day.changes for day in inside}
        state = replace(state, consecutive=count, in_episode=count >= settings.persistence, seen=seen)
    if not misses:
        margin = "" if _is_good(settings, found.value) else ", which may be chance"
        calm = replace(state, consecutive=0, in_episode=False)
        return said("good", f"{value}, limit {settings.limit:g}{margin}{cohort}", calm)
    verdict: Verdict = "failed" if state.in_episode else "failing"
    again = "" if news else ", no outcomes since the last one"
    reason = f"{value}, limit {settings.limit:g}: evaluation {state.consecutive} in a row of {settings.persistence} needed{again}{cohort}"
    return said(verdict, reason, state)


def _misses(settings: Settings, found: Measured) -> bool:
    return not _is_good(settings, found.low if settings.metric in LOWER_IS_BETTER else found.high)


def _is_good(settings: Settings, value: float) -> bool:
    return value <= settings.limit if settings.metric in LOWER_IS_BETTER else value >= settings.limit


def _cohorts(settings: Settings, sums: Sums) -> list[dict[str, Any]]:
    """Each with the chance of one in a hundred for all together that one which is just good enough misses the limit (Bonferroni)."""
    judged = {
        cohort: part for cohort, part in sums.parts.items() if cohort != WHOLE and part.get(("rows",), 0) >= COHORT_ROWS
    }
    z = NormalDist().inv_cdf(1 - SIGNIFICANCE / max(len(judged), 1))
    found = []
    for (field, category), part in sorted(judged.items()):
        if measured := measure(settings.metric, part, z):
            figures = {"value": measured.value, "low": measured.low, "high": measured.high, "rows": measured.rows}
            found.append({"field": field, "category": category, **figures, "misses": _misses(settings, measured)})
    return found


def _estimate(settings: Settings, part: Part, confidence: Confidence | None) -> dict[str, Any]:
    """Of accuracy, by the model's own chances: of rows of which it is sure to 0.9 in the mean, nine of ten come true if it is right about
    itself (Guo and others 2017, https://proceedings.mlr.press/v70/guo17a.html, call that calibrated)."""
    if settings.metric != "accuracy" or confidence is None or not confidence.rows:
        return {}
    mean = confidence.sum / confidence.rows
    labelled = part.get(("sure",), 0)
    expected = part.get(("confidence",), 0) / BILLION
    ratio = part.get(("sure_right",), 0) / expected if labelled >= COHORT_ROWS and expected else None
    estimate = min(mean * (1.0 if ratio is None else ratio), 1.0)
    return {
        "estimate": {
            "accuracy": estimate,
            "rows": confidence.rows,
            "mean_confidence": mean,
            "hits_by_confidence": ratio,
        }
    }


def _too_few(settings: Settings, rows: int, figures: Mapping[str, Any], found: Measured | None) -> str:
    reason = f"{rows} predictions of at least {settings.minimum_rows} with a truth since {figures['since']}"
    if found is None and rows >= settings.minimum_rows:
        reason = (
            f"{settings.metric} cannot be computed from the {rows} predictions with a truth since {figures['since']}"
        )
    if estimate := figures.get("estimate"):
        reason += f"; by the model's own confidence an accuracy of {estimate['accuracy']:.4g} is to be expected (an estimate, not measured)"
    return reason
