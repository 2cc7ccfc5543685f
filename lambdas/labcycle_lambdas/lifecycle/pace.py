"""How fast a team's models come into service, and how often they leave it again: figures from the chains of custody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any

from labcycle_lambdas.ledger.custody import Custody, Event
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.models import models
from labcycle_lambdas.lineage.life import life
from labcycle_lambdas.mlflow_error import invalid

DAYS, MOST_DAYS = 90, 3_650
MOST_MODELS = 50  # of a page: the whole chain of each is read
_MONTH_DAYS = 30


@dataclass(frozen=True)
class Facts:
    """What happened in the last `days`, of one model or of several.

    Parameters
    ----------
    registered
        Versions that were registered.
    deployments
        Promotions, of whatever version.
    rolled_back
        Those of them that were taken back by a roll back since.
    rollbacks
        Roll backs.
    lead_times_seconds
        Of each version that went live for the first time: from its registration to that moment.
    """

    days: int
    registered: int = 0
    deployments: int = 0
    rolled_back: int = 0
    rollbacks: int = 0
    lead_times_seconds: tuple[float, ...] = ()


def facts(events: Sequence[Event], days: int, now: datetime) -> Facts:
    """Of one model, from the events of its whole life, oldest first."""
    since = stamp(now - timedelta(days=days))
    registered_at: dict[int, str] = {}
    promotion_of: dict[int, int] = {}  # version -> its last promotion, by its place in `promotions`
    promotions: list[tuple[str, bool]] = []  # when, and whether it was rolled back
    lead_times = []
    for event in events:
        version = int(event.detail.get("version") or 0)
        if event.action == "registered":
            registered_at[version] = event.at
        elif event.action == "promoted":
            if version not in promotion_of and version in registered_at and event.at >= since:
                lead_times.append(_seconds(registered_at[version], event.at))
            promotion_of[version] = len(promotions)
            promotions.append((event.at, False))
        elif event.action == "rolled_back":
            place = promotion_of.get(int(event.detail.get("previous_version") or 0))
            if place is not None:
                promotions[place] = (promotions[place][0], True)
    recent = [was_rolled_back for at, was_rolled_back in promotions if at >= since]
    return Facts(
        days=days,
        registered=sum(at >= since for at in registered_at.values()),
        deployments=len(recent),
        rolled_back=sum(recent),
        rollbacks=sum(event.action == "rolled_back" and event.at >= since for event in events),
        lead_times_seconds=tuple(lead_times),
    )


def together(days: int, several: Iterable[Facts]) -> Facts:
    """Of all models of a team."""
    known = list(several)
    return Facts(
        days=days,
        registered=sum(one.registered for one in known),
        deployments=sum(one.deployments for one in known),
        rolled_back=sum(one.rolled_back for one in known),
        rollbacks=sum(one.rollbacks for one in known),
        lead_times_seconds=tuple(seconds for one in known for seconds in one.lead_times_seconds),
    )


def figures(of: Facts) -> dict[str, Any]:
    """The facts, and what follows from them; None where there is nothing to divide by."""
    leads = of.lead_times_seconds
    return asdict(of) | {
        "lead_times_seconds": list(leads),
        "median_lead_time_seconds": median(leads) if leads else None,
        "longest_lead_time_seconds": max(leads, default=None),
        "deployments_per_30_days": of.deployments * _MONTH_DAYS / of.days,
        "rollbacks_per_30_days": of.rollbacks * _MONTH_DAYS / of.days,
        "rolled_back_share": of.rolled_back / of.deployments if of.deployments else None,
        "iterations_per_deployed_version": of.registered / len(leads) if leads else None,
    }


def of_model(call: Call) -> dict[str, Any]:
    """The figures of one model."""
    days = _days(call)
    Registry(call.table).model(call.path["model"])
    return _of_model(Custody(call.table), call.path["model"], days, datetime.now(UTC))


def of_team(call: Call) -> dict[str, Any]:
    """The figures of a page of models; `next` is the name behind which the following page begins."""
    days, now = _days(call), datetime.now(UTC)
    names = [model.name for model in islice(models(call), MOST_MODELS + 1)]
    custody = Custody(call.table)
    return {
        "team": call.members.team,
        "models": [_of_model(custody, name, days, now) for name in names[:MOST_MODELS]],
        "next": names[MOST_MODELS - 1] if len(names) > MOST_MODELS else None,
    }


def _of_model(custody: Custody, model: str, days: int, now: datetime) -> dict[str, Any]:
    events, problems = life(custody, model)
    return {"model": model, **figures(facts(events, days, now)), "verified": not problems}


def _days(call: Call) -> int:
    text = next((value for key, value in call.request.query if key == "days"), str(DAYS))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST_DAYS):
        raise invalid(f"Parameter 'days' must be a number from 1 to {MOST_DAYS}, got {text[:60]!r}.")
    return int(text)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
