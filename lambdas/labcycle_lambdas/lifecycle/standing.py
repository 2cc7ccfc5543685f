"""How a model fares, as its evaluations found, one after another: verdicts and since when, and the figures behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labcycle_lambdas.ledger.judgement import Judgement, judgements

Evaluation = Mapping[str, Any]  # as `ledger.evaluations` keeps it
NOT_ENOUGH_DATA = "not_enough_data"


def of(subject: str, evaluation: Evaluation) -> Judgement | None:
    """None where the evaluation did not judge it."""
    return next((one for one in judgements(evaluation) if one.subject == subject), None)


def standing(newest_first: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """What the last evaluation says of each subject, and since when: `since` is the first evaluation of this version with the same
    verdict, those in between that had too few data passed over; `since_whole` is False where it may be older than all that are given.
    """
    if not newest_first:
        return []
    found = []
    for judgement in judgements(newest_first[0]):
        since, whole = _since(judgement, newest_first)
        found.append({**judgement.to_doc(), "since": since, "since_whole": whole})
    return found


def trend(oldest_first: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """The figures of one evaluation after another; None where nothing was judged."""
    return [
        {
            "at": evaluation["evaluated_at"],
            "version": evaluation["version"],
            "rows": evaluation["rows"],
            "verdict": evaluation["verdict"],
            "figures": {one.subject: figure(one) for one in judgements(evaluation)},
        }
        for evaluation in oldest_first
    ]


def figure(judgement: Judgement) -> float | None:
    """What is held against the limit; None where nothing was judged."""
    value = judgement.figures.get("value")
    return float(value) if isinstance(value, int | float) and judgement.verdict != NOT_ENOUGH_DATA else None


def _since(judgement: Judgement, newest_first: Sequence[Evaluation]) -> tuple[str, bool]:
    since = newest_first[0]["evaluated_at"]
    for evaluation in newest_first[1:]:
        before = of(judgement.subject, evaluation)
        if evaluation["version"] != newest_first[0]["version"] or before is None:
            return since, True
        if before.verdict not in (judgement.verdict, NOT_ENOUGH_DATA):
            return since, True
        if before.verdict == judgement.verdict:
            since = evaluation["evaluated_at"]
    return since, False
