"""What an evaluation finds of one thing that is watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Subject = Literal["drift", "performance", "business", "freshness"]
Verdict = Literal["not_enough_data", "good", "failing", "failed"]
NOTHING_LIVE = "no version is live"  # the reason where there is nothing to judge


@dataclass(frozen=True)
class Judgement:
    """`failing`: over the limit, but not yet long enough; `failed`: for as many evaluations in a row as are asked for. `reason` is a
    sentence with the numbers that decided, `figures` are those and all others."""

    subject: Subject
    verdict: Verdict
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)


def judgements(evaluation: Mapping[str, Any]) -> list[Judgement]:
    """What an evaluation found, drift first, in the words of its own (stable, drifting, drifted), which `Verdict` does not have."""
    drift = Judgement(
        "drift",
        evaluation["verdict"],
        evaluation["reason"],
        {"value": max(evaluation["features"].values(), default=None), "limit": evaluation["threshold"]},
    )
    # Of those that were made when drift alone was judged, there are no others.
    return [drift, *(Judgement(**doc) for doc in evaluation.get("judgements", ()) if doc["subject"] != "drift")]
