"""How live models fare: what the monitor found last, what it would find now over any window, and the page that shows what moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.usage import Usage
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.live_window import columns, deployed, live_window
from labcycle_lambdas.lifecycle.models import name_after, page_of_models
from labcycle_lambdas.lifecycle.standing import Evaluation, standing, trend
from labcycle_lambdas.lifecycle.usage import MOST_WINDOWS, summed
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.profiles import Reference

EVALUATIONS = 48  # that a standing rests on: two days of hourly ones
MOST_MODELS = 25  # of a page
MOST_HOURS = 744
MOST_EVENTS = 50
_READERS = 8
_DAY = timedelta(days=1)
# What counts where no stack of the team says it: the defaults of the team file.
_DEFAULTS: Mapping[str, Any] = {"method": "psi", "limit": 0.2, "minimum_rows": 500, "window_hours": 24}
_MARKED = {"promoted", "rolled_back", "paused", "resumed", "canary_started", "retraining_started"}
_HTML = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}


def of_model(call: Call) -> dict[str, Any]:
    """What the monitor found of one model."""
    model = call.path["model"]
    Registry(call.table).model(model)
    return standing_at(call, model, datetime.now(UTC))


def of_team(call: Call) -> dict[str, Any]:
    """The same of each model of a page; `next` is the name behind which the following page begins."""
    page, following = page_of_models(call.table, name_after(call), MOST_MODELS)
    now = datetime.now(UTC)
    with ThreadPoolExecutor(_READERS) as pool:
        said = list(pool.map(lambda model: standing_at(call, model.name, now), page))
    return {"team": call.members.team, "models": said, "next": following}


def standing_at(call: Call, model: str, now: datetime) -> dict[str, Any]:
    """Live version, verdicts and since when, the figures of the last evaluations, requests of the last day, and the reaction, as they are
    at `now`. Raises `Throttled`."""
    table, custody = call.table, Custody(call.table)
    record = Deployments(table).current(model)
    found = list(islice(Evaluations(table, custody).newest_first(model, stamp(now)), EVALUATIONS))
    last = found[0] if found else None
    declared = call.preflight.declared(model) or {}
    every = _drift(declared).get("every_minutes")
    live = record.live
    return {
        "model": model,
        "at": stamp(now),
        "business_owner": declared.get("business_owner"),
        "live": {"version": live.version, "promoted_at": live.promoted_at, "promoted_by": live.promoted_by}
        if live
        else None,
        "subjects": standing(found),
        "evaluation": _last(last) if last else None,
        "trend": trend(found[::-1]),
        "requests": _requests(call, model, now),
        "reaction": _reaction(call, model, now, declared),
        "next_evaluation_at": stamp(datetime.fromisoformat(last["evaluated_at"]) + timedelta(minutes=every))
        if last and every
        else None,
    }


def check(call: Call) -> dict[str, Any]:
    """What the live version saw in the last `hours`, column by column, beside its training data; nothing is recorded."""
    return check_at(call, call.path["model"], call.number("hours", MOST_HOURS), datetime.now(UTC))


def check_at(call: Call, model: str, hours: int | None, now: datetime) -> dict[str, Any]:
    """The same as it is at `now`. Raises `NotFound`, `Throttled`."""
    Registry(call.table).model(model)
    settings = {**_DEFAULTS, **_drift(call.preflight.declared(model) or {})}
    hours = hours or int(settings["window_hours"])
    live = Deployments(call.table).current(model).live
    if live is None:
        raise NotFound(f"{model} has no live version to check. Promote one: labcycle models promote {model} VERSION")
    if live.reference is None:
        raise NotFound(
            f"Version {live.version} of {model} has nothing to compare with: its run logged no reference.json. Log the training data "
            "as a table of that name, and promote the version that comes of it."
        )
    reference = Reference.from_doc(live.reference)
    since = max(now - timedelta(hours=hours), datetime.fromisoformat(live.promoted_at))
    seen = live_window(call.table, model, live.version, reference, since, now)
    found = columns(
        reference,
        seen.profile,
        method=settings["method"],
        threshold=settings["limit"],
        minimum_rows=settings["minimum_rows"],
    )
    verdict, reason = _verdict(found, seen.profile.rows, settings)
    return {
        "model": model,
        "version": live.version,
        "hours": hours,
        "since": stamp(seen.since),
        "until": stamp(now),
        "whole": seen.whole,
        "rows": seen.profile.rows,
        "method": settings["method"],
        "threshold": settings["limit"],
        "minimum_rows": settings["minimum_rows"],
        "verdict": verdict,
        "reason": reason,
        "columns": found,
    }


def report(call: Call) -> Response:
    """The evaluation of a time as a page: the last one at `at` or before, else the newest."""
    # Jinja would slow every cold start down, and no other endpoint needs it.
    from labcycle_lambdas.lifecycle.drift_report import render

    model, at = call.path["model"], _time(call)
    Registry(call.table).model(model)
    custody = Custody(call.table)
    history = list(islice(Evaluations(call.table, custody).newest_first(model, at), EVALUATIONS))
    if not history:
        when = f"at {at} or before" if at else "yet"
        raise NotFound(
            f"{model} was not evaluated {when}. See when it is: labcycle monitor status {model}; or judge now: labcycle monitor check {model}"
        )
    evaluation = history[0]
    version = deployed(call.table, model, evaluation["version"]) if evaluation["version"] is not None else None
    reference = Reference.from_doc(version.reference) if version and version.reference else None
    seen = None
    if reference and evaluation["window_start"]:
        since, until = (datetime.fromisoformat(evaluation[key]) for key in ("window_start", "evaluated_at"))
        seen = live_window(call.table, model, evaluation["version"], reference, since, until)
    return Response(
        body=render(evaluation, reference, seen.profile if seen else None, history, _marks(custody, model, history)),
        headers=_HTML,
    )


def _marks(custody: Custody, model: str, newest_first: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """What was decided about the model while these evaluations were made."""
    first, last = newest_first[-1]["evaluated_at"], newest_first[0]["evaluated_at"]
    events = takewhile(lambda event: event.at >= first, custody.newest_first(f"model/{model}"))
    marked = (event for event in events if event.action in _MARKED and event.at <= last)
    return [
        {"at": event.at, "action": event.action, "version": event.detail.get("version")}
        for event in islice(marked, MOST_EVENTS)
    ]


def _verdict(found: list[dict[str, Any]], rows: int, settings: Mapping[str, Any]) -> tuple[str, str]:
    if rows < settings["minimum_rows"]:
        return "not_enough_data", f"{rows} rows of at least {settings['minimum_rows']}"
    moved = [column["name"] for column in found if column["moved"]]
    if not moved:
        return "stable", f"no column reaches {settings['limit']:g}; {found[0]['name']} moved most"
    return "drifting", f"{len(moved)} of {len(found)} columns reach {settings['limit']:g}; {moved[0]} moved most"


def _last(evaluation: Evaluation) -> dict[str, Any]:
    names = ("evaluated_at", "version", "rows", "window_start", "consecutive", "persistence", "features")
    return {**{name: evaluation[name] for name in names}, "coverage": evaluation.get("coverage")}


def _requests(call: Call, model: str, now: datetime) -> dict[str, Any] | None:
    """What the servers of the model answered in the last day; None where they do not say."""
    runs_on = call.preflight.server_runs_on(model)
    if runs_on is None:
        return None
    windows = list(islice(Usage(call.table).newest_first(model, now - _DAY), MOST_WINDOWS + 1))
    figures = summed(windows[:MOST_WINDOWS], runs_on)
    whole = len(windows) <= MOST_WINDOWS
    return {**{name: figures[name] for name in ("requests", "failed", "p50_ms", "p99_ms")}, "whole": whole}


def _reaction(call: Call, model: str, now: datetime, declared: Mapping[str, Any]) -> dict[str, Any]:
    lock = Reactions(call.table, Custody(call.table)).lock(model)
    holder = lock.holder(now)
    return {
        "under_way": holder or None,
        "until": lock.expires_at if holder else None,
        "cool_downs": {do: until for do, until in lock.cool_downs.items() if now < datetime.fromisoformat(until)},
        "policies": declared.get("react", []),
    }


def _drift(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the team file says of drift."""
    found: Mapping[str, Any] = (declared.get("monitor") or {}).get("drift", {})
    return found


def _time(call: Call) -> str:
    """As the ledger writes it; "" where none is asked for."""
    text = call.asked("at")
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(
            f"Parameter 'at' must be a time in ISO 8601, such as 2026-11-27T14:00:00Z, got {text[:60]!r}."
        ) from None
    return stamp(at if at.tzinfo else at.replace(tzinfo=UTC))
