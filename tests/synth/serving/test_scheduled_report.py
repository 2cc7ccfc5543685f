"""ScheduledReport on its own, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Match, Template

from labcycle.serving import ScheduledReport
from labcycle_lambdas.report.environment import Environment

LEDGER = "arn:aws:dynamodb:eu-west-1:123456789012:table/labcycle-fraud-ledger"


def report(stack: Stack, **props: Any) -> ScheduledReport:
    key = kms.Key(stack, "Key")
    given: dict[str, Any] = {
        "team": "fraud",
        "model": "card-fraud",
        "business_owner": "head-of-cards@example.com",
        "ledger": dynamodb.Table.from_table_arn(stack, "Ledger", LEDGER),
        "artifact_bucket": s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
        "encryption_key": key,
        "notice_topic": sns.Topic(stack, "Topic", master_key=key),
        "schedule": "cron(0 7 ? * MON *)",
        "time_zone": "Europe/Berlin",
        "sender": "reports@example.com",
        "recipients": ["cards@example.com", "risk@example.com"],
    }
    return ScheduledReport(stack, "Report", **(given | props))


@pytest.fixture(scope="module")
def template() -> Template:
    stack = Stack(App(analytics_reporting=False), "Stack")
    report(stack)
    return Template.from_stack(stack)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template) -> list[dict[str, Any]]:
    policies = template.find_resources("AWS::IAM::Policy").values()
    return [statement for policy in policies for statement in policy["Properties"]["PolicyDocument"]["Statement"]]


def may(template: Template, service: str) -> dict[str, dict[str, Any]]:
    """What is allowed of a service, by action."""
    return {
        action: statement
        for statement in statements(template)
        for action in listed(statement["Action"])
        if action.startswith(f"{service}:")
    }


def test_it_is_called_at_its_time_in_its_zone_and_no_call_is_lost(template: Template) -> None:
    [queue] = template.find_resources("AWS::SQS::Queue")
    letters = {"Fn::GetAtt": [queue, "Arn"]}
    template.has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "ScheduleExpression": "cron(0 7 ? * MON *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Input": '{"scheduled_time": "<aws.scheduler.scheduled-time>"}',
                "DeadLetterConfig": {"Arn": letters},
                "RetryPolicy": {"MaximumEventAgeInSeconds": 21600, "MaximumRetryAttempts": 5},
            },
        },
    )
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig", {"DestinationConfig": {"OnFailure": {"Destination": letters}}}
    )
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "AlarmActions": [Match.any_value()],
            "AlarmDescription": Match.string_like_regexp("the report of card-fraud"),
        },
    )


def test_the_function_can_read_its_settings(template: Template) -> None:
    [function] = template.find_resources("AWS::Lambda::Function").values()
    variables = function["Properties"]["Environment"]["Variables"]
    read = Environment.read({name: value if isinstance(value, str) else "token" for name, value in variables.items()})
    assert (read.team, read.model, read.days, read.zone.key) == ("fraud", "card-fraud", 7, "Europe/Berlin")
    assert read.recipients == ("cards@example.com", "risk@example.com")
    assert (read.method, read.threshold, read.minimum_rows) == ("psi", 0.2, 500)


def test_it_sends_as_its_sender_and_nobody_else(template: Template) -> None:
    sending = may(template, "ses")
    assert set(sending) == {"ses:SendEmail"}
    statement = sending["ses:SendEmail"]
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": "reports@example.com"}}
    arns = [json.dumps(resource) for resource in statement["Resource"]]
    assert [arn.rpartition(":identity/")[2].partition('"')[0] for arn in arns] == [
        "reports@example.com",
        "example.com",
    ]


def test_it_reads_what_its_model_did_and_writes_its_own_marks_and_pages(template: Template) -> None:
    ledger = may(template, "dynamodb")
    assert {action: statement["Resource"] for action, statement in ledger.items()} == dict.fromkeys(
        ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"), LEDGER
    )
    keys = {
        action: listed(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
        for action, statement in ledger.items()
    }
    assert keys == {
        "dynamodb:GetItem": ["DEPLOYMENT#card-fraud", "DRIFT#card-fraud", "REPORT#card-fraud"],
        "dynamodb:Query": ["CUSTODY#model/card-fraud", "PROFILE#card-fraud#*"],
        "dynamodb:PutItem": ["REPORT#card-fraud"],
    }
    objects = may(template, "s3")
    assert set(objects) == {"s3:PutObject"}
    assert json.dumps(objects["s3:PutObject"]["Resource"]).endswith(':s3:::artifacts/reports/card-fraud/*"]]}')
    assert not [action for statement in statements(template) for action in listed(statement["Action"]) if "*" in action]


def test_a_queue_of_others_is_used_as_it_is() -> None:
    stack = Stack(App(analytics_reporting=False), "Stack")
    arn = "arn:aws:sqs:eu-west-1:123456789012:labcycle-fraud-dead-letters"
    report(stack, dead_letters=sqs.Queue.from_queue_arn(stack, "Letters", arn))
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::SQS::Queue", 0)
    template.resource_count_is("AWS::CloudWatch::Alarm", 0)


@pytest.mark.parametrize(
    ("props", "said"),
    [
        ({"recipients": []}, "recipients: got 0 of 0 characters; allowed 1 to 50"),
        ({"recipients": ["a@example.com"] * 51}, "recipients: got 51 of 663 characters"),
        ({"recipients": [f"{'a' * 140}@example.com"] * 20}, "got 20 of 3040 characters; .* 3000 characters together"),
        ({"days": 0}, "days: got 0; allowed 1 to 92"),
    ],
)
def test_what_could_not_work_is_refused(props: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        report(Stack(App(analytics_reporting=False), "Stack"), **props)
