"""The registered models of a team, and one of them as an operator looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments, Previous
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.registry import ModelVersion, RegisteredModel, Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.preflight import notes
from labcycle_lambdas.lineage.parts import parts
from labcycle_lambdas.lineage.run_reader import RunReader
from labcycle_lambdas.mlflow_error import invalid, is_text

MOST_MODELS = 100  # of a page
MOST_VERSIONS = 20  # the newest ones
MOST_EVENTS = 50
MOST_PROFILES = 3_000  # a model server writes one a minute at most in each of its sandboxes
EVENT_DAYS = 14
_COLUMNS = 5  # of a drift evaluation: those that moved most
_READERS = 8
_NAME_BYTES = 1_024  # of a sort key
_PROMPT = "mlflow.prompt.is_prompt"
# A version is listed with who registered it; labels decide nothing.
_NO_DECISIONS = {
    *("created", "registered", "described", "tag_set", "tag_removed", "alias_set", "alias_removed"),
}


def listing(call: Call) -> dict[str, Any]:
    """A page of the team's models by name, prompts left out; `next` is the name behind which the following page begins."""
    page, following = page_of_models(call.table, name_after(call), MOST_MODELS)
    live = Deployments(call.table).live(model.name for model in page)
    return {
        "team": call.members.team,
        "models": [_summary(model, live.get(model.name)) for model in page],
        "next": following,
    }


def overview(call: Call) -> dict[str, Any]:
    """What is live, the versions, what was decided, and how the live one fares."""
    return overview_at(call.table, call.path["model"], datetime.now(UTC))


def completeness(call: Call) -> dict[str, Any]:
    """Of each version that the overview lists, which of the six parts of its run are whole and which are not."""
    versions = _newest(Registry(call.table).model(call.path["model"]))
    reader = RunReader(call.table, call.preflight.s3, call.preflight.bucket)
    with ThreadPoolExecutor(_READERS) as pool:
        said = list(pool.map(lambda version: _missing(reader, version), versions))
    return {
        "versions": [
            {"version": version.version, "complete": missing == [], "missing": missing}
            for version, missing in zip(versions, said, strict=True)
        ]
    }


def name_after(call: Call) -> str:
    """The name behind which a page of models begins. Raises `MlflowError` (400)."""
    after = call.asked("after") or ""
    if not is_text(after) or len(after.encode()) > _NAME_BYTES:
        raise invalid(f"Parameter 'after' must be the name of a model, of at most {_NAME_BYTES} bytes.")
    return after


def page_of_models(table: Table, after: str, most: int) -> tuple[list[RegisteredModel], str | None]:
    """At most so many models behind a name, and the name behind which the following page begins; None where there is none."""
    found = list(islice(models(table, after), most + 1))
    return found[:most], found[most - 1].name if len(found) > most else None


def models(table: Table, after: str = "") -> Iterator[RegisteredModel]:
    """Registered models behind a name, by name; prompts, which MLflow keeps among them, are none."""
    return (model for model in Registry(table).following(after) if model.tags.get(_PROMPT, "").lower() != "true")


