"""CustodyAnchors and CustodyOutbox: what each may do, what calls it, and where its failures go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from labcycle.tracking.custody import EVENTS_ONLY, CustodyAnchors, CustodyOutbox
from labcycle_lambdas import anchor_age
from labcycle_lambdas.anchoring import store
from tests.synth.assembly import Template, alone, as_list, of_type

LEDGER, BUCKET, BUS, QUEUE = "the-ledger", "the-anchors", "the-bus", "the-letters"
_KEY = {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"}


def _ledger(stack: Stack, **more: Any) -> dynamodb.Table:
    key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
    return dynamodb.Table(stack, "Ledger", table_name=LEDGER, partition_key=key, **more)


def _anchors(stack: Stack) -> None:
    anchors = CustodyAnchors(
        stack,
        "Anchors",
        team="ours",
        ledger=_ledger(stack),
        bucket=s3.Bucket.from_bucket_name(stack, "Bucket", BUCKET),
        encryption_key=kms.Key(stack, "Key"),
        notice_topic=sns.Topic(stack, "Topic"),
        dead_letters=sqs.Queue(stack, "Letters", queue_name=QUEUE),
    )
    anchors.grant_read(iam.Role(stack, "Reader", role_name="reader", assumed_by=iam.AccountRootPrincipal()))


def _outbox(stack: Stack) -> None:
    CustodyOutbox(
        stack,
        "Outbox",
        team="ours",
        ledger=_ledger(stack, stream=dynamodb.StreamViewType.NEW_IMAGE),
        bus=events.EventBus(stack, "Bus", event_bus_name=BUS),
        encryption_key=kms.Key(stack, "Key"),
        dead_letters=sqs.Queue(stack, "Letters", queue_name=QUEUE),
    )


@pytest.fixture(scope="module")
def anchors() -> Template:
    return alone(_anchors)


@pytest.fixture(scope="module")
def outbox() -> Template:
    return alone(_outbox)


def named(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: r.get("Properties", {}) for name, r in template["Resources"].items() if r["Type"] == kind}


def rights(template: Template, role: str) -> list[tuple[str, str, str]]:
    """(action, resource, condition) that the policies of a role allow; KMS apart."""
    found = []
    for policy in of_type(template, "AWS::IAM::Policy"):
        if {"Ref": role} not in policy["Roles"]:
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            condition = json.dumps(statement["Condition"], sort_keys=True) if "Condition" in statement else ""
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    found.append((action, plain(template, resource), condition))
    return sorted(one for one in found if not one[0].startswith("kms:"))


def plain(template: Template, resource: Any) -> str:
    """What an ARN points to: the type of the resource in the template, and what follows."""
    if isinstance(resource, str):
        return resource
    (kind, value), *_ = resource.items()
    if kind == "Fn::Join":
        return "".join(plain(template, part) for part in value[1])
    name = value[0] if kind == "Fn::GetAtt" else value
    return "aws" if name == "AWS::Partition" else str(template["Resources"][name]["Type"].rpartition("::")[2])


def role_of(template: Template, function: str) -> str:
    return str(template["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"][0])


def only(template: Template, kind: str) -> tuple[str, dict[str, Any]]:
    (found,) = named(template, kind).items()
    return found


def leading(partition: str) -> str:
    return json.dumps({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [partition]}})


def custody_rights(template: Template, function: str) -> list[tuple[str, str, str]]:
    """Of a function's role, but for its logs and traces."""
    found = rights(template, role_of(template, function))
    return [one for one in found if not one[0].startswith(("logs:", "xray:"))]


def test_anchoring_takes_away_marks_and_writes_anchors_and_nothing_else(anchors: Template) -> None:
    function, _ = only(anchors, "AWS::Lambda::Function")
    waiting, last = leading("CUSTODY_WAITING"), leading("CUSTODY_ANCHOR")
    objects = f"arn:aws:s3:::{BUCKET}/{store.PREFIX}*"
    assert custody_rights(anchors, function) == [
        ("dynamodb:BatchWriteItem", "Table", waiting),
        ("dynamodb:GetItem", "Table", last),
        ("dynamodb:PutItem", "Table", last),
        ("dynamodb:Query", "Table", waiting),
        ("s3:GetObject", objects, ""),
        ("s3:PutObject", objects, ""),
        ("sqs:SendMessage", "Queue", ""),
    ]


def test_a_reader_reads_every_version_of_the_anchors_and_changes_none(anchors: Template) -> None:
    reader = next(name for name, r in named(anchors, "AWS::IAM::Role").items() if r.get("RoleName") == "reader")
    assert rights(anchors, reader) == [
        ("s3:GetObjectVersion", f"arn:aws:s3:::{BUCKET}/{store.PREFIX}*", ""),
        (
            "s3:ListBucketVersions",
            f"arn:aws:s3:::{BUCKET}",
            json.dumps({"StringLike": {"s3:prefix": [f"{store.PREFIX}*"]}}),
        ),
    ]


