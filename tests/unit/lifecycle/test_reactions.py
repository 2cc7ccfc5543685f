"""A review is given, reactions are listed, and what the next one would do is told, by the API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from labcycle.config import names
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.reaction.workbench import Workbench, policies
from tests.unit.serving.workshop import BUCKET, MODEL, TEAM, World, request

ROOT = f"/labcycle/1.0/models/{MODEL}"
PAUSE = {"on": ["performance"], "do": "pause"}


class Woken:
    """Step Functions, as far as tokens go: what it was told, and what it answers."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.code = ""

    def send_task_success(self, taskToken: str, output: str) -> None:
        from botocore.exceptions import ClientError

        self.tokens.append(taskToken)
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "SendTaskSuccess")


class Bench(Workbench):
    def __init__(self, world: World, **settings: Any) -> None:
        super().__init__(world, PAUSE, **settings)
        self.woken = Woken()
        states: Any = self.woken
        self.api = Lifecycle(world.table, world.preflight, Members(TEAM), Machines(self.ssm, states, TEAM))
        self.published = policies(PAUSE, **settings)

    def publish(self) -> None:
        doc = json.dumps({**json.loads(self.published), "machine": "arn:machine"})
        self.ssm.put_parameter(Name=names.policies_parameter(TEAM, MODEL), Value=doc, Type="String")

    def say(self, method: str, path: str, body: object = b"") -> tuple[int, dict[str, Any]]:
        path, _, query = path.partition("?")
        answer = self.api.answer(replace(request(method, path, body), query=parse_qsl(query)))
        return answer.status, dict(json.loads(answer.to_event()["body"]))

    def asked(self) -> None:
        self.champion()
        compared = self.through_compare()
        self.do("ask", compared=compared)
        self.do("wait", token="t1")


def test_a_review_is_kept_and_wakes_the_machine(world: World) -> None:
    bench = Bench(world, promote="after_review")
    bench.asked()
    for _ in range(2):  # its answer was lost
        assert bench.say("POST", f"{ROOT}/review", {"decision": "approve"}) == (
            200,
            {"execution": "e1", "decision": "approve"},
        )
    assert bench.woken.tokens == ["t1", "t1"]
    assert bench.actions()[-1] == "review_approved"
    status, said = bench.say("POST", f"{ROOT}/review", {"decision": "reject", "reason": "no"})
    assert status == 400 and "was reviewed already" in said["message"]


@pytest.mark.parametrize("code", ["TaskDoesNotExist", "TaskTimedOut", "InvalidToken"])
def test_a_token_whose_wait_is_over_is_no_error(world: World, code: str) -> None:
    bench = Bench(world, promote="after_review")
    bench.asked()
    bench.woken.code = code
    assert bench.say("POST", f"{ROOT}/review", {"decision": "reject", "reason": "unfair"})[0] == 200
    assert bench.actions()[-1] == "review_rejected"


def test_where_step_functions_is_busy_the_caller_tries_again(world: World) -> None:
    bench = Bench(world, promote="after_review")
    bench.asked()
    bench.woken.code = "ThrottlingException"
    with pytest.raises(Throttled):
        bench.api.machines.wake("t1")  # type: ignore[union-attr]
    bench.woken.code = "AccessDeniedException"
    with pytest.raises(Exception, match="AccessDenied"):
        bench.api.machines.wake("t1")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "'decision' must be approve or reject"),
        ({"decision": "maybe"}, "'decision' must be approve or reject"),
        ({"decision": "reject"}, "must say why"),
        ({"decision": "approve"}, "No version of card-fraud waits for a review"),
        ({"decision": "approve", "execution": "e9"}, "No version of card-fraud waits for a review of the reaction e9"),
    ],
)
def test_a_review_that_says_nothing_is_refused(world: World, body: dict[str, Any], why: str) -> None:
    bench = Bench(world)
    bench.champion()
    status, said = bench.say("POST", f"{ROOT}/review", body)
    assert status == 400 and why in said["message"]
    assert bench.woken.tokens == []


def test_reactions_are_listed_with_what_waits(world: World) -> None:
    bench = Bench(world, promote="after_review")
    bench.asked()
    status, said = bench.say("GET", f"{ROOT}/reactions")
    (one,) = said["reactions"]
    assert (status, said["waiting"], one["execution"], one["outcome"]) == (200, "e1", "e1", None)
    assert [stage["stage"] for stage in one["stages"]] == ["begun", "trained", "compared", "asked"]
    assert (said["lock"]["execution"], said["lock"]["waiting"]) == ("", "e1")


def test_what_would_be_done_is_told_with_its_price(world: World) -> None:
    bench = Bench(world, monthly_budget_usd=0.2)
    live = bench.champion()
    bench.publish()
    status, said = bench.say("GET", f"{ROOT}/reactions/plan?cause=drift")
    assert (status, said["do"], said["policy"], said["may_begin"], said["problems"]) == (200, "retrain", 0, True, [])
    training = said["training"]
    assert (training["estimated_usd"], training["monthly_budget_usd"], training["spent_usd"]) == (0.12, 0.2, 0)
    assert (training["version"], training["run_id"], training["data_files"]) == (1, live.source_run, 1)
    assert training["data"] == f"s3://{BUCKET}/data/{MODEL}/" and training["recipe"].endswith("/artifacts/recipe/")
    assert training["parameters"] == {"C": "0.5", "seed": "7"} and said["machine"] == "arn:machine"
    assert bench.actions()[-1] == "promoted", "nothing was changed"


def test_what_stands_against_it_is_all_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(world, monthly_budget_usd=0.1)
    bench.champion(data=False)
    bench.publish()
    status, said = bench.say("GET", f"{ROOT}/reactions/plan")
    assert (status, said["cause"], said["may_begin"]) == (200, "manual", False)
    assert [
        words in problem
        for words, problem in zip(
            ("it may take 0.12 USD; of 0.10 USD", "there is no training data"), said["problems"], strict=True
        )
    ] == [True, True]


def test_a_plan_of_what_trains_nothing_has_no_training(world: World) -> None:
    bench = Bench(world)
    bench.champion()
    bench.publish()
    said = bench.say("GET", f"{ROOT}/reactions/plan?cause=performance")[1]
    assert (said["do"], said["training"], said["may_begin"]) == ("pause", None, True)


@pytest.mark.parametrize(
    ("query", "why"), [("?cause=rain", "the cause is 'rain'"), ("?cause=business", "no reaction on business")]
)
def test_a_plan_of_nothing_is_refused(world: World, query: str, why: str) -> None:
    bench = Bench(world)
    bench.champion()
    status, said = bench.say("GET", f"{ROOT}/reactions/plan{query}")
    assert status == 400 and "has no reaction" in said["message"]
    bench.publish()
    status, said = bench.say("GET", f"{ROOT}/reactions/plan{query}")
    assert status == 400 and why in said["message"]