def overview_at(table: Table, name: str, now: datetime) -> dict[str, Any]:
    """The overview as it is at `now`. Raises `NotFound`, `Throttled`."""
    model = Registry(table).model(name)
    deployment = Deployments(table).current(name)
    live, canary, pause, shadow = deployment.live, deployment.canary, deployment.pause, deployment.shadow
    listed = _newest(model)
    custody = Custody(table)
    evaluation = Evaluations(table, custody).last(name)
    since = stamp(now - timedelta(days=EVENT_DAYS))
    recent = takewhile(lambda event: event.at >= since, custody.newest_first(f"model/{name}"))
    decisions = (event for event in recent if event.action not in _NO_DECISIONS)
    return {
        "model": name,
        "description": model.description or "",
        "at": stamp(now),
        "generation": deployment.generation,
        "live": {
            "version": live.version,
            "promoted_at": live.promoted_at,
            "promoted_by": live.promoted_by,
            "source_run": live.source_run,
            "sha256": live.model_file.sha256,
        }
        if live
        else None,
        "pause": asdict(pause) if pause else None,
        "canary": _beside(canary.deployed, canary.percent) if canary else None,
        "shadow": _beside(shadow.deployed, shadow.percent) if shadow else None,
        "previous": [
            {
                "version": previous.version,
                "promoted_at": previous.promoted_at,
                "promoted_by": previous.promoted_by,
                "registered": any(version.version == previous.version for version in model.versions),
            }
            for previous in deployment.previous
        ],
        "versions": [_version(version, model) for version in listed],
        "versions_left_out": len(model.versions) - len(listed),
        "traffic": _traffic(table, name, live.version, now) if live else None,
        "drift": _drift(evaluation) if evaluation else None,
        "decisions": [asdict(event) for event in islice(decisions, MOST_EVENTS)],
        "notes": notes(live) if live else [],
    }


def _beside(deployed: Deployed, percent: int) -> dict[str, Any]:
    return {
        "version": deployed.version,
        "percent": percent,
        "promoted_at": deployed.promoted_at,
        "promoted_by": deployed.promoted_by,
    }


def _newest(model: RegisteredModel) -> list[ModelVersion]:
    return model.versions[::-1][:MOST_VERSIONS]


def _summary(model: RegisteredModel, live: Previous | None) -> dict[str, Any]:
    newest = model.versions[-1] if model.versions else None
    return {
        "name": model.name,
        "description": model.description or "",
        "versions": len(model.versions),
        "newest": {
            "version": newest.version,
            "registered_at": _at(newest.creation_timestamp),
            "registered_by": newest.user_id,
        }
        if newest
        else None,
        "live": {"version": live.version, "promoted_at": live.promoted_at, "promoted_by": live.promoted_by}
        if live
        else None,
    }


def _version(version: ModelVersion, model: RegisteredModel) -> dict[str, Any]:
    return {
        "version": version.version,
        "registered_at": _at(version.creation_timestamp),
        "registered_by": version.user_id,
        "run_id": version.run_id,
        "source": version.source,
        "description": version.description,
        "tags": version.tags,
        "aliases": sorted(alias for alias, number in model.aliases.items() if number == version.version),
    }


def _missing(reader: RunReader, version: ModelVersion) -> list[str]:
    """The parts of the version's run that are not whole; all of them where there is no run."""
    try:
        run = Runs(reader.table).get(version.run_id)
    except NotFound:
        return ["run"]
    return [part.name for part in parts(reader.record(run)) if part.state != "found"]


def _traffic(table: Table, model: str, version: int, now: datetime) -> dict[str, Any]:
    """Rows of the live version's profiles; `since` is later than asked for where there are too many to be read."""
    day, week = now - timedelta(days=1), now - timedelta(days=7)
    rows_day = rows_week = 0
    since = week
    for read, profile in enumerate(Profiles(table).newest_first(model, version)):
        if profile.window_start < week:
            break
        if read == MOST_PROFILES:
            since = profile.window_start
            break
        rows = int(profile.doc["rows"])
        rows_week += rows
        rows_day += rows if profile.window_start >= day else 0
    return {
        "last_24_hours": {"rows": rows_day, "since": stamp(max(day, since)), "whole": since <= day},
        "last_7_days": {"rows": rows_week, "since": stamp(since), "whole": since == week},
    }


def _drift(evaluation: dict[str, Any]) -> dict[str, Any]:
    fields = ("version", "verdict", "reason", "rows", "threshold", "consecutive", "persistence", "evaluated_at")
    moved = list(evaluation["features"].items())[:_COLUMNS]
    return {**{name: evaluation[name] for name in fields}, "features": dict(moved)}


def _at(milliseconds: int) -> str:
    return stamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
