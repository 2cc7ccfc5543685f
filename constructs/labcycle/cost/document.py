"""An estimate for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .assumptions import SAID
from .egress import Choice
from .estimate import Estimate
from .kinds import FREE


def as_document(estimate: Estimate) -> dict[str, Any]:
    """Everything of one team or target. USD are not rounded."""
    return {
        "name": estimate.name,
        "region": estimate.region,
        "models": list(estimate.models),
        "idle_usd_a_month": estimate.usd,
        "idle_usd_a_month_after_key_rotations": estimate.later_usd,
        "by_part": estimate.by_part(),
        "items": [
            {"part": item.part, "logical_id": item.logical_id, "type": item.type, **asdict(item.cost)}
            for item in estimate.items
        ],
        "uses": [
            {
                "part": one.part,
                "what": one.use.what,
                "usd": one.use.usd,
                "of": dict(one.use.of),
                "at_most": one.use.at_most,
            }
            for one in estimate.uses
        ],
        "scheduled_work": [{**asdict(work), "usd_a_month": work.usd_a_month} for work in estimate.works],
        "not_priced": [asdict(one) for one in estimate.unpriced],
        "free_while_idle": [
            {"type": kind, "count": count, "paid": FREE.get(kind, "nothing as it is set up here")}
            for kind, count in estimate.free.items()
        ],
        "prices": estimate.prices.to_doc(),
    }


def choices_document(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    return [asdict(choice) for choice in choices]


def whole(teams: Sequence[Estimate], targets: Sequence[tuple[Estimate, Sequence[Choice]]]) -> dict[str, Any]:
    """All that was counted, and what was assumed."""
    return {
        "teams": [as_document(team) for team in teams],
        "targets": [as_document(target) | {"egress": choices_document(choices)} for target, choices in targets],
        "assumptions": list(SAID),
    }
