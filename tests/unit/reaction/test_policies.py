"""What is done by policy, beside retraining: who may begin, what it may cost, which version was good, and who goes on after a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.reactions import Busy
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.reaction.policies import Policies
from tests.unit.reaction.workbench import Workbench, policies, turned
from tests.unit.serving.workshop import MODEL, REVIEWER, World, classifier

TELL, PAUSE = {"on": ["business"], "do": "tell"}, {"on": ["performance"], "do": "pause"}
ROLL_BACK = {"on": ["business"], "do": "roll_back"}


def given(cause: str, **more: Any) -> dict[str, Any]:
    return {"input": {"cause": cause, **more}}


@pytest.mark.parametrize(
    ("asked", "number", "cause"),
    [
        ({"cause": "business"}, 1, "business"),
        ({"policy": 1, "cause": "drift"}, 1, "drift"),
        ({}, 0, "manual"),
        ({"cause": "manual"}, 0, "manual"),
    ],
)
def test_the_policy_is_named_by_its_number_or_its_cause(asked: dict[str, Any], number: int, cause: str) -> None:
    assert Policies.read(policies(TELL)).chosen(asked) == (number, cause)


def test_what_is_started_by_hand_is_done_by_the_policy_that_says_so() -> None:
    assert Policies.read(policies(TELL, {"on": ["manual"], "do": "pause"})).chosen({}) == (2, "manual")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"cause": "rain"}, "the cause is 'rain'; allowed: drift, performance"),
        ({"cause": "performance"}, "no reaction on performance"),
        ({"policy": 7}, "no reaction number 7: the team file has 1"),
        ({"policy": True}, "no reaction number True"),
        ({"policy": -1}, "no reaction number -1"),
    ],
)
def test_a_policy_that_is_not_there_is_refused(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotReact, match=why):
        Policies.read(policies()).chosen(asked)


def test_the_owner_is_told_and_nothing_changes(world: World) -> None:
    bench = Workbench(world, TELL)
    bench.champion()
    begun = bench.do("begin", **given("business"))
    assert (begun["do"], begun["policy"], begun["live_version"]) == ("tell", 1, 1)
    told = bench.do("tell")
    assert bench.do("tell") == told
    assert told["outcome"] == "told" and "was worth less than is asked of it" in told["notice"]["message"]
    assert bench.actions()[-1] == "reaction_started" and bench.live() == 1
    assert bench.reactions.lock(MODEL).execution == ""


def test_predictions_are_stopped(world: World) -> None:
    bench = Workbench(world, PAUSE)
    bench.champion()
    bench.do("begin", **given("performance"))
    paused = bench.do("pause")
    assert bench.do("pause") == paused and paused["outcome"] == "paused"
    pause = world.deployments.current(MODEL).pause
    assert pause and pause.answer is None and "come true less often" in pause.reason
    assert bench.actions()[-2:] == ["reaction_started", "paused"]
    assert f"labcycle models resume {MODEL}" in paused["notice"]["message"]


def test_what_is_not_live_cannot_be_paused_and_that_is_told(world: World) -> None:
    bench = Workbench(world, PAUSE)
    bench.do("begin", **given("performance"))
    kept = bench.do("pause")
    assert kept["outcome"] == "kept" and "there is nothing to pause" in kept["notice"]["message"]
    assert bench.actions()[-1] == "reaction_ended"


def gone_live(bench: Workbench, versions: int) -> None:
    for number in range(versions):
        bench.champion(classifier(regularisation=1.0 + number))


def found(world: World, action: str, version: int) -> None:
    Custody(world.table).append(f"model/{MODEL}", action, Who.service("monitor", ""), {"version": version})


def test_the_newest_version_that_was_good_comes_back(world: World) -> None:
    bench = Workbench(world, ROLL_BACK)
    gone_live(bench, 5)
    found(world, "value_fell", 4)
    found(world, "performance_fell", 3)
    found(world, "data_stale", 2)  # says nothing of the version
    bench.do("begin", **given("business"))
    back = bench.do("take_back")
    assert bench.do("take_back") == back and back["outcome"] == "rolled_back"
    assert bench.live() == 2
    assert [one.version for one in world.deployments.current(MODEL).previous] == [1]
    message = back["notice"]["message"]
    assert "Version 4 was passed over: it was worth less" in message and "Version 3 was passed over" in message
    assert bench.events()[-1].detail["reason"].startswith("rolled back after it was worth less")
    assert bench.actions().count("rolled_back") == 1


@pytest.mark.parametrize(
    ("action", "good"),
    [("drift_detected", 1), ("paused", 1), ("challenger_rejected", 1), ("canary_withdrawn", 1), ("registered", 2)],
)
def test_what_speaks_against_a_version(world: World, action: str, good: int) -> None:
    bench = Workbench(world, ROLL_BACK)
    gone_live(bench, 3)
    found(world, action, 2)
    bench.do("begin", **given("business"))
    bench.do("take_back")
    assert bench.live() == good


def test_who_promotes_it_again_stands_for_it(world: World) -> None:
    bench = Workbench(world, ROLL_BACK)
    gone_live(bench, 2)
    found(world, "value_fell", 1)
    world.promote(1)
    gone_live(bench, 1)
    bench.do("begin", **given("business"))
    bench.do("take_back")
    assert bench.live() == 1


def test_a_version_that_was_taken_back_is_not_good(world: World) -> None:
    bench = Workbench(world, ROLL_BACK)
    gone_live(bench, 3)
    world.promote(2)  # 3 and 2 stand before it now
    world.deployments.roll_back(MODEL, REVIEWER, from_version=2)
    world.promote(1)
    bench.do("begin", **given("business"))
    back = bench.do("take_back")
    assert bench.live() == 3, back["notice"]["message"]


@pytest.mark.parametrize(("otherwise", "outcome"), [("keep", "kept"), ("pause", "paused")])
def test_where_no_version_was_good_the_policy_says_what_else(world: World, otherwise: str, outcome: str) -> None:
    bench = Workbench(world, ROLL_BACK | {"otherwise": otherwise})
    gone_live(bench, 1)
    bench.do("begin", **given("business"))
    ended = bench.do("take_back")
    assert ended["outcome"] == outcome and "no version before it that was good" in ended["notice"]["message"]
    assert bench.live() == 1
    assert (world.deployments.current(MODEL).pause is not None) == (otherwise == "pause")


def test_a_roll_back_is_chosen_once(world: World) -> None:
    """Its own event speaks against the version that it took back: a repeated step must not take back another."""
    bench = Workbench(world, ROLL_BACK)
    gone_live(bench, 3)
    bench.do("begin", **given("business"))
    first = bench.do("take_back")
    assert bench.do("take_back") == first and bench.live() == 2


def test_what_is_live_meanwhile_is_not_taken_back(world: World) -> None:
    bench = Workbench(world, ROLL_BACK)
    gone_live(bench, 2)
    bench.do("begin", **given("business"))
    bench.steps.reactions.leave(MODEL, "e1", "CHOSEN", {"from": 2, "to": 1, "passed": []})
    gone_live(bench, 1)
    kept = bench.do("take_back")
    assert (kept["outcome"], bench.live()) == ("kept", 3)


@pytest.mark.parametrize("otherwise", ["keep", "pause"])
def test_a_retraining_that_finds_nothing_better_can_stop_predictions(world: World, otherwise: str) -> None:
    bench = Workbench(world, otherwise=otherwise)
    bench.champion()
    compared = bench.through_compare(turned(), flipped=False)
    ended = bench.do("keep", compared=compared)
    assert bench.do("keep", compared=compared) == ended
    assert ended["outcome"] == {"keep": "kept", "pause": "paused"}[otherwise]
    assert (world.deployments.current(MODEL).pause is not None) == (otherwise == "pause")


def test_cool_downs_are_of_what_is_done(world: World) -> None:
    bench = Workbench(world, TELL, PAUSE)
    bench.champion()
    bench.do("begin", "e1", **given("business"))
    bench.do("tell", "e1")
    assert "cools down" in bench.do("begin", "e2", **given("business"))["reason"]
    assert bench.do("begin", "e3", **given("performance"))["do"] == "pause", "a notice keeps nobody from pausing"


def test_an_old_lock_is_read(world: World) -> None:
    bench = Workbench(world)
    world.table.write(_old_lock())
    lock = bench.reactions.lock(MODEL)
    assert lock.cool_downs == {"retrain": "2026-03-02T12:00:00.000Z"}
    bench.champion()
    assert "cools down" in bench.do("begin")["reason"]


def _old_lock() -> Any:
    from labcycle_lambdas.ledger.table import Create

    doc = {"execution": "", "run_id": "", "expires_at": "", "cool_down_until": "2026-03-02T12:00:00.000Z"}
    return Create(f"REACTION#{MODEL}", "LOCK", doc)


# ---- what it may cost


def test_a_training_is_held_against_the_budget_by_its_price_before(world: World) -> None:
    bench = Workbench(world, monthly_budget_usd=0.30, cool_down_hours=0)  # a training may take 0.12 USD
    bench.champion()
    for execution in ("e1", "e2"):
        assert bench.do("begin", execution)["do"] == "retrain"
        bench.do("fail", execution, error="X", cause="no")
    refused = bench.do("begin", "e3")
    assert (refused["do"], refused["outcome"]) == ("refuse", "over_budget")
    assert "may take up to 0.12 USD; of 0.30 USD for 2026-03, 0.24 USD are spent" in refused["notice"]["message"]
    assert bench.do("begin", "e3") == refused, "a repeated step tells the same"
    assert bench.actions().count("reaction_refused") == 1
    assert bench.reactions.lock(MODEL).execution == ""
    bench.later(days=31)
    assert bench.do("begin", "e4")["do"] == "retrain", "a month later there is a budget again"


def test_what_a_training_really_took_replaces_what_was_expected(world: World) -> None:
    bench = Workbench(world, monthly_budget_usd=0.2)
    bench.champion()
    begun = bench.do("begin")
    assert bench.reactions.spent(MODEL, bench.now) == pytest.approx(0.12)
    bench.trained(begun)
    for _ in range(2):
        bench.do("register", begun=begun, billable_seconds=300)
    assert bench.reactions.spent(MODEL, bench.now) == pytest.approx(0.01)


def test_a_failed_job_tells_what_it_took(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    job = {"TrainingJobName": begun["job_name"], "BillableTimeInSeconds": 30, "FailureReason": "AlgorithmError: no"}
    bench.do("fail", error="States.TaskFailed", cause=json.dumps(job), at="Train")
    assert bench.reactions.spent(MODEL, bench.now) == pytest.approx(0.001)


def test_a_price_that_nobody_knows_is_no_price(world: World) -> None:
    bench = Workbench(world, usd_hour=None)
    bench.champion()
    assert bench.do("begin")["do"] == "retrain"
    assert bench.reactions.spent(MODEL, bench.now) == 0
    bench.do("fail", error="X", cause="no")
    bench = Workbench(world, usd_hour=None, monthly_budget_usd=10)
    with pytest.raises(CannotReact, match=r"nobody knows what ml.m5.large costs.*10.00 USD"):
        bench.do("begin", "e2", **given("drift", ignore_cool_down=True))


# ---- who reviews it


def asked(bench: Workbench) -> dict[str, Any]:
    compared = bench.through_compare()
    assert compared["decision"] == "review"
    return compared


def test_a_challenger_waits_for_its_review_and_holds_no_lock(world: World) -> None:
    bench = Workbench(world, PAUSE, promote="after_review")
    bench.champion()
    compared = asked(bench)
    said = bench.do("ask", compared=compared)
    assert bench.do("ask", compared=compared) == said
    assert f"labcycle models review {MODEL} --approve" in said["notice"]["message"]
    assert said["reminder"]["subject"].startswith("labcycle fraud: reminder")
    assert "2026-03-04T12:00:00" in said["notice"]["message"], "72 hours later"
    lock = bench.reactions.lock(MODEL)
    assert (lock.execution, lock.waiting, bench.reactions.waiting(MODEL)) == ("", "e1", "e1")
    assert "waits for its review" in bench.do("begin", "e2")["reason"], "no second training meanwhile"
    assert bench.do("begin", "e3", **given("performance"))["do"] == "pause", "but the model can be paused"


def test_a_review_decides_once(world: World) -> None:
    bench = Workbench(world, promote="after_review")
    bench.champion()
    compared = asked(bench)
    bench.do("ask", compared=compared)
    assert bench.do("wait", token="t1") == {}
    bench.do("wait", token="t2")
    assert bench.reactions.token(MODEL, "e1") == "t2"
    for _ in range(2):
        bench.reactions.decide(MODEL, "e1", "approve", REVIEWER, "looks right")
    with pytest.raises(Exception, match=r"was reviewed already, by .*: approve"):
        bench.reactions.decide(MODEL, "e1", "reject", REVIEWER, "no")
    with pytest.raises(Exception, match="the review of e1 was given"):
        bench.do("wait", token="t3")
    assert bench.do("reviewed", compared=compared) == {"next": "promote"}
    bench.do("promote", compared=compared)
    assert bench.live() == 2
    assert bench.actions()[-3:] == ["review_asked", "review_approved", "promoted"]
    promoted = bench.events()[-1]
    assert promoted.who == REVIEWER.to_doc() and promoted.detail["reason"].startswith(
        "approved: looks right; better after drift"
    )
    assert bench.reactions.lock(MODEL).execution == bench.reactions.lock(MODEL).waiting == ""


def test_a_review_of_nothing_is_refused(world: World) -> None:
    bench = Workbench(world, promote="after_review")
    bench.champion()
    with pytest.raises(Exception, match="No version of card-fraud waits for a review of the reaction e9"):
        bench.reactions.decide(MODEL, "e9", "approve", REVIEWER, "")


@pytest.mark.parametrize(("before", "outcome", "live"), [(False, "kept", 1), (True, "rolled_back", 1)])
def test_what_is_rejected_does_not_go_live(world: World, before: bool, outcome: str, live: int) -> None:
    """Where the version before is better than the live one, that comes back."""
    bench = Workbench(world, promote="after_review")
    bench.champion(classifier())
    if before:
        bench.champion(turned())
    compared = bench.through_compare(classifier() if before else turned(), flipped=not before)
    assert compared["decision"] == "review"
    bench.do("ask", compared=compared)
    bench.reactions.decide(MODEL, "e1", "reject", REVIEWER, "unfair to the young")
    following = bench.do("reviewed", compared=compared)["next"]
    assert following == {"kept": "keep", "rolled_back": "roll_back"}[outcome]
    ended = bench.do(following, compared=compared)
    assert (ended["outcome"], bench.live()) == (outcome, live)
    assert "was rejected by" in ended["notice"]["message"] and "unfair to the young" in ended["notice"]["message"]


def test_what_nobody_reviews_is_left(world: World) -> None:
    bench = Workbench(world, promote="after_review")
    bench.champion()
    compared = asked(bench)
    bench.do("ask", compared=compared)
    bench.later(hours=72)
    assert bench.do("reviewed", compared=compared) == {"next": "leave"}
    with pytest.raises(Exception, match="The time to review version 2 of card-fraud is over"):
        bench.reactions.decide(MODEL, "e1", "approve", REVIEWER, "")
    left = bench.do("leave", compared=compared)
    assert (left["outcome"], bench.live()) == ("unreviewed", 1)
    assert f"labcycle models promote {MODEL} 2" in left["notice"]["message"]


# ---- who goes on after a failure


def test_a_failed_reaction_goes_on_where_it_stopped(world: World) -> None:
    bench = Workbench(world)
    bench.champion()
    begun = bench.do("begin")
    bench.do("fail", error="X", cause="capacity", at="Train")
    assert bench.run(begun["run_id"]).status == "FAILED"
    again = bench.do("resume", at="Train", begun=begun, redrives=1)
    assert bench.do("resume", at="Train", begun=begun, redrives=1) == again
    assert again["job_name"] != begun["job_name"], "the name of a training job is taken once"
    assert {**again, "job_name": ""} == {**begun, "job_name": ""}
    assert bench.run(begun["run_id"]).status == "RUNNING"
    assert bench.reactions.lock(MODEL).execution == "e1"
    assert bench.actions()[-2:] == ["retraining_failed", "reaction_resumed"]
    bench.trained(again, turned(), flipped=True)
    registered = bench.do("register", begun=again)
    compared = bench.do("compare", begun=again, version=registered["version"])
    assert bench.do("promote", compared=compared)["outcome"] == "promoted"
    assert bench.reactions.lock(MODEL).execution == ""
    (told,) = bench.reactions.listing(MODEL, 9)
    assert told["outcome"] == "promoted"


def test_a_reaction_goes_on_only_where_no_other_is_under_way(world: World) -> None:
    bench = Workbench(world, cool_down_hours=0)
    bench.champion()
    begun = bench.do("begin")
    bench.do("fail", error="X", cause="capacity", at="Train")
    assert bench.do("begin", "e2")["do"] == "retrain"
    with pytest.raises(Busy, match="the reaction e2 is under way"):
        bench.do("resume", at="Train", begun=begun, redrives=1)
    assert bench.reactions.lock(MODEL).execution == "e2"
    bench.do("fail", "e2", error="X", cause="no")
    assert bench.do("resume", at="Train", begun=begun, redrives=2)["do"] == "retrain"


def test_what_failed_before_it_began_begins_again(world: World) -> None:
    bench = Workbench(world)
    bench.champion(data=False)
    with pytest.raises(CannotReact):
        bench.do("begin")
    bench.do("fail", error="CannotReact", cause="no data")
    bench.put(f"data/{MODEL}/new.csv", b"a,target\n1,0\n")
    assert bench.do("resume", at="Begin", begun={}, redrives=1) == {}
    assert bench.do("begin")["do"] == "retrain"
    bench.do("fail", error="X", cause="other")
    assert bench.actions().count("retraining_failed") == 2
    assert bench.reactions.lock(MODEL).execution == ""


def test_a_review_that_goes_on_after_a_failure_can_be_given(world: World) -> None:
    bench = Workbench(world, promote="after_review", cool_down_hours=0)
    bench.champion()
    compared = asked(bench)
    bench.do("ask", compared=compared)
    bench.do("fail", error="X", cause="no", at="TellReviewer")
    assert bench.reactions.waiting(MODEL) == ""
    bench.do("resume", at="TellReviewer", begun={"do": "retrain"}, redrives=1)
    assert bench.reactions.lock(MODEL).execution == "e1"
    for token in ("t1", "t2"):
        bench.do("wait", token=token)
        lock = bench.reactions.lock(MODEL)
        assert (lock.execution, lock.waiting, bench.reactions.token(MODEL, "e1")) == ("", "e1", token)


def test_where_the_notice_alone_failed_nothing_is_taken(world: World) -> None:
    bench = Workbench(world, TELL)
    bench.champion()
    begun = bench.do("begin", **given("business"))
    bench.do("tell")
    assert bench.do("resume", at="Notify", begun=begun, redrives=1) == begun
    assert bench.reactions.lock(MODEL).execution == "" and bench.actions()[-1] == "reaction_started"


def test_after_a_time_out_a_step_takes_the_lock_again_or_says_who_has_it(world: World) -> None:
    bench = Workbench(world, cool_down_hours=0)
    bench.champion()
    compared = bench.through_compare()
    bench.later(seconds=7201)
    assert bench.do("begin", "e2")["do"] == "retrain"
    with pytest.raises(Busy, match="the reaction e2 is under way"):
        bench.do("promote", compared=compared)
    assert bench.live() == 1
    bench.do("fail", "e2", error="X", cause="no")
    assert bench.do("promote", compared=compared)["outcome"] == "promoted"


# ---- how long it takes


def test_each_stage_is_told_with_its_seconds(world: World) -> None:
    bench = Workbench(world, TELL, promote="after_review")
    bench.champion()
    begun = bench.do("begin", input={"policy": 0, "cause": "drift", "noticed_at": "2026-03-01T11:59:30Z"})
    bench.trained(begun, turned(), flipped=True)
    bench.later(minutes=10)
    version = bench.do("register", begun=begun, billable_seconds=60)["version"]
    bench.later(seconds=30)
    compared = bench.do("compare", begun=begun, version=version)
    bench.do("ask", compared=compared)
    bench.later(hours=1)
    bench.reactions.decide(MODEL, "e1", "approve", REVIEWER, "")
    bench.do("reviewed", compared=compared)
    bench.later(seconds=5)
    bench.do("promote", compared=compared)
    bench.later(minutes=1)
    bench.do("begin", "e2")
    skipped, done = bench.reactions.listing(MODEL, 9)
    assert (skipped["outcome"], skipped["stages"][0]["stage"]) == ("skipped", "skipped")
    assert [(one["stage"], one["seconds"]) for one in done["stages"]] == [
        ("noticed", None),
        ("begun", 30),
        ("trained", 600),
        ("compared", 30),
        ("asked", 0),
        ("reviewed", 3600),
        ("ended", 5),
    ]
    assert (done["cause"], done["do"], done["outcome"], done["review"]) == ("drift", "retrain", "promoted", "approve")
    assert done["seconds"] == 4265
    assert bench.reactions.listing(MODEL, 1) == [skipped]


@pytest.mark.parametrize("noticed", ["yesterday", 7, None])
def test_a_time_that_is_none_is_left_out(world: World, noticed: object) -> None:
    bench = Workbench(world, TELL)
    bench.do("begin", input={"cause": "business", "noticed_at": noticed})
    assert bench.reactions.listing(MODEL, 1)[0]["stages"][0]["stage"] == "begun"
