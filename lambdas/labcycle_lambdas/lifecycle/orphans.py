"""Models that nobody looks after, or that look after nobody: rules, and the evidence of each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import PREVIOUS_KEPT, Deployment, Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.registry import RegisteredModel
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.models import name_after, page_of_models

DAYS, MOST_DAYS = 30, 999
MOST_MODELS = 50  # of a page
_READERS = 8
_NAMED = 10  # versions in a piece of evidence


@dataclass(frozen=True)
class Finding:
    """`evidence` is a sentence with what was looked at and found."""

    rule: str
    evidence: str


def of_team(call: Call) -> dict[str, Any]:
    """What is found of the models of a page; those of which nothing is found are left out."""
    days = call.number("days", MOST_DAYS) or DAYS
    page, following = page_of_models(call.table, name_after(call), MOST_MODELS)
    now = datetime.now(UTC)
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(lambda model: list(findings(call, model, days, now)), page))
    return {
        "team": call.members.team,
        "days": days,
        "models": [
            {"model": model.name, "findings": [asdict(one) for one in ones]}
            for model, ones in zip(page, found, strict=True)
            if ones
        ],
        "looked_at": len(page),
        "next": following,
    }


def findings(call: Call, model: RegisteredModel, days: int, now: datetime) -> Iterator[Finding]:
    """What the rules find of one model at `now`. Raises `Throttled`."""
    if call.preflight.declared(model.name) is None:
        yield Finding("no_owner", "no stack of this team has the model, so that no team file names a business owner")
    record = Deployments(call.table).current(model.name)
    since = now - timedelta(days=days)
    if record.live is None:
        registered = f"{len(model.versions)} versions are registered" if model.versions else "no version is registered"
        yield Finding("no_live_version", f"{registered}, and none is live")
    else:
        yield from _of_live(call, model.name, record, since)
    old = _never_promoted(model, record, since)
    if old:
        named = ", ".join(str(number) for number in old[:_NAMED])
        more = f" and {len(old) - _NAMED} more" if len(old) > _NAMED else ""
        yield Finding(
            "never_promoted", f"registered before {stamp(since)[:10]} and never promoted: version {named}{more}"
        )


def _of_live(call: Call, model: str, record: Deployment, since: datetime) -> Iterator[Finding]:
    live = record.live
    assert live
    settled = datetime.fromisoformat(live.promoted_at) < since  # else it had no time to be asked
    newest = next(Profiles(call.table).newest_first(model, live.version), None)
    if settled and (newest is None or newest.window_start < since):
        last = f"the last rows came at {stamp(newest.window_start)}" if newest else "no row ever came"
        yield Finding("no_traffic", f"version {live.version} is live since {live.promoted_at}; {last}")
    if settled and not Outcomes(call.table).versions(model):
        yield Finding(
            "no_labels", f"version {live.version} is live since {live.promoted_at}; no outcome of any version ever came"
        )
    if Evaluations(call.table, Custody(call.table)).state(model)[0] is None:
        why = "" if live.reference else ", and its run logged no reference.json to compare with"
        yield Finding("never_evaluated", f"version {live.version} is live since {live.promoted_at}, never judged{why}")


def _never_promoted(model: RegisteredModel, record: Deployment, since: datetime) -> list[int]:
    """Versions, the newest first. The record forgets what was live long ago: then only what is newer than that is told."""
    beside = [one.deployed.version for one in (record.canary, record.shadow) if one]
    known = {*beside, *(one.version for one in record.previous), *([record.live.version] if record.live else [])}
    from_ = min(known) if len(record.previous) >= PREVIOUS_KEPT else 0
    return [
        version.version
        for version in reversed(model.versions)
        if version.version > from_
        and version.version not in known
        and version.creation_timestamp < since.timestamp() * 1000
    ]
