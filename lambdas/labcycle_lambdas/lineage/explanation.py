"""How a version of a model came to be: from what is live back to code and data, and who did what when."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.custody import Custody, Event
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.points import json_number
from labcycle_lambdas.ledger.registry import ModelVersion, Registry
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.lineage.ancestry import ancestry
from labcycle_lambdas.lineage.life import life
from labcycle_lambdas.lineage.parts import complete, parts
from labcycle_lambdas.lineage.run_reader import RunReader

MOST_EVENTS = 500
MOST_FILES = 500
_WENT_LIVE = ("promoted", "rolled_back")
_CUT = 1_000  # characters: hundreds of params of 6,000 would be more than Lambda can answer


def explain(reader: RunReader, model: str, *, version: int | None = None, alias: str | None = None) -> dict[str, Any]:
    """The chain of a version: the one named, else the alias's, else the live one, else the newest.

    Raises
    ------
    NotFound
        If there is no such model, version or alias.
    Throttled
        If DynamoDB or S3 asks for patience.
    """
    registry, deployments = Registry(reader.table), Deployments(reader.table)
    current = deployments.current(model)
    live = current.live
    found = _version(registry, model, version, alias, live)
    is_live = live is not None and live.version == found.version
    was = next((p for p in current.previous if p.version == found.version), None)
    bytes_known = live if is_live else deployments.whole(model, was) if was else None
    events, problems = life(Custody(reader.table), model)
    mine = [event for event in events if _touches(event, found.version)]
    went_live = next(
        (e for e in reversed(mine) if e.action in _WENT_LIVE and e.detail["version"] == found.version), None
    )
    return {
        "model": model,
        "version": _version_doc(found),
        "deployment": {
            "live": is_live,
            "live_version": live.version if live else None,
            "since": went_live.at if went_live else None,
            "by": went_live.who["member"] or went_live.who["role"] if went_live else None,
            "generation": current.generation,
        },
        "files": _files(found, bytes_known),
        "files_left_out": max(0, len(found.files) - MOST_FILES),
        "run": _run(reader, found.run_id),
        "events": [asdict(event) for event in mine[-MOST_EVENTS:]],
        "events_left_out": max(0, len(mine) - MOST_EVENTS),
        "verified": not problems,
        "problems": problems,
    }


def run_doc(reader: RunReader, run: Run) -> dict[str, Any]:
    """A run with its six parts, its data and its ancestry. Params and tags are cut at 1,000 characters."""
    found = parts(reader.record(run))
    return {
        "run_id": run.run_id,
        "name": run.name,
        "experiment_id": run.experiment_id,
        "status": run.status,
        "lifecycle_stage": run.lifecycle_stage,
        "user_id": run.user_id,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "artifact_uri": run.artifact_uri,
        "params": {key: value[:_CUT] for key, value in run.params.items()},
        "metrics": {key: json_number(value) for key, value in run.metrics.items()},
        "tags": {key: value[:_CUT] for key, value in run.tags.items()},
        "inputs": [asdict(item) for item in reader.inputs(run)],
        "complete": complete(found),
        "parts": [asdict(part) for part in found],
        "ancestry": [asdict(ancestor) for ancestor in ancestry(Runs(reader.table), run)],
    }


def _run(reader: RunReader, run_id: str) -> dict[str, Any] | None:
    if not run_id:
        return None
    try:
        return run_doc(reader, Runs(reader.table).get(run_id))
    except NotFound:
        return None


def _version(
    registry: Registry, model: str, version: int | None, alias: str | None, live: Deployed | None
) -> ModelVersion:
    if version is not None:
        return registry.version(model, version)
    if alias is not None:
        found = registry.by_alias(model, alias)
        if found is None:
            known = ", ".join(sorted(registry.model(model).aliases)) or "none"
            raise NotFound(f"Registered model {model} has no alias {alias}; its aliases: {known}.")
        return found
    if live is not None:
        return registry.version(model, live.version)
    newest = registry.by_alias(model, "latest")
    if newest is None:
        raise NotFound(f"Registered model {model} has no version.")
    return newest


def _touches(event: Event, version: int) -> bool:
    """Whether an event is about this version, or about the model as a whole."""
    numbers = [event.detail[key] for key in event.detail if key == "version" or key.endswith("_version")]
    return not numbers or version in numbers


def _version_doc(found: ModelVersion) -> dict[str, Any]:
    fields = (
        "version",
        "source",
        "run_id",
        "model_id",
        "creation_timestamp",
        "description",
        "stage",
        "user_id",
        "tags",
    )
    return {**{name: getattr(found, name) for name in fields}, "aliases": list(found.aliases)}


def _files(found: ModelVersion, deployed: Deployed | None) -> list[dict[str, Any]]:
    """The pinned files; a digest is known of those that were promoted."""
    known = {(file.key, file.version_id): file.sha256 for file in deployed.files} if deployed else {}
    return [asdict(file) | {"sha256": known.get((file.key, file.version_id))} for file in found.files[:MOST_FILES]]
