"""How fast a team's models come into service, and how often they leave it again: figures from the chains of custody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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

DAYS, MOST_DAYS = 90, 3_650
MOST_MODELS = 1_000  # the whole chain of each is read, about 10 ms
_MONTH_DAYS = 30
_READERS = 8


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
        version = _version(event, "version")
        if event.action == "registered" and version:
            registered_at[version] = event.at
        elif event.action == "promoted":
            if version not in promotion_of and version in registered_at and event.at >= since:
                lead_times.append(_seconds(registered_at[version], event.at))
            if version:
                promotion_of[version] = len(promotions)
            promotions.append((event.at, False))
        elif event.action == "rolled_back":
            place = promotion_of.get(_version(event, "previous_version"))
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
    days, model = call.number("days", MOST_DAYS) or DAYS, call.path["model"]
    Registry(call.table).model(model)
    return _doc(model, *_facts(Custody(call.table), model, days, datetime.now(UTC)))


def of_team(call: Call) -> dict[str, Any]:
    """The figures of each model and of all together; `whole` is false where a team has more models than are read."""
    days, now = call.number("days", MOST_DAYS) or DAYS, datetime.now(UTC)
    names = [model.name for model in islice(models(call.table), MOST_MODELS + 1)]
    custody = Custody(call.table)
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(lambda name: _facts(custody, name, days, now), names[:MOST_MODELS]))
    return {
        "team": call.members.team,
        "models": [_doc(name, of, whole) for name, (of, whole) in zip(names, found, strict=False)],
        "together": figures(together(days, (of for of, _ in found))),
        "whole": len(names) <= MOST_MODELS,
    }


def _facts(custody: Custody, model: str, days: int, now: datetime) -> tuple[Facts, bool]:
    """And whether the chain that they are from is whole."""
    events, problems = life(custody, model)
    return facts(events, days, now), not problems


def _doc(model: str, of: Facts, verified: bool) -> dict[str, Any]:
    return {"model": model, **figures(of), "verified": verified}


def _version(event: Event, key: str) -> int:
    """0, which no version has, where an event was changed into something else."""
    number = event.detail.get(key)
    return number if isinstance(number, int) else 0


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
