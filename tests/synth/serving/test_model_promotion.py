"""ModelPromotion on its own, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_cdk import Duration, Size, Stack
from aws_cdk.assertions import Match, Template

from labcycle.config import names
from labcycle.serving import ModelPromotion
from labcycle_lambdas.promotion.environment import Environment as PromotionEnvironment
from labcycle_lambdas.promotion.steps import LATER_LOOK_SECONDS, LOOK_SECONDS
from tests.synth.serving.test_batch_scoring import (
    WITHOUT_RESOURCE,
    common,
    definition,
    listed,
    new_stack,
    of_role,
    statements,
)

EVENTS_IN_A_HISTORY = 25_000  # https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
EVENTS_A_LOOK = 9  # the wait, the call, and the choice


def promotion(stack: Stack, **props: Any) -> ModelPromotion:
    return ModelPromotion(stack, "Promotion", **(common(stack) | props))


@pytest.fixture(scope="module")
def template() -> Template:
    stack = new_stack()
    promotion(
        stack,
        server_memory=Size.mebibytes(1024),
        server_timeout=Duration.seconds(20),
        canary_percents=(5, 25, 75),
        step=Duration.minutes(15),
        longest=Duration.hours(6),
        minimum_requests=300,
        second_person=True,
        newest_data_days=90,
    )
    return Template.from_stack(stack)


def test_the_function_has_the_server_s_memory_and_the_policy(template: Template) -> None:
    (function,) = template.find_resources("AWS::Lambda::Function").values()
    properties = function["Properties"]
    assert (properties["MemorySize"], properties["Timeout"], properties["EphemeralStorage"]) == (
        1024,
        900,
        {"Size": 4096},
    )
    variables = {name: str(value) for name, value in properties["Environment"]["Variables"].items()}
    read = PromotionEnvironment.read(variables)
    assert (read.percents, read.step.total_seconds(), read.longest.total_seconds()) == ((5, 25, 75), 900, 6 * 3600)
    assert (read.minimum_requests, read.server_memory_mb, read.server_timeout_seconds) == (300, 1024, 20)
    assert (read.complete_runs, read.second_person, read.newest_data_days) == (True, True, 90)


def test_the_machine_is_found_and_started_by_its_name(template: Template) -> None:
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine").values()
    assert machine["Properties"]["StateMachineName"] == "labcycle_fraud_promotion_card-fraud"
    template.has_resource_properties(
        "AWS::SSM::Parameter", {"Name": names.promotion_parameter("fraud", "card-fraud"), "Value": Match.any_value()}
    )
    longest = [names.promotion_machine("t" * 20, "m" * 90 + end) for end in "ab"]
    assert [len(name) for name in longest] == [80, 80] and longest[0] != longest[1]
    assert all(name.startswith(names.promotion_machine("t" * 20, "*").rstrip("*")) for name in longest)


def test_all_of_its_time_fits_and_its_history_too(template: Template) -> None:
    assert definition(template)["TimeoutSeconds"] == (3 * 6 + 2) * 3600
    stack = new_stack()
    promotion(stack, canary_percents=(1, 2, 3, 4, 5), longest=Duration.hours(24))
    assert definition(Template.from_stack(stack))["TimeoutSeconds"] == (5 * 24 + 2) * 3600
    often, later = 3600 // LOOK_SECONDS, 23 * 3600 // LATER_LOOK_SECONDS
    assert 5 * (often + later) * EVENTS_A_LOOK < EVENTS_IN_A_HISTORY


def test_each_step_that_can_fail_is_repeated_and_caught(template: Template) -> None:
    states = definition(template)["States"]
    tasks = {name: state for name, state in states.items() if state["Type"] == "Task"}
    assert all(task["TimeoutSeconds"] and task["Catch"] for task in tasks.values())
    steps = {name: task for name, task in tasks.items() if task["Resource"].endswith("lambda:invoke")}
    assert set(steps) == {"Preflight", "Widen", "Look", "Promote", "TakeBack", "GiveUp"}
    for name, task in steps.items():
        assert "Throttled" in task["Retry"][0]["ErrorEquals"]
        assert task["Catch"][0]["Next"] == ("NotifyNotTidied" if name == "GiveUp" else "GiveUp")


def test_what_ends_from_outside_is_tidied_up_and_told(template: Template) -> None:
    rules = [rule["Properties"] for rule in template.find_resources("AWS::Events::Rule").values()]
    tidied, told = sorted(rules, key=lambda rule: -len(rule["EventPattern"]["detail"]["status"]))
    assert tidied["EventPattern"]["detail"]["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
    assert told["EventPattern"]["detail"]["status"] == ["ABORTED", "TIMED_OUT"]
    (target,) = tidied["Targets"]
    assert "DeadLetterConfig" in target
    assert '"action":"fail","execution":<detail-name>' in json.dumps(
        target["InputTransformer"]["InputTemplate"]
    ).replace("\\", "")


def test_it_waits_as_long_as_the_steps_say(template: Template) -> None:
    waits = [state["Seconds"] for state in definition(template)["States"].values() if state["Type"] == "Wait"]
    assert waits == [LOOK_SECONDS, LATER_LOOK_SECONDS]


def test_rights(template: Template) -> None:
    for _, statement in statements(template):
        actions = listed(statement["Action"])
        if "*" in listed(statement["Resource"]):
            assert all(WITHOUT_RESOURCE.match(action) for action in actions), statement
    function = of_role(template, "Function")
    assert {a for a in function if not a.startswith(("logs:", "xray:", "kms:"))} == {
        *(f"dynamodb:{action}" for action in ("GetItem", "PutItem", "Query")),
        *("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "sqs:SendMessage"),
    }
    machine = of_role(template, "StatesRole")
    assert {a for a in machine if not re.match(r"logs:|xray:|kms:", a)} == {"lambda:InvokeFunction", "sns:Publish"}


@pytest.mark.parametrize(
    ("props", "said"),
    [
        ({"canary_percents": (50, 10)}, r"canary_percents: got \[50, 10\]; allowed 1 to 5 growing shares"),
        ({"canary_percents": (10, 10)}, "canary_percents"),
        ({"canary_percents": ()}, "canary_percents"),
        ({"canary_percents": (1, 2, 3, 4, 5, 6)}, "canary_percents"),
        ({"canary_percents": (0, 100)}, "canary_percents"),
        ({"step": Duration.minutes(0)}, r"step \(minutes\): got 0; allowed 1 to 1440"),
        ({"longest": Duration.hours(25)}, r"longest \(hours\): got 25; allowed 1 to 24"),
        ({"step": Duration.minutes(61), "longest": Duration.hours(1)}, "step: got 61 minutes; allowed at most longest"),
        ({"minimum_requests": 0}, "minimum_requests: got 0"),
        ({"newest_data_days": 0}, "newest_data_days: got 0"),
    ],
)
def test_what_is_not_allowed(props: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        promotion(new_stack(), **props)
