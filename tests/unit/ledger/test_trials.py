"""A canary beside the live version, and a pause: one record, one event a step, repeated calls change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import ANSWER_BYTES, Deployments
from labcycle_lambdas.ledger.errors import InUse, NotFound, Refused
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from tests.unit.ledger.conftest import Clock, Faults
from tests.unit.ledger.test_deployments import MODEL, REVIEWER, actions, alias, deployed, version

Step = Callable[[], object]


@pytest.fixture
def deployments(table: Table, clock: Clock) -> Deployments:
    Registry(table, clock).register(MODEL)
    made = Deployments(table, clock)
    made.promote(MODEL, version(table), REVIEWER)
    return made


def sides(deployments: Deployments) -> tuple[int | None, int | None, int | None]:
    """Live version, canary, percent."""
    now = deployments.current(MODEL)
    canary = (now.canary.deployed.version, now.canary.percent) if now.canary else (None, None)
    return now.live.version if now.live else None, *canary


def test_a_canary_stands_beside_the_live_version(table: Table, deployments: Deployments) -> None:
    two = version(table)
    first = deployments.try_out(MODEL, two, 10, REVIEWER, reason="better recall")
    assert first.changed
    assert (sides(deployments), alias(table)) == ((1, 2, 10), 1)
    canary = deployments.current(MODEL).canary
    assert canary
    assert replace(canary.deployed, promoted_at="", promoted_by="") == two
    event = Custody(table).events(f"model/{MODEL}")[-1]
    assert (event.action, event.detail) == (
        "canary_started",
        {
            "version": 2,
            "percent": 10,
            "live_version": 1,
            "model_sha256": two.model_file.sha256,
            "reason": "better recall",
        },
    )
    assert not deployments.try_out(MODEL, two, 10, REVIEWER).changed
    wider = deployments.try_out(MODEL, two, 50, Who("lead-1", "labcycle-fraud-lead-1", "lead-1")).deployment
    assert wider.generation == 3
    assert wider.canary
    assert wider.canary.deployed == canary.deployed, "it is tried since then, and by whom"
    anew = deployments.try_out(MODEL, replace(two, reference=None), 50, REVIEWER).deployment.canary
    assert anew
    assert anew.deployed.promoted_at > canary.deployed.promoted_at, "with another detail it is another trial"
    assert actions(table)[-3:] == ["canary_started", "canary_changed", "canary_changed"]


def test_a_promoted_canary_is_live_alone(table: Table, deployments: Deployments) -> None:
    two = version(table)
    deployments.try_out(MODEL, two, 10, REVIEWER)
    change = deployments.promote(MODEL, two, REVIEWER)
    assert (sides(deployments), alias(table)) == ((2, None, None), 2)
    assert [previous.version for previous in change.deployment.previous] == [1]
    assert not deployments.promote(MODEL, two, REVIEWER).changed


def test_roll_back_takes_the_canary_back_first(table: Table, deployments: Deployments) -> None:
    deployments.promote(MODEL, version(table), REVIEWER)
    deployments.try_out(MODEL, version(table), 10, REVIEWER)
    with pytest.raises(Refused, match="Version 3 of card-fraud is the canary, with 10 % of the requests"):
        deployments.roll_back(MODEL, REVIEWER, from_version=2)
    with pytest.raises(Refused, match="Version 2 of card-fraud was live before version 3, not version 1"):
        deployments.roll_back(MODEL, REVIEWER, to_version=1)
    assert sides(deployments) == (2, 3, 10)
    for changed in (True, False):
        assert deployments.roll_back(MODEL, REVIEWER, from_version=3).changed is changed
        assert sides(deployments) == (2, None, None)
    assert actions(table)[-1] == "canary_withdrawn"
    deployments.roll_back(MODEL, REVIEWER)
    assert (sides(deployments), alias(table)) == ((1, None, None), 1)


def test_one_canary_at_a_time(table: Table, deployments: Deployments) -> None:
    two, three = version(table), version(table)
    deployments.try_out(MODEL, two, 10, REVIEWER)
    steps: list[Step] = [
        lambda: deployments.try_out(MODEL, three, 10, REVIEWER),
        lambda: deployments.promote(MODEL, three, REVIEWER),
    ]
    for step in steps:
        with pytest.raises(Refused, match=r"Version 2 of card-fraud is the canary.*promote it, or take it back first"):
            step()
    assert sides(deployments) == (1, 2, 10)


def test_what_cannot_be_a_canary(table: Table, deployments: Deployments) -> None:
    live = deployments.current(MODEL).live
    assert live
    with pytest.raises(Refused, match="is live: it cannot be tried beside itself"):
        deployments.try_out(MODEL, live, 10, REVIEWER)
    with pytest.raises(NotFound):
        deployments.try_out(MODEL, deployed(9), 10, REVIEWER)
    Registry(table).register("new")
    with pytest.raises(Refused, match="there is nothing to try version 1 beside"):
        deployments.try_out("new", deployed(1), 10, REVIEWER)
    assert sides(deployments) == (1, None, None)


def test_a_canary_cannot_be_deleted(table: Table, deployments: Deployments) -> None:
    deployments.try_out(MODEL, version(table), 10, REVIEWER)
    with pytest.raises(InUse, match="is the canary: take it back first"):
        Registry(table).delete_version(MODEL, 2, REVIEWER)
    deployments.roll_back(MODEL, REVIEWER)
    Registry(table).delete_version(MODEL, 2, REVIEWER)


def test_a_pause_outlasts_what_is_promoted_meanwhile(table: Table, deployments: Deployments) -> None:
    assert deployments.pause(MODEL, {"approve": False}, REVIEWER, reason="wrong data").changed
    assert not deployments.pause(MODEL, {"approve": False}, REVIEWER).changed
    deployments.promote(MODEL, version(table), REVIEWER)
    pause = deployments.current(MODEL).pause
    assert pause
    assert (pause.answer, pause.by, pause.reason) == ({"approve": False}, "reviewer-1", "wrong data")
    assert deployments.pause(MODEL, None, REVIEWER).changed
    assert [deployments.resume(MODEL, REVIEWER).changed for _ in range(2)] == [True, False]
    assert deployments.current(MODEL).pause is None
    assert actions(table)[3:] == ["paused", "registered", "promoted", "paused", "resumed"]
    with pytest.raises(Refused, match="bytes at most"):
        deployments.pause(MODEL, "x" * ANSWER_BYTES, REVIEWER)


def test_nothing_live_can_be_neither_paused_nor_resumed(table: Table, clock: Clock) -> None:
    Registry(table, clock).register(MODEL)
    made = Deployments(table, clock)
    steps: list[Step] = [lambda: made.pause(MODEL, 0, REVIEWER), lambda: made.resume(MODEL, REVIEWER)]
    for step in steps:
        with pytest.raises(Refused, match="No version of card-fraud is live"):
            step()


def test_lost_answers_change_nothing(table: Table, deployments: Deployments, faults: Faults) -> None:
    two = version(table)
    steps: list[Step] = [
        lambda: deployments.try_out(MODEL, two, 10, REVIEWER),
        lambda: deployments.pause(MODEL, 0, REVIEWER),
        lambda: deployments.resume(MODEL, REVIEWER),
        lambda: deployments.roll_back(MODEL, REVIEWER, from_version=2),
    ]
    for step in steps:
        faults.lose_answer("TransactWriteItems", 0)
        step()
    assert faults.struck == ["TransactWriteItems"] * 4
    assert actions(table)[-4:] == ["canary_started", "paused", "resumed", "canary_withdrawn"]
    assert Custody(table).verify(f"model/{MODEL}") == []
