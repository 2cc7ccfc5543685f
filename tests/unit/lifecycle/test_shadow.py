"""A shadow is begun and ended by the API, which tells how it does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Seen, Shadows
from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.lifecycle.preflight import HELD, LOADED, QUEUE_MB, RUNTIME_MB, Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.profiles import Profile, Reference
from tests.unit.serving.workshop import (
    FEATURES,
    LABELS,
    MODEL,
    REVIEWER,
    ROWS,
    TEAM,
    World,
    classifier,
    mixed,
    reference_table,
    request,
)

ROOT = f"/labcycle/1.0/models/{MODEL}"
NOTHING = {"version": None, "percent": None, "since": None, "requests": None, "agreement": None, "problem": None}


@pytest.fixture
def api(world: World) -> Lifecycle:
    return made(world, "function")


def made(world: World, place: str | None) -> Lifecycle:
    return Lifecycle(world.table, replace(world.preflight, shadow_place=lambda model: place), Members(TEAM))


def said(api: Lifecycle, method: str, path: str, body: object = b"") -> tuple[int, dict[str, Any]]:
    answer = api.answer(request(method, path, body))
    return answer.status, dict(json.loads(answer.to_event()["body"]))


def test_begin_change_end(world: World, api: Lifecycle) -> None:
    for _ in range(2):
        world.register(classifier())
    world.promote(1)
    status, begun = said(api, "POST", f"{ROOT}/shadow", {"version": "2", "reason": "holidays"})
    assert (status, begun["changed"]) == (200, True)
    shadow = begun["deployment"]["shadow"]
    assert (shadow["deployed"]["version"], shadow["percent"], shadow["in_process"]) == (2, 100, False)
    assert [note.split(":")[0] for note in begun["notes"]] == ["No drift check"]
    assert said(api, "POST", f"{ROOT}/shadow", {"version": 2, "percent": 5})[1]["deployment"]["shadow"]["percent"] == 5
    assert said(api, "GET", f"{ROOT}/overview")[1]["shadow"]["version"] == 2
    ended = said(api, "POST", f"{ROOT}/shadow/end", {"reason": "enough"})[1]
    assert (ended["changed"], ended["deployment"]["shadow"]) == (True, None)
    assert said(api, "POST", f"{ROOT}/shadow/end", {})[1]["changed"] is False
    events = Custody(world.table).events(f"model/{MODEL}")[-3:]
    assert [(event.action, event.who["member"]) for event in events] == [
        ("shadow_started", "reviewer-1"),
        ("shadow_changed", "reviewer-1"),
        ("shadow_ended", "reviewer-1"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "required parameter 'version'"),
        ({"version": 2, "percent": 0}, 400, "a whole number from 1 to 100, got 0. Leave it out for all."),
        ({"version": 2, "percent": 101}, 400, "from 1 to 100"),
        ({"version": 9}, 404, "not found"),
        ({"version": 1}, 400, "is live: it answers requests already"),
        ({"version": 3}, 400, "A shadow sees what they send: it would fail."),
        ({"version": 4}, 400, "MLmodel"),
    ],
)
def test_what_is_refused(world: World, api: Lifecycle, body: object, status: int, says: str) -> None:
    for files in (classifier(), classifier(), mixed(), {"model.onnx": b"x"}):
        world.register(files)
    world.promote(1)
    answered, answer = said(api, "POST", f"{ROOT}/shadow", body)
    assert (answered, says in answer["message"]) == (status, True), answer


def test_without_a_place_for_it_what_to_add_is_told(world: World) -> None:
    api = made(world, None)
    world.promote(world.register(classifier()))
    world.register(classifier())
    status, answer = said(api, "POST", f"{ROOT}/shadow", {"version": 2})
    assert status == 400
    assert "{form: api, runtime: lambda, shadow: {concurrency: 2}}" in answer["message"]
    assert said(api, "POST", f"{ROOT}/shadow", {"version": 9})[0] == 404


def test_how_it_does(world: World, api: Lifecycle) -> None:
    run_id = world.run({"reference.json": reference_table()})
    for _ in range(2):
        world.register(classifier(), run_id=run_id)
    nothing: dict[str, Any] = {"model": MODEL, **NOTHING, "sides": []}
    assert said(api, "GET", f"{ROOT}/shadow") == (200, nothing)
    world.promote(1)
    assert said(api, "GET", f"{ROOT}/shadow") == (200, nothing)
    said(api, "POST", f"{ROOT}/shadow", {"version": 2, "percent": 50})
    record = world.deployments.current(MODEL)
    assert record.shadow
    assert record.live
    now = datetime.now(UTC) + timedelta(seconds=1)
    of, shadows = Comparison(2, record.shadow.deployed.promoted_at, 1), Shadows(world.table)
    assert said(api, "GET", f"{ROOT}/shadow")[1]["agreement"]["same_share"] is None
    seen = Seen(rows=40, same=30, numbers=4, difference=2.0, problem="CannotCompute: no")
    for number in range(10):
        seen.tally.count(60.0, failed=number < 2)
        seen.live.count(4.0, failed=False)
    shadows.write(MODEL, of, "s", 1, now, seen)
    shadows.write(MODEL, of, "s", 1, now, Offered(20, too_large=3, not_taken=2))
    assert record.shadow.deployed.reference
    profile = Profile(Reference.from_doc(record.shadow.deployed.reference))
    profile.add(FEATURES, ROWS.tolist(), LABELS.tolist())
    Profiles(world.table, "SHADOWPROFILE").write(MODEL, 2, "s", 1, now, profile.to_doc())
    status, found = said(api, "GET", f"{ROOT}/shadow")
    assert (status, found["version"], found["percent"]) == (200, 2, 50)
    assert found["since"] == record.shadow.deployed.promoted_at
    assert found["requests"] == {
        "offered": 20, "seen": 10, "failed": 2, "too_large": 3, "not_taken": 2, "not_arrived": 5
    }  # fmt: skip
    assert found["agreement"] == {
        "rows": 40, "same": 30, "same_share": 0.75, "numbers": 4, "mean_absolute_difference": 0.5
    }  # fmt: skip
    live, shadow = found["sides"]
    assert (live["side"], live["version"], live["p99_ms"], live["profiled_rows"]) == ("live", 1, 5.0, 0)
    assert (shadow["side"], shadow["version"], shadow["requests"], shadow["failed"]) == ("shadow", 2, 10, 2)
    assert (shadow["p99_ms"], shadow["profiled_rows"], shadow["prediction_psi"]) == (70.0, len(ROWS), 0)
    assert found["problem"] == "CannotCompute: no"
    shadows.write(MODEL, of, "s", 2, now, Seen(Tally(50, 0, [0] * 24), Tally(50, 0, [0] * 24)))
    assert said(api, "GET", f"{ROOT}/shadow")[1]["requests"]["offered"] == 65, "at least what it saw, and what is known"
    assert said(api, "GET", "/labcycle/1.0/models/unknown/shadow")[0] == 404
    world.promote(world.register(classifier(), run_id=run_id))
    after = said(api, "GET", f"{ROOT}/shadow")[1]
    assert (after["requests"]["seen"], after["since"] > found["since"]) == (0, True), "another version is live"


def megabytes(count: int) -> dict[str, bytes]:
    return {**classifier().files(), "more.bin": b"0" * count * 1_000_000}


def sized(world: World, place: str, memory_mb: int) -> Preflight:
    return replace(world.preflight, server_memory_mb=lambda model: memory_mb, shadow_place=lambda model: place)


def test_the_process_has_memory_for_all_of_them_together(world: World) -> None:
    for count in (2, 3, 4):
        world.register(megabytes(count))
    world.promote(1)
    world.deployments.try_out(MODEL, world.preflight.prepare(MODEL, 2), 10, REVIEWER)
    needed = RUNTIME_MB + LOADED * 4 + HELD * (2 + 3) + QUEUE_MB
    with pytest.raises(Refused, match=rf"{QUEUE_MB + 10} MB for what runs beside it.*begin the shadow again"):
        sized(world, "process", needed).prepare(MODEL, 3, as_shadow=True)
    deployed = sized(world, "process", needed + 1).prepare(MODEL, 3, as_shadow=True)
    sized(world, "function", RUNTIME_MB + 5 * 4 + 1).prepare(MODEL, 3, as_shadow=True)
    enough = RUNTIME_MB + 5 * 3 + 1
    sized(world, "process", enough).prepare(MODEL, 2)
    world.deployments.begin_shadow(MODEL, deployed, 100, REVIEWER, in_process=True)
    with pytest.raises(Refused, match=rf"{HELD * 4 + QUEUE_MB} MB for what runs beside it.*promote again"):
        sized(world, "process", enough).prepare(MODEL, 2)
    sized(world, "process", enough + HELD * 4 + QUEUE_MB).prepare(MODEL, 2)
    sized(world, "process", RUNTIME_MB + 5 * 4 + 1).prepare(MODEL, 3)


@pytest.mark.parametrize("path", ["shadow", "shadow/end"])
def test_who_may_not_promote_may_not_begin_or_end_one(world: World, api: Lifecycle, path: str) -> None:
    world.promote(world.register(classifier()))
    world.register(classifier())
    rights = {"reviewer-1": frozenset({"read", "log", "register"})}
    limited = replace(api, members=Members(TEAM, rights))
    assert said(limited, "POST", f"{ROOT}/{path}", {"version": 2})[0] == 403
    assert said(limited, "GET", f"{ROOT}/shadow")[0] == 200
