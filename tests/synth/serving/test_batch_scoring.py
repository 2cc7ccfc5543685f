"""BatchScoring on its own, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk import App, Environment, Size, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Match, Template

from labcycle.config import Monitor, Performance, names
from labcycle.serving import BatchScoring
from labcycle_lambdas.batch.environment import Environment as BatchEnvironment
from labcycle_lambdas.batch.places import Places
from labcycle_lambdas.ledger.windows import log_key
from labcycle_lambdas.model_server.keeping import Keeping

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/labcycle-fraud-ledger"
WITHOUT_RESOURCE = re.compile(r"xray:|logs:(Create|Delete|Get|List|Update)LogDeliver|logs:(Describe|Put)")


def common(stack: Stack) -> dict[str, Any]:
    """What constructs of a model are given."""
    key = kms.Key(stack, "Key")
    return {
        "team": "fraud",
        "model": "card-fraud",
        "ledger": dynamodb.Table.from_table_arn(stack, "Ledger", TABLE),
        "artifact_bucket": s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
        "encryption_key": key,
        "notice_topic": sns.Topic(stack, "Topic", master_key=key),
    }


def batches(stack: Stack, **props: Any) -> BatchScoring:
    return BatchScoring(stack, "Batch", **(common(stack) | props))


def new_stack() -> Stack:
    here = Environment(account="123456789012", region="eu-west-1")
    return Stack(App(analytics_reporting=False), "Stack", env=here)


@pytest.fixture(scope="module")
def template() -> Template:
    stack = new_stack()
    made = batches(
        stack,
        schedule="cron(0 5 * * ? *)",
        time_zone="Europe/Berlin",
        memory=Size.mebibytes(1024),
        concurrency=7,
        tolerated_failure_percent=0.5,
    )
    consumer = iam.Role(stack, "Consumer", assumed_by=iam.AccountRootPrincipal())
    made.grant_start(consumer)
    made.grant_folder(consumer)
    return Template.from_stack(stack)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statements of all policies, each with the logical id of the role."""
    for policy in template.find_resources("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield policy["Properties"]["Roles"][0]["Ref"], statement


def of_role(template: Template, part: str) -> dict[str, dict[str, Any]]:
    """By action, what the role with this in its id may do."""
    return {action: s for role, s in statements(template) if part in role for action in listed(s["Action"])}


def definition(template: Template) -> dict[str, Any]:
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine").values()
    text = machine["Properties"]["DefinitionString"]
    assert set(machine["Properties"]["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", text))
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_function(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "labcycle_lambdas.batch.handler.handle",
            "MemorySize": 1024,
            "Timeout": 900,
            "EphemeralStorage": {"Size": 4096},
        },
    )
    functions = template.find_resources("AWS::Lambda::Function").values()
    (variables,) = [f["Properties"]["Environment"]["Variables"] for f in functions if "Environment" in f["Properties"]]
    read = BatchEnvironment.read(variables)
    assert read == BatchEnvironment("labcycle-fraud-ledger", "artifacts", "fraud", "card-fraud", 0.5)


def test_the_schedule_starts_the_machine_by_a_role_that_can_nothing_else(template: Template) -> None:
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine")
    template.has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "ScheduleExpression": "cron(0 5 * * ? *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": Match.object_like(
                {"Arn": {"Ref": machine}, "Input": "{}", "DeadLetterConfig": Match.any_value()}
            ),
        },
    )
    rights = of_role(template, "ScheduleRole")
    assert rights.keys() == {"sqs:SendMessage", "states:StartExecution"}
    assert rights["states:StartExecution"]["Resource"] == {"Ref": machine}


def test_without_a_schedule_nothing_starts_by_itself() -> None:
    stack = new_stack()
    assert batches(stack).schedule is None
    Template.from_stack(stack).resource_count_is("AWS::Scheduler::Schedule", 0)


def test_the_function_reads_its_record_its_folder_and_artifacts_and_writes_out_alone(template: Template) -> None:
    rights = of_role(template, "FunctionRole")
    assert {action for action in rights if not action.startswith(("logs:", "xray:", "kms:"))} == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:PutObject",
    }
    leading = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["DEPLOYMENT#card-fraud"]}}
    assert (rights["dynamodb:GetItem"]["Resource"], rights["dynamodb:GetItem"]["Condition"]) == (TABLE, leading)
    profiles = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["PROFILE#card-fraud#*"]}}
    assert (rights["dynamodb:PutItem"]["Resource"], rights["dynamodb:PutItem"]["Condition"]) == (TABLE, profiles)
    places = Places("card-fraud")
    out = places.run("")[:-1]
    assert json.dumps(rights["s3:PutObject"]["Resource"]).endswith(f':s3:::artifacts/{out}*"]]}}')
    read = json.dumps(rights["s3:GetObject"]["Resource"])
    assert places.incoming in read and out in read and read.count(":s3:::") == 2
    assert rights["s3:ListBucket"]["Condition"] == {"StringLike": {"s3:prefix": [f"{places.incoming}*", f"{out}*"]}}
    assert json.dumps(rights["s3:GetObjectVersion"]["Resource"]).endswith('artifacts/experiments/*"]]}')


