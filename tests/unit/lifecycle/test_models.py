"""The models of a team, and one of them as an operator looks at it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations, MonitorState
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.lifecycle import models
from labcycle_lambdas.lifecycle.models import overview_at
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.serving.workshop import MODEL, REVIEWER, TEAM, World, classifier, reference_table, request

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def api(world: World) -> Lifecycle:
    return Lifecycle(world.table, world.preflight, Members(TEAM))


def get(api: Lifecycle, path: str, **query: str) -> tuple[int, dict[str, Any]]:
    asked = replace(request("GET", f"/labcycle/1.0/{path}"), query=list(query.items()))
    answer = api.answer(asked)
    return answer.status, dict(json.loads(answer.to_event()["body"]))


def promote(world: World, version: int, at: datetime) -> None:
    deployments = Deployments(world.table, lambda: at)
    deployments.promote(MODEL, world.preflight.prepare(MODEL, version), REVIEWER, reason="better")


def serve(world: World, version: int, hours_ago: float, rows: int, number: int = 0) -> None:
    profile = {"reference": "r", "rows": rows, "counts": []}
    Profiles(world.table).write(MODEL, version, "sandbox", number, NOW - timedelta(hours=hours_ago), profile)


def test_a_list_tells_newest_and_live_of_each_model(world: World, api: Lifecycle) -> None:
    for _ in range(3):
        world.register(classifier())
    world.register(classifier(), name="another")
    Registry(world.table).register("prompt", {"mlflow.prompt.is_prompt": "true"})
    Registry(world.table).register("empty")
    Registry(world.table).delete_version(MODEL, 1, REVIEWER)
    promote(world, 2, NOW)
    status, said = get(api, "models")
    assert (status, said["team"], said["next"]) == (200, TEAM, None)
    another, mine, empty = said["models"]
    assert [model["name"] for model in said["models"]] == ["another", MODEL, "empty"]
    assert (mine["versions"], mine["newest"]["version"], mine["newest"]["registered_by"]) == (2, 3, "reviewer-1")
    assert mine["live"] == {"version": 2, "promoted_at": "2026-11-20T12:00:00.000Z", "promoted_by": "reviewer-1"}
    assert (another["versions"], another["live"]) == (1, None)
    assert (empty["versions"], empty["newest"], empty["live"]) == (0, None, None)


def test_a_long_list_comes_in_pages(world: World, api: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MOST_MODELS", 2)
    for name in "abcde":
        Registry(world.table).register(name)
    found, after = [], ""
    while True:
        page = get(api, "models", after=after)[1]
        found.append([model["name"] for model in page["models"]])
        if page["next"] is None:
            break
        after = page["next"]
    assert found == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("after", ["x" * 1_025, "\ud800"])
def test_what_can_be_no_name_is_refused(api: Lifecycle, after: str) -> None:
    status, said = get(api, "models", after=after)
    assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "'after'" in said["message"]


def test_an_overview_tells_how_the_live_version_fares(world: World) -> None:
    for _ in range(2):
        world.register(classifier(), run_id=world.run({"reference.json": reference_table()}))
    promote(world, 1, NOW - timedelta(days=20))
    promote(world, 2, NOW - timedelta(days=2))
    for number, (hours_ago, rows) in enumerate([(1, 10), (23, 20), (25, 300), (167, 4_000), (169, 50_000)]):
        serve(world, 2, hours_ago, rows, number)
    serve(world, 1, 1, 600_000)
    found = overview_at(world.table, MODEL, NOW)
    assert (found["live"]["version"], found["live"]["promoted_by"], found["generation"]) == (2, "reviewer-1", 2)
    assert [(one["version"], one["registered"]) for one in found["previous"]] == [(1, True)]
    assert found["traffic"]["last_24_hours"] == {"rows": 30, "since": "2026-11-19T12:00:00.000Z", "whole": True}
    assert found["traffic"]["last_7_days"] == {"rows": 4_330, "since": "2026-11-13T12:00:00.000Z", "whole": True}
    assert [version["version"] for version in found["versions"]] == [2, 1]
    assert found["versions"][0]["aliases"] == ["champion"]
    (decision,) = found["decisions"]  # the other is older than 14 days
    assert (decision["action"], decision["detail"]["reason"]) == ("promoted", "better")
    assert (found["drift"], found["notes"]) == (None, [])


def test_a_pause_and_a_version_that_is_tried_are_told(world: World) -> None:
    for _ in range(2):
        world.register(classifier())
    promote(world, 1, NOW)
    found = overview_at(world.table, MODEL, NOW)
    assert (found["pause"], found["canary"]) == (None, None)
    deployments = Deployments(world.table, lambda: NOW)
    deployments.try_out(MODEL, world.preflight.prepare(MODEL, 2), 10, REVIEWER)
    deployments.pause(MODEL, None, REVIEWER, reason="bad input")
    found = overview_at(world.table, MODEL, NOW)
    at = "2026-11-20T12:00:00.000Z"
    assert found["canary"] == {"version": 2, "percent": 10, "promoted_at": at, "promoted_by": "reviewer-1"}
    assert found["pause"] == {"answer": None, "at": at, "by": "reviewer-1", "reason": "bad input"}
    assert [event["action"] for event in found["decisions"]] == ["paused", "canary_started", "promoted"]


def test_a_version_that_cannot_come_back_is_told(world: World) -> None:
    for _ in range(2):
        world.register(classifier())
    promote(world, 1, NOW)
    promote(world, 2, NOW)
    Registry(world.table).delete_version(MODEL, 1, REVIEWER)
    found = overview_at(world.table, MODEL, NOW)
    assert [(one["version"], one["registered"]) for one in found["previous"]] == [(1, False)]
    assert "No drift check" in found["notes"][0]


def test_more_profiles_than_can_be_read_are_told_as_less_than_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MOST_PROFILES", 2)
    world.register(classifier())
    promote(world, 1, NOW)
    for number, hours_ago in enumerate([1, 2, 3]):
        serve(world, 1, hours_ago, 10, number)
    traffic = overview_at(world.table, MODEL, NOW)["traffic"]
    assert traffic["last_24_hours"] == {"rows": 20, "since": "2026-11-20T09:00:00.000Z", "whole": False}
    assert traffic["last_7_days"] == traffic["last_24_hours"]


def test_the_last_evaluation_is_told_with_what_moved_most(world: World) -> None:
    world.register(classifier())
    promote(world, 1, NOW)
    evaluations = Evaluations(world.table, Custody(world.table))
    for key, verdict in (("2026-11-20T10:00:00.000Z", "stable"), ("2026-11-20T11:00:00.000Z", "drifted")):
        evaluation = {
            "version": 1,
            "verdict": verdict,
            "reason": "so",
            "rows": 600,
            "threshold": 0.2,
            "consecutive": 1,
            "persistence": 1,
            "evaluated_at": key,
            "features": {f"f{i}": 1.0 - i / 10 for i in range(8)},
            "table": [],
        }
        _, item = evaluations.state(MODEL)
        evaluations.record(MODEL, key, evaluation, MonitorState(last_key=key), item)
    drift = overview_at(world.table, MODEL, NOW)["drift"]
    assert (drift["verdict"], drift["evaluated_at"]) == ("drifted", "2026-11-20T11:00:00.000Z")
    assert drift["features"] == {"f0": 1.0, "f1": 0.9, "f2": 0.8, "f3": 0.7, "f4": 0.6}


def test_labels_are_no_decisions_and_the_newest_decision_is_first(world: World) -> None:
    for _ in range(2):
        world.register(classifier())
    registry = Registry(world.table, lambda: NOW)
    promote(world, 1, NOW)
    registry.set_tag(MODEL, "a", "b", REVIEWER)
    registry.set_alias(MODEL, "blue", 1, REVIEWER)
    promote(world, 2, NOW)
    registry.transition(MODEL, 1, "Archived", REVIEWER)
    actions = [event["action"] for event in overview_at(world.table, MODEL, NOW)["decisions"]]
    assert actions == ["stage_changed", "promoted", "promoted"]


def test_completeness_names_what_each_of_the_newest_versions_lacks(
    world: World, api: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MOST_VERSIONS", 2)
    run_id = world.run({"recipe/train.py": b"pass"})
    Runs(world.table).log_batch(run_id, params={"c": "1"})
    world.register(classifier())
    world.register(classifier(), run_id=run_id)
    world.register(classifier())
    status, said = get(api, f"models/{MODEL}/completeness")
    assert status == 200
    lacking = ["data", "environment", "libraries", "results"]
    assert said["versions"] == [
        {"version": 3, "complete": False, "missing": ["run"]},
        {"version": 2, "complete": False, "missing": lacking},
    ]
    overview = get(api, f"models/{MODEL}/overview")[1]
    assert [version["version"] for version in overview["versions"]] == [3, 2]
    assert overview["versions_left_out"] == 1


@pytest.mark.parametrize("what", ["overview", "completeness", "pace"])
def test_of_no_model_nothing_is_told(api: Lifecycle, what: str) -> None:
    status, said = get(api, f"models/none/{what}")
    assert (status, said["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_whoever_may_not_read_is_refused(world: World) -> None:
    api = Lifecycle(world.table, world.preflight, Members(TEAM, {"reviewer-1": frozenset({"promote"})}))
    for path in ("models", f"models/{MODEL}/overview", f"models/{MODEL}/completeness", "pace"):
        assert get(api, path)[0] == 403
