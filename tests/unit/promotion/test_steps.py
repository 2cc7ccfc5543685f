"""Promotions in steps: what goes live, what takes itself out of traffic, and what is left when something breaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.promotions import LEASE
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.ledger.who import Who
from tests.unit.promotion.bench import MEASURED, POLICY, Machine, bad, silent, with_live
from tests.unit.serving.workshop import MODEL, REVIEWER, World, classifier, mixed


def live(machine: Machine) -> int | None:
    return machine.deployment.live.version if machine.deployment.live else None


def test_a_good_version_reaches_all_requests(world: World) -> None:
    with_live(world)
    machine = Machine(world)
    ended = machine.promote(2, reason="better")
    assert (ended["outcome"], live(machine), machine.deployment.canary) == ("live", 2, None)
    assert machine.actions() == [
        "promoted", "promotion_requested", "preflight_passed", "canary_started", "canary_changed", "promoted"
    ]  # fmt: skip
    assert machine.steps.count("look") == 20, "each share was watched for ten minutes"
    events = Custody(world.table).events(f"model/{MODEL}")
    assert [e.detail["percent"] for e in events if e.action.startswith("canary_")] == [10, 50]
    last = events[-1].detail
    assert (last["version"], last["previous_version"]) == (2, 1)
    assert "better, asked for by reviewer-1" in last["reason"]
    assert last["evidence"]["verdict"] == "good"
    assert [side["requests"] for side in last["evidence"]["sides"]] == [5000, 5000]
    assert "Version 2 of card-fraud answers all requests now." in ended["notice"]["message"]
    assert machine.promotion.outcome == "live"


def test_a_bad_version_is_gone_at_the_first_look(world: World) -> None:
    with_live(world)
    machine = Machine(world, traffic=bad)
    ended = machine.promote(2)
    assert (ended["outcome"], live(machine), machine.deployment.canary) == ("taken_back", 1, None)
    assert machine.steps == ["preflight", "widen", "look", "take_back"]
    assert machine.actions()[-2:] == ["canary_started", "canary_withdrawn"]
    assert "30 of 100 answers failed (30.0%)" in ended["notice"]["message"]
    event = Custody(world.table).events(f"model/{MODEL}")[-1]
    assert "30 of 100 answers failed" in event.detail["reason"]
    assert event.detail["evidence"]["verdict"] == "bad"


def test_a_version_that_turns_bad_with_the_second_share_is_taken_back(world: World) -> None:
    with_live(world)

    def turning(deployment: Any) -> Any:
        return bad(deployment) if deployment.canary.percent == 50 else {1: (900, 0), 2: (100, 0)}

    machine = Machine(world, traffic=turning)
    assert machine.promote(2)["outcome"] == "taken_back"
    assert (live(machine), machine.steps[-3:]) == (1, ["widen", "look", "take_back"])


def test_a_version_that_nobody_asks_is_taken_back_at_last(world: World) -> None:
    with_live(world)
    machine = Machine(world, traffic=silent)
    began = machine.now
    ended = machine.promote(2)
    assert (ended["outcome"], live(machine), machine.deployment.canary) == ("taken_back", 1, None)
    assert "0 answers of at least 100, within 4 hours" in ended["notice"]["message"]
    assert machine.now - began == timedelta(hours=4)
    assert machine.steps.count("look") == 60 + 3 * 12, "every minute, and later every five"


def test_the_first_version_goes_live_without_a_trial(world: World) -> None:
    world.register(classifier())
    machine = Machine(world)
    assert machine.promote(1)["outcome"] == "live"
    assert (live(machine), machine.steps) == (1, ["preflight", "promote"])


@pytest.mark.parametrize("lost", ["preflight", "widen", "look", "promote", "take_back"])
@pytest.mark.parametrize("traffic", [None, bad])
def test_a_step_whose_answer_is_lost_is_done_once(world: World, lost: str, traffic: Any) -> None:
    with_live(world)
    machine = Machine(world, lost=lambda action: action == lost, **({"traffic": traffic} if traffic else {}))
    ended = machine.promote(2)
    plain = ["promoted", "promotion_requested", "preflight_passed", "canary_started"]
    if traffic:
        assert (ended["outcome"], live(machine)) == ("taken_back", 1)
        assert machine.actions() == [*plain, "canary_withdrawn"]
        assert "was tried and took itself out of traffic" in ended["notice"]["message"]
    else:
        assert (ended["outcome"], live(machine)) == ("live", 2)
        assert machine.actions() == [*plain, "canary_changed", "promoted"]
        assert [e.detail.get("percent") for e in Custody(world.table).events(f"model/{MODEL}")][-3:-1] == [10, 50]


@pytest.mark.parametrize("broken", ["preflight", "widen", "look", "promote"])
def test_wherever_it_breaks_off_the_version_leaves_the_traffic(world: World, broken: str) -> None:
    with_live(world, versions=3)
    machine = Machine(world)

    def stop(action: str) -> None:
        if action == broken:
            raise InterruptedError

    machine.meanwhile = stop
    execution = machine.ask(2)
    if broken != "preflight":
        with pytest.raises(InterruptedError):
            machine.run(execution)
    ended = machine.call(execution, "fail", error="TIMED_OUT", cause="the execution ended before it was done")
    assert (ended["outcome"], live(machine), machine.deployment.canary) == ("failed", 1, None)
    assert "the execution ended before it was done" in ended["notice"]["message"]
    assert machine.call(execution, "fail", error="FAILED", cause="")["outcome"] == "failed", "told twice, done once"
    machine.meanwhile = lambda action: None
    assert machine.promote(3)["outcome"] == "live", "the lock is free"


def test_two_promotions_of_a_model_never_overlap(world: World) -> None:
    with_live(world, versions=3)
    machine = Machine(world)
    execution = machine.ask(2)
    assert machine.ask(2) == execution, "asked again, it is the same"
    with pytest.raises(Refused, match=r"Version 2 of card-fraud is being promoted since .*, by reviewer-1"):
        machine.ask(3)
    assert machine.run(execution)["outcome"] == "live"
    assert machine.promote(3)["outcome"] == "live"


def test_an_execution_whose_lease_ended_can_do_nothing_any_more(world: World) -> None:
    with_live(world, versions=3)
    machine = Machine(world)
    old = machine.ask(2)
    machine.call(old, "preflight")
    machine.now += LEASE
    new = machine.ask(3)
    before = machine.deployment.generation
    for action in ("preflight", "widen", "look", "promote", "take_back", "fail"):
        assert machine.call(old, action, step=0)["next"] == "end"
    assert machine.deployment.generation == before
    assert machine.run(new)["outcome"] == "live"
    assert live(machine) == 3


def test_a_lease_that_ends_between_reading_and_writing_is_seen(world: World) -> None:
    """The write is fenced, and not only what is read before it."""
    with_live(world, versions=3)
    machine = Machine(world)
    old = machine.ask(2)
    machine.call(old, "preflight")
    prepare = type(world.preflight).prepare

    def slow(self: Any, model: str, version: int | str) -> Deployed:
        machine.now += LEASE
        machine.ask(3)
        return prepare(self, model, version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.preflight), "prepare", slow)
        assert machine.call(old, "widen", step=0)["next"] == "end"
    assert machine.deployment.canary is None


@pytest.mark.parametrize("action", ["widen", "look", "promote"])
@pytest.mark.parametrize("decision", ["promote", "roll_back", "try another"])
def test_what_people_decide_meanwhile_is_kept(world: World, action: str, decision: str) -> None:
    with_live(world, versions=3)
    machine = Machine(world)
    decided: list[str] = []

    def decide(coming: str) -> None:
        deployments = world.deployments
        if coming != action or decided or (coming == "widen" and machine.deployment.canary is None):
            return
        decided.append(coming)
        if decision == "promote":
            deployments.promote(MODEL, world.preflight.prepare(MODEL, 2), REVIEWER)
        else:
            deployments.roll_back(MODEL, REVIEWER, from_version=2)
        if decision == "try another":
            deployments.try_out(MODEL, world.preflight.prepare(MODEL, 3), 5, REVIEWER)

    machine.meanwhile = decide
    ended = machine.promote(2)
    assert decided
    assert ended["outcome"] == ("live" if decision == "promote" else "given_up")
    assert live(machine) == (2 if decision == "promote" else 1)
    canary = machine.deployment.canary
    assert (canary.deployed.version if canary else None) == (3 if decision == "try another" else None)
    assert machine.actions()[-1] == "promotion_overtaken"


def test_what_does_not_pass_is_told_and_changes_nothing(world: World) -> None:
    with_live(world)

    def refuse(model: str, deployed: Deployed, live: Deployed | None) -> dict[str, Any]:
        raise Refused("Version 2 took 1500 MB of memory")

    machine = Machine(world, probe=refuse)
    ended = machine.promote(2)
    assert (ended["outcome"], live(machine)) == ("refused", 1)
    assert machine.actions()[-2:] == ["promotion_requested", "promotion_refused"]
    assert "Version 2 took 1500 MB of memory" in ended["notice"]["message"]
    assert "It got no traffic." in ended["notice"]["message"]


def test_other_inputs_than_those_of_the_live_version_need_a_word(world: World) -> None:
    with_live(world, versions=1)
    world.register(mixed())
    machine = Machine(world)
    ended = machine.promote(2)
    assert ended["outcome"] == "refused"
    assert "refuses what consumers of version 1 send" in ended["notice"]["message"]
    assert machine.promote(2, new_inputs=True)["outcome"] == "live"


def test_busy_services_end_nothing(world: World) -> None:
    with_live(world)

    def busy(model: str, deployed: Deployed, live: Deployed | None) -> dict[str, Any]:
        raise Throttled("S3: SlowDown")

    machine = Machine(world, probe=busy)
    execution = machine.ask(2)
    with pytest.raises(Throttled):
        machine.call(execution, "preflight")
    machine.probe = lambda model, deployed, live: dict(MEASURED)
    assert machine.run(execution)["outcome"] == "live"


class TestPolicy:
    def refused(self, machine: Machine, version: int, **given: Any) -> str:
        ended = machine.promote(version, **given)
        assert ended["outcome"] == "refused", ended
        return str(ended["notice"]["message"])

    def test_a_record_that_is_not_whole(self, world: World) -> None:
        with_live(world, versions=1)
        world.register(classifier(), run_id=world.run())
        machine = Machine(world, policy=replace(POLICY, complete_runs=True))
        said = self.refused(machine, 2)
        assert "is not whole: code, data" in said
        assert "labcycle runs parts" in said
        world.register(classifier())
        assert "without a run of this team" in self.refused(machine, 3)

    def test_who_made_it_may_not_ask_for_it(self, world: World) -> None:
        with_live(world, versions=1)
        world.register(classifier(), run_id=world.run())  # by scientist-1, registered by reviewer-1
        machine = Machine(world, policy=replace(POLICY, second_person=True))
        scientist = Who("scientist-1", "labcycle-fraud-scientist-1", "scientist-1")
        for who in (REVIEWER, scientist):
            assert f"{who} made it and asked for its promotion" in self.refused(machine, 2, who=who)
        assert machine.promote(2, who=Who("lead-1", "labcycle-fraud-lead-1", "lead-1"))["outcome"] == "live"

    def test_data_that_is_too_old(self, world: World) -> None:
        with_live(world, versions=1)
        run_id = world.run()
        world.register(classifier(), run_id=run_id)
        machine = Machine(world, policy=replace(POLICY, newest_data_days=30))
        trained = machine.now - timedelta(days=31)
        Runs(world.table).update(run_id, status="FINISHED", end_time=int(trained.timestamp() * 1000), who=REVIEWER)
        assert "it was trained on 2026-04-03, 31 days ago" in self.refused(machine, 2)
        machine.policy = replace(POLICY, newest_data_days=31)
        assert machine.promote(2)["outcome"] == "live"
        world.register(classifier())
        assert "nothing tells how old its data is" in self.refused(machine, 3)