def test_anchoring_is_called_every_hour_and_a_call_that_fails_is_kept(anchors: Template) -> None:
    function, _ = only(anchors, "AWS::Lambda::Function")
    queue, _ = only(anchors, "AWS::SQS::Queue")
    letters = {"Fn::GetAtt": [queue, "Arn"]}
    _, schedule = only(anchors, "AWS::Scheduler::Schedule")
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(60 minutes)", "ENABLED")
    target = schedule["Target"]
    assert target["Arn"] == {"Fn::GetAtt": [function, "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": letters}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 5}
    role = target["RoleArn"]["Fn::GetAtt"][0]
    assert rights(anchors, role) == [("lambda:InvokeFunction", "Function", ""), ("sqs:SendMessage", "Queue", "")]
    trust = anchors["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [(s["Principal"], "aws:SourceAccount" in s["Condition"]["StringEquals"]) for s in trust] == [
        ({"Service": "scheduler.amazonaws.com"}, True)
    ]
    _, failures = only(anchors, "AWS::Lambda::EventInvokeConfig")
    assert failures["DestinationConfig"] == {"OnFailure": {"Destination": letters}}


def test_the_alarm_is_silent_while_nothing_happens(anchors: Template) -> None:
    topic, _ = only(anchors, "AWS::SNS::Topic")
    _, alarm = only(anchors, "AWS::CloudWatch::Alarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("labcycle/ours", anchor_age.NAME)
    assert alarm["Dimensions"] == [{"Name": "team", "Value": "ours"}]
    assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Maximum", 3600, 3 * 3600)
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == [{"Ref": topic}]


def test_the_outbox_reads_the_stream_and_puts_events_and_nothing_else(outbox: Template) -> None:
    function, _ = only(outbox, "AWS::Lambda::Function")
    waiting = leading("CUSTODY_WAITING")
    assert custody_rights(outbox, function) == [
        ("dynamodb:DescribeStream", "Table/stream/*", ""),
        ("dynamodb:GetRecords", "Table/stream/*", ""),
        ("dynamodb:GetShardIterator", "Table/stream/*", ""),
        ("dynamodb:ListStreams", "*", ""),
        ("dynamodb:Query", "Table", waiting),
        ("events:PutEvents", "EventBus", ""),
        ("sqs:SendMessage", "Queue", ""),
    ]


def test_the_source_lets_events_alone_through_and_gives_none_up_in_silence(outbox: Template) -> None:
    ledger, _ = only(outbox, "AWS::DynamoDB::Table")
    queue, _ = only(outbox, "AWS::SQS::Queue")
    name, source = only(outbox, "AWS::Lambda::EventSourceMapping")
    assert source["EventSourceArn"] == {"Fn::GetAtt": [ledger, "StreamArn"]}
    assert [json.loads(one["Pattern"]) for one in source["FilterCriteria"]["Filters"]] == [EVENTS_ONLY]
    assert source["StartingPosition"] == "TRIM_HORIZON"
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["BisectBatchOnFunctionError"] is True
    assert source["MaximumRecordAgeInSeconds"] < 86_400, "later the stream has it no more, and no letter tells of it"
    assert source["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [queue, "Arn"]}}}
    role = role_of(outbox, only(outbox, "AWS::Lambda::Function")[0])
    policies = {n for n, p in named(outbox, "AWS::IAM::Policy").items() if {"Ref": role} in p["Roles"]}
    assert policies & set(as_list(outbox["Resources"][name]["DependsOn"])), "Lambda looks at the rights when it is made"


def test_a_ledger_without_a_stream_is_refused() -> None:
    def build(stack: Stack) -> None:
        CustodyOutbox(
            stack,
            "Outbox",
            team="ours",
            ledger=_ledger(stack),
            bus=events.EventBus(stack, "Bus"),
            encryption_key=kms.Key(stack, "Key"),
            dead_letters=sqs.Queue(stack, "Letters"),
        )

    with pytest.raises(ValueError, match="the table has no stream; give it stream="):
        alone(build)


@pytest.mark.parametrize("which", ["anchors", "outbox"])
def test_keys_are_used_and_not_administered(which: str, request: pytest.FixtureRequest) -> None:
    template: Template = request.getfixturevalue(which)
    used = {
        action
        for policy in of_type(template, "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if action.startswith("kms:")
    }
    assert used and used <= _KEY
