"""What is said of a version that is tried."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.traffic import BINS, Tally, Traffic
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.lifecycle.trial import BAD, GOOD, NOT_ENOUGH, Side, judged
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
    reference_table,
    request,
)


def side(requests: int, failed: int = 0, milliseconds: float = 5, *, moved: float | None = None, rows: int = 0) -> Side:
    tally = Tally()
    for number in range(requests):
        tally.count(milliseconds, failed=number < failed)
    return Side("canary", 2, tally, rows, moved)


@pytest.mark.parametrize(
    ("live", "canary", "verdict", "said"),
    [
        (side(0), side(0), NOT_ENOUGH, "0 answers of at least 100"),
        (side(900), side(99), NOT_ENOUGH, "99 answers of at least 100"),
        (side(900), side(100), GOOD, "100 answers, 0 of them failed"),
        (side(900), side(10, 3), BAD, "3 of 10 answers failed (30.0%); of the live version 0 of 900 (0.0%)"),
        (side(900), side(10, 2), NOT_ENOUGH, "10 answers"),
        (side(900, 300), side(100, 33), GOOD, "33 of them failed"),
        (side(900), side(1000, 9), GOOD, "9 of them failed"),
        (side(900), side(100, milliseconds=55), BAD, "99 of 100 answers took up to 70 ms; of the live version up to 5 ms"),
        (side(900), side(100, milliseconds=45), GOOD, "100 answers"),
        (side(900), side(99, milliseconds=500), NOT_ENOUGH, "99 answers"),
        (side(99), side(900, milliseconds=500), GOOD, "900 answers"),
        (side(900), side(100, milliseconds=60_000), BAD, "took up to more than can be told"),
        (side(900), side(100, moved=0.3, rows=100), BAD, "moved from its training by 0.30"),
        (side(900), side(100, moved=0.3, rows=99), GOOD, ""),
        (side(900, moved=0.4, rows=900), side(100, moved=0.3, rows=100), GOOD, ""),
    ],
)  # fmt: skip
def test_the_verdict(live: Side, canary: Side, verdict: str, said: str) -> None:
    found, reasons = judged(live, canary)
    assert (found, said in reasons[0]) == (verdict, True), reasons


def asked(api: Lifecycle, model: str = MODEL) -> tuple[int, dict[str, Any]]:
    answer = api.answer(request("GET", f"/labcycle/1.0/models/{model}/trial"))
    return answer.status, dict(json.loads(answer.to_event()["body"]))


def test_both_sides_since_the_trial_began(world: World) -> None:
    api = Lifecycle(world.table, world.preflight, Members(TEAM))
    run_id = world.run({"reference.json": reference_table()})
    for _ in range(2):
        world.register(classifier(), run_id=run_id)
    assert asked(api)[1]["sides"] == []
    world.promote(1)
    assert asked(api)[1] | {"model": ""} == {
        "model": "", "percent": None, "since": None, "sides": [], "verdict": None, "reasons": []
    }  # fmt: skip
    prepared = world.preflight.prepare(MODEL, 2)
    world.deployments.try_out(MODEL, prepared, 10, REVIEWER)
    now, before = datetime.now(UTC) + timedelta(seconds=1), datetime(2026, 1, 1, tzinfo=UTC)
    assert prepared.reference
    profile = Profile(Reference.from_doc(prepared.reference))
    profile.add(FEATURES, ROWS.tolist(), LABELS.tolist())
    for version, requests, failed in ((1, 900, 0), (2, 100, 30)):
        tally = Tally(requests, failed, [0, requests, *([0] * (len(BINS) - 1))])
        Traffic(world.table).write(MODEL, version, "sandbox", 1, now, tally)
        Traffic(world.table).write(MODEL, version, "sandbox", 0, before, tally)
        Profiles(world.table).write(MODEL, version, "sandbox", 1, now, profile.to_doc())
    status, found = asked(api)
    assert (status, found["percent"], found["verdict"]) == (200, 10, BAD)
    live, canary = found["sides"]
    assert (live["version"], live["requests"], live["failed"], live["p99_ms"]) == (1, 900, 0, 2)
    assert (canary["version"], canary["requests"], canary["failed_share"]) == (2, 100, 0.3)
    assert canary["profiled_rows"] == len(ROWS)
    assert canary["prediction_psi"] == 0
    assert asked(api, "unknown")[0] == 404
