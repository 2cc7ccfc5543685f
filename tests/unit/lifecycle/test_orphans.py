"""Models that nobody looks after: each rule finds what it is for, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle import orphans
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.orphans import findings
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.lifecycle.watched import Watched, at
from tests.unit.serving.workshop import BUCKET, MODEL, TEAM, World, classifier, request

OWNED: dict[str, Any] = {"business_owner": "head-of-cards", "monitor": None, "react": []}


def found(world: World, declared: dict[str, Any] | None, now: datetime, days: int = 30) -> dict[str, str]:
    preflight = Preflight(world.table, world.s3, BUCKET, declared=lambda model: declared)
    call = Call(world.table, preflight, Members(TEAM), request("GET", "/"), {}, None)
    return {one.rule: one.evidence for one in findings(call, Registry(world.table).model(MODEL), days, now)}


def test_a_model_that_is_looked_after_is_no_finding(world: World) -> None:
    model = Watched(world)
    model.promote()
    model.flows(24 * 39)
    model.evaluated(24 * 39, "stable")
    Outcomes(world.table).name_version(MODEL, 1)
    assert found(world, OWNED, at(24 * 40)) == {}


def test_a_model_needs_an_owner(world: World) -> None:
    model = Watched(world)
    model.promote()
    model.evaluated(1, "stable")
    model.flows(1)
    assert "no stack of this team" in found(world, None, at(2))["no_owner"]


def test_a_model_needs_a_live_version(world: World) -> None:
    Registry(world.table).register(MODEL)
    assert found(world, OWNED, at(0)) == {"no_live_version": "no version is registered, and none is live"}
    world.register(classifier())
    assert found(world, OWNED, at(0))["no_live_version"] == "1 versions are registered, and none is live"


def test_a_live_version_is_asked_and_judged(world: World) -> None:
    model = Watched(world)
    model.promote()
    assert set(found(world, OWNED, at(24))) == {"never_evaluated"}  # it had no time to be asked
    assert found(world, OWNED, at(24 * 31))["no_traffic"].endswith("no row ever came")
    model.flows(24)
    model.evaluated(24, "stable")
    assert set(found(world, OWNED, at(24 * 31))) == {"no_labels"}
    assert found(world, OWNED, at(24 * 31))["no_labels"].endswith("no outcome of any version ever came")
    Outcomes(world.table).name_version(MODEL, 1)
    assert found(world, OWNED, at(24 * 31)) == {}
    old = found(world, OWNED, at(24 * 40))
    assert old == {
        "no_traffic": "version 1 is live since 2026-11-20T12:00:00.000Z; the last rows came at 2026-11-21T12:00:00.000Z"
    }
    assert found(world, OWNED, at(24 * 40), days=60) == {}


def test_what_cannot_be_judged_says_why(world: World) -> None:
    Watched(world).promote(reference=False)
    assert "logged no reference.json" in found(world, OWNED, at(1))["never_evaluated"]


def test_versions_that_were_never_promoted(world: World) -> None:
    model = Watched(world)
    for _ in range(12):
        world.register(classifier())
    model.promote()
    model.evaluated(1, "stable")
    registered = datetime.fromtimestamp(Registry(world.table).versions(MODEL)[0].creation_timestamp / 1000, UTC)
    told = found(world, OWNED, registered + timedelta(days=31))["never_promoted"]
    assert told.endswith("version 12, 11, 10, 9, 8, 7, 6, 5, 4, 3 and 2 more")
    assert "never_promoted" not in found(world, OWNED, registered + timedelta(days=29))


def test_the_team_comes_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "MOST_MODELS", 2)
    for name in "abc":
        Registry(world.table).register(name)
    api = Lifecycle(world.table, world.preflight, Members(TEAM))

    def get(**query: str) -> tuple[int, Any]:
        answer = api.answer(replace(request("GET", "/labcycle/1.0/orphans"), query=list(query.items())))
        return answer.status, json.loads(answer.to_event()["body"])

    status, first = get()
    _, second = get(after=first["next"], days="7")
    assert (status, first["days"], second["days"], first["looked_at"]) == (200, 30, 7, 2)
    assert [[one["model"] for one in page["models"]] for page in (first, second)] == [["a", "b"], ["c"]]
    assert [one["rule"] for one in first["models"][0]["findings"]] == ["no_owner", "no_live_version"]
    assert get(days="0")[0] == 400