def test_predictions_are_kept_where_the_monitor_asks_for_it() -> None:
    stack = new_stack()
    batches(stack, monitor=Monitor(performance=Performance(limit=0.9)))
    template = Template.from_stack(stack)
    puts = [json.dumps(s["Resource"]) for _, s in statements(template) if "s3:PutObject" in listed(s["Action"])]
    assert [f"artifacts/{log_key('card-fraud', 1, 'w').split('1/')[0]}*" in one for one in puts].count(True) == 1
    told = [
        function["Properties"]["Environment"]["Variables"].get("CAPTURE")
        for function in template.find_resources("AWS::Lambda::Function").values()
    ]
    assert [Keeping.of(one).log for one in told if one] == [True]


def test_actions_are_named_and_only_what_has_no_resource_has_none(template: Template) -> None:
    for role, statement in statements(template):
        for action in listed(statement["Action"]):
            assert "*" not in action, (role, action)
            if "*" in listed(statement["Resource"]):
                assert WITHOUT_RESOURCE.match(action), (role, action)


def test_who_may_start_puts_in_and_reads_out(template: Template) -> None:
    rights = of_role(template, "Consumer")
    assert {action for action in rights if not action.startswith("kms:")} == {
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "ssm:GetParameter",
        "states:DescribeExecution",
        "states:StartExecution",
    }
    assert json.dumps(rights["s3:PutObject"]["Resource"]).endswith('/batch/card-fraud/in/*"]]}')
    assert json.dumps(rights["s3:GetObject"]["Resource"]).endswith('/batch/card-fraud/out/*"]]}')
    assert names.batch_parameter("fraud", "card-fraud") in json.dumps(rights["ssm:GetParameter"]["Resource"])


def test_every_task_ends_is_repeated_with_jitter_and_has_a_way_out(template: Template) -> None:
    machine = definition(template)
    states = machine["States"]
    assert machine["QueryLanguage"] == "JSONata" and machine["TimeoutSeconds"] == 24 * 3600
    one = states["ScoreAll"]["ItemProcessor"]
    assert (states["ScoreAll"]["MaxConcurrency"], one["ProcessorConfig"]["Mode"]) == (7, "INLINE")
    for name, task in (states | one["States"]).items():
        if task["Type"] == "Task":
            assert task["TimeoutSeconds"] > 0, name
            assert [catch["ErrorEquals"] for catch in task["Catch"]] == [["States.ALL"]], name
            assert all(r["JitterStrategy"] == "FULL" and r["MaxDelaySeconds"] > 0 for r in task["Retry"]), name
    for name in ("Begin", "ScoreAll", "Conclude"):
        assert states[name]["Catch"][0]["Next"] == "NotifyFailed"
    assert "Throttled" in one["States"]["ScoreOne"]["Retry"][0]["ErrorEquals"]


def test_every_state_can_be_reached_and_every_next_is_there(template: Template) -> None:
    machine = definition(template)
    reached, to_do = set(), [machine["StartAt"]]
    while to_do:
        name = to_do.pop()
        if name not in reached:
            reached.add(name)
            state = {key: value for key, value in machine["States"][name].items() if key != "ItemProcessor"}
            to_do += re.findall(r'"(?:Next|Default)": "(\w+)"', json.dumps(state))
    assert reached == set(machine["States"])


def test_a_run_out_of_time_is_told(template: Template) -> None:
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine")
    template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.states"],
                "detail": {"status": ["TIMED_OUT"], "stateMachineArn": [{"Ref": machine}]},
            },
            "Targets": [Match.object_like({"DeadLetterConfig": Match.any_value()})],
        },
    )


def test_logs_are_encrypted_and_hold_no_data(template: Template) -> None:
    groups = [group["Properties"] for group in template.find_resources("AWS::Logs::LogGroup").values()]
    assert len(groups) == 2
    assert all("KmsKeyId" in group and group["RetentionInDays"] == 90 for group in groups)
    template.has_resource_properties(
        "AWS::StepFunctions::StateMachine", {"LoggingConfiguration": {"IncludeExecutionData": False, "Level": "ALL"}}
    )


def test_the_machine_is_found_by_its_parameter(template: Template) -> None:
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine")
    template.has_resource_properties(
        "AWS::SSM::Parameter", {"Name": names.batch_parameter("fraud", "card-fraud"), "Value": {"Ref": machine}}
    )


def test_dead_letters_of_ones_own_have_an_alarm_and_those_of_others_do_not() -> None:
    for given, alarms in (({}, 1), ({"dead_letters": None}, 1), ({"dead_letters": "given"}, 0)):
        stack = new_stack()
        props: dict[str, Any] = dict(given)
        if props.get("dead_letters") == "given":
            props["dead_letters"] = sqs.Queue.from_queue_arn(
                stack, "Letters", "arn:aws:sqs:eu-west-1:123456789012:letters"
            )
        batches(stack, **props)
        Template.from_stack(stack).resource_count_is("AWS::CloudWatch::Alarm", alarms)


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong: dict[str, Any] = {
        "schedule": "daily",
        "time_zone": "Mars",
        "memory": Size.mebibytes(128),
        "concurrency": 41,
        "tolerated_failure_percent": -1.0,
    }
    with pytest.raises(ValueError, match="memory") as told:
        batches(new_stack(), **wrong)
    for part in (
        "memory (MiB): got 128; allowed 512 to 10240.",
        "concurrency: got 41; allowed 1 to 40.",
        "tolerated_failure_percent: got -1; allowed 0 to 100.",
        "schedule: got 'daily'; allowed such as cron(0 5 * * ? *) or rate(12 hours).",
        "time_zone: got 'Mars'; allowed names of the IANA database such as Europe/Berlin.",
    ):
        assert part in str(told.value)
