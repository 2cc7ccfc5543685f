from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.failures import as_table, failures
from tests.unit.check.rules.cases import offenders, resource, stack, stack_of

RULE = "failure-is-heard"
NOTICES = "arn:aws:sns:eu-west-1:123456789012:notices"
Resources = dict[str, dict[str, Any]]


def get(logical_id: str, attribute: str = "Arn") -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, attribute]}


def alarm(namespace: str, metric: str, *actions: str, **dimensions: Any) -> dict[str, Any]:
    return resource(
        "AWS::CloudWatch::Alarm",
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        AlarmActions=list(actions or [NOTICES]),
    )


def machine(**states: Any) -> dict[str, Any]:
    return resource("AWS::StepFunctions::StateMachine", DefinitionString=json.dumps({"States": states}))


QUEUE = resource("AWS::SQS::Queue")
DEPTH = alarm("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=get("Queue", "QueueName"))
SCHEDULE = resource(
    "AWS::Scheduler::Schedule",
    Target={"Arn": get("Function"), "RoleArn": "x", "DeadLetterConfig": {"Arn": get("Queue")}},
)
FUNCTION = resource("AWS::Lambda::Function", DeadLetterConfig={"TargetArn": get("Queue")})
TOLD = machine(
    Work={"Type": "Task", "Resource": "x", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]},
    Tell={"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "End": True},
)
OUT_OF_TIME = resource(
    "AWS::Events::Rule",
    EventPattern={
        "source": ["aws.states"],
        "detail": {"status": ["TIMED_OUT"], "stateMachineArn": [{"Ref": "Machine"}]},
    },
    Targets=[{"Id": "x", "Arn": NOTICES, "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:theirs"}}],
)
REDRIVE = {"deadLetterTargetArn": get("Queue"), "maxReceiveCount": 3}

COMPLIANT: dict[str, Resources] = {
    "schedule to a function, dead letters with an alarm": {
        "Schedule": SCHEDULE,
        "Function": FUNCTION,
        "Queue": QUEUE,
        "Alarm": DEPTH,
    },
    "dead letters with an alarm by metric math": {
        "Schedule": SCHEDULE,
        "Function": FUNCTION,
        "Queue": QUEUE,
        "Alarm": resource(
            "AWS::CloudWatch::Alarm",
            AlarmActions=[NOTICES],
            Metrics=[
                {"Id": "all", "Expression": "SUM(METRICS())"},
                {
                    "Id": "one",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/SQS",
                            "MetricName": "ApproximateNumberOfMessagesVisible",
                            "Dimensions": [{"Name": "QueueName", "Value": get("Queue", "QueueName")}],
                        }
                    },
                },
            ],
        ),
    },
    "dead letters with an alarm within another": {
        "Schedule": SCHEDULE,
        "Function": FUNCTION,
        "Queue": QUEUE,
        "Alarm": resource(
            "AWS::CloudWatch::Alarm", **{**DEPTH["Properties"], "AlarmActions": [], "AlarmName": "letters"}
        ),
        "Both": resource("AWS::CloudWatch::CompositeAlarm", AlarmRule="ALARM(letters)", AlarmActions=[NOTICES]),
    },
    "dead letters that a function reads": {
        "Schedule": SCHEDULE,
        "Function": FUNCTION,
        "Queue": resource("AWS::SQS::Queue"),
        "Mapping": resource("AWS::Lambda::EventSourceMapping", FunctionName="x", EventSourceArn=get("Queue")),
    },
    "function with an alarm on its errors": {
        "Rule": resource(
            "AWS::Events::Rule",
            Targets=[{"Id": "x", "Arn": get("Function"), "DeadLetterConfig": {"Arn": "arn:aws:sqs:x:1:theirs"}}],
        ),
        "Function": resource("AWS::Lambda::Function"),
        "Alarm": alarm("AWS/Lambda", "Errors", FunctionName={"Ref": "Function"}),
    },
    "function with an alarm on all errors": {
        "Schedule": SCHEDULE,
        "Function": resource("AWS::Lambda::Function"),
        "Queue": QUEUE,
        "Alarm": DEPTH,
        "All": alarm("AWS/Lambda", "Errors"),
    },
    "HTTP API": {
        "Api": resource("AWS::ApiGatewayV2::Api"),
        "Alarm": alarm("AWS/ApiGateway", "5xx", ApiId={"Ref": "Api"}),
    },
    "REST API": {
        "Api": resource("AWS::ApiGateway::RestApi", Name="scores"),
        "Alarm": alarm("AWS/ApiGateway", "5XXError", ApiName="scores"),
    },
    "state machine that tells, and a rule": {"Machine": TOLD, "Rule": OUT_OF_TIME},
    "state machine with alarms": {
        "Machine": machine(Work={"Type": "Task", "Resource": "x"}),
        "Failed": alarm("AWS/States", "ExecutionsFailed", StateMachineArn={"Ref": "Machine"}),
        "TimedOut": alarm("AWS/States", "ExecutionsTimedOut", StateMachineArn=get("Machine")),
    },
    "stream": {
        "Mapping": resource(
            "AWS::Lambda::EventSourceMapping",
            FunctionName="x",
            EventSourceArn=get("Table", "StreamArn"),
            DestinationConfig={"OnFailure": {"Destination": NOTICES}},
        ),
        "Table": resource("AWS::DynamoDB::Table"),
    },
    "queue with a reader": {
        "Work": resource("AWS::SQS::Queue", RedrivePolicy=REDRIVE),
        "Mapping": resource("AWS::Lambda::EventSourceMapping", FunctionName="x", EventSourceArn=get("Work")),
        "Queue": QUEUE,
        "Alarm": DEPTH,
    },
    "subscriptions": {
        "Called": resource("AWS::SNS::Subscription", Protocol="https", TopicArn=NOTICES, RedrivePolicy=REDRIVE),
        "Mail": resource("AWS::SNS::Subscription", Protocol="email", TopicArn=NOTICES, Endpoint="a@example.com"),
        "Queue": QUEUE,
        "Alarm": DEPTH,
    },
    "pipe": {
        "Pipe": resource("AWS::Pipes::Pipe", Name="own"),
        "Alarm": alarm("AWS/EventBridge/Pipes", "ExecutionFailed", PipeName="own"),
    },
    "endpoint": {
        "Endpoint": resource("AWS::SageMaker::Endpoint"),
        "Alarm": alarm("AWS/SageMaker", "Invocation5XXErrors", EndpointName=get("Endpoint", "EndpointName")),
    },
    "jobs": {
        "Jobs": resource("AWS::Batch::JobQueue"),
        "Rule": resource(
            "AWS::Events::Rule",
            EventPattern={"source": ["aws.batch"], "detail": {"status": ["FAILED"]}},
            Targets=[{"Id": "x", "Arn": NOTICES, "DeadLetterConfig": {"Arn": "arn:aws:sqs:x:1:theirs"}}],
        ),
    },
}


@pytest.mark.parametrize("case", COMPLIANT)
def test_compliant(case: str) -> None:
    template = stack_of(COMPLIANT[case])
    assert failures(Estate([template]))
    assert offenders(RULE, template) == []


def of(case: str, *left_out: str, **changed: dict[str, Any]) -> Resources:
    return {name: one for name, one in COMPLIANT[case].items() if name not in left_out} | changed


LETTERS = "schedule to a function, dead letters with an alarm"
NON_COMPLIANT: dict[str, tuple[Resources, list[str]]] = {
    "dead letters without an alarm": (of(LETTERS, "Alarm"), ["Queue"]),
    "dead letters with an alarm that tells nobody": (
        of(LETTERS, Alarm=resource("AWS::CloudWatch::Alarm", **{**DEPTH["Properties"], "AlarmActions": []})),
        ["Queue"],
    ),
    "dead letters with an alarm that is switched off": (
        of(LETTERS, Alarm=resource("AWS::CloudWatch::Alarm", **{**DEPTH["Properties"], "ActionsEnabled": False})),
        ["Queue"],
    ),
    "dead letters with an alarm within another of a longer name": (
        of(
            "dead letters with an alarm within another",
            Both=resource("AWS::CloudWatch::CompositeAlarm", AlarmRule='ALARM("own-letters")', AlarmActions=[NOTICES]),
        ),
        ["Queue"],
    ),
    "an alarm on no queue": (of(LETTERS, Alarm=alarm("AWS/SQS", "ApproximateNumberOfMessagesVisible")), ["Queue"]),
    "an alarm on another queue": (
        of(LETTERS, Alarm=alarm("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName="other")),
        ["Queue"],
    ),
    "an alarm on another metric": (
        of(LETTERS, Alarm=alarm("AWS/SQS", "NumberOfMessagesReceived", QueueName=get("Queue", "QueueName"))),
        ["Queue"],
    ),
    "a schedule without dead letters": (
        of(LETTERS, Schedule=resource("AWS::Scheduler::Schedule", Target={"Arn": get("Function"), "RoleArn": "x"})),
        ["Schedule"],
    ),
    "a function without a destination": (of(LETTERS, Function=resource("AWS::Lambda::Function")), ["Function"]),
    "an API without an alarm": (of("HTTP API", "Alarm"), ["Api"]),
    "a REST API without an alarm": (of("REST API", "Alarm"), ["Api"]),
    "a state machine without a watch": (of("state machine with alarms", "Failed", "TimedOut"), ["Machine", "Machine"]),
    "a state machine that can run out of time": (of("state machine that tells, and a rule", "Rule"), ["Machine"]),
    "a rule on another machine": (
        of(
            "state machine that tells, and a rule",
            Rule=resource(
                "AWS::Events::Rule",
                **{
                    **OUT_OF_TIME["Properties"],
                    "EventPattern": {
                        "source": ["aws.states"],
                        "detail": {"status": ["TIMED_OUT"], "stateMachineArn": ["other"]},
                    },
                },
            ),
        ),
        ["Machine"],
    ),
    "a rule on the team's own bus": (
        of(
            "state machine that tells, and a rule",
            Rule=resource("AWS::Events::Rule", **{**OUT_OF_TIME["Properties"], "EventBusName": "team"}),
        ),
        ["Machine"],
    ),
    "a rule on events of another kind": (
        of(
            "state machine that tells, and a rule",
            Rule=resource(
                "AWS::Events::Rule",
                **{
                    **OUT_OF_TIME["Properties"],
                    "EventPattern": {**OUT_OF_TIME["Properties"]["EventPattern"], "detail-type": ["other"]},
                },
            ),
        ),
        ["Machine"],
    ),
    "a rule that is switched off": (
        of(
            "state machine that tells, and a rule",
            Rule=resource("AWS::Events::Rule", **{**OUT_OF_TIME["Properties"], "State": "DISABLED"}),
        ),
        ["Machine"],
    ),
    "a rule without dead letters": (
        {"Rule": resource("AWS::Events::Rule", Targets=[{"Id": "x", "Arn": NOTICES}])},
        ["Rule"],
    ),
    "a stream without a destination": (
        of(
            "stream",
            Mapping=resource(
                "AWS::Lambda::EventSourceMapping", FunctionName="x", EventSourceArn=get("Table", "StreamArn")
            ),
        ),
        ["Mapping"],
    ),
    "a queue without redrive": (
        of("queue with a reader", "Queue", "Alarm", Work=resource("AWS::SQS::Queue")),
        ["Work"],
    ),
    "a subscription without redrive": (
        {"Called": resource("AWS::SNS::Subscription", Protocol="lambda", TopicArn=NOTICES, Endpoint="x")},
        ["Called"],
    ),
    "a pipe": (of("pipe", "Alarm"), ["Pipe"]),
    "an endpoint": (of("endpoint", "Alarm"), ["Endpoint"]),
    "jobs": (of("jobs", "Rule"), ["Jobs"]),
}


@pytest.mark.parametrize("case", NON_COMPLIANT)
def test_non_compliant(case: str) -> None:
    resources, expected = NON_COMPLIANT[case]
    assert offenders(RULE, stack_of(resources)) == expected


@pytest.mark.parametrize(
    "resources",
    [
        {"Function": resource("AWS::Lambda::Function"), "Queue": QUEUE},
        {"Mail": resource("AWS::SNS::Subscription", Protocol="email", TopicArn=NOTICES)},
        {"Rule": resource("AWS::Events::Rule", Targets="x"), "Queue": resource("AWS::SQS::Queue", RedrivePolicy="{")},
        {"Alarm": resource("AWS::CloudWatch::Alarm", Metrics=["x", {"Id": "y"}], AlarmActions=["x"], Dimensions="z")},
    ],
)
def test_not_applicable(resources: Resources) -> None:
    assert offenders(RULE, stack_of(resources)) == []


def test_an_alarm_of_another_region_does_not_hear() -> None:
    here = stack("here", Api=resource("AWS::ApiGateway::RestApi", Name="scores"))
    other = stack("there", Alarm=alarm("AWS/ApiGateway", "5XXError", ApiName="scores"))
    there = type(other)(other.name, other.text, "us-east-1", other.account)
    assert offenders(RULE, here, there) == ["Api"]
    assert offenders(RULE, here, other) == []


def test_the_matrix_as_a_table() -> None:
    rows = failures(
        Estate(
            [stack("one", Api=resource("AWS::ApiGatewayV2::Api")), replace(stack_of(COMPLIANT[LETTERS]), name="two")]
        )
    )
    lines = [line.split() for line in as_table(rows).splitlines()]
    assert lines[0] == ["stack", "what", "fails", "heard", "by"]
    assert ["one", "Api", "answers", "with", "5xx", "NOBODY"] in lines
    assert ["two", "Schedule", "its", "target", "cannot", "be", "reached", "queue", "Queue"] in lines
    assert ["two", "Queue", "dead", "letters", "lie", "in", "it", "alarm", "Alarm"] in lines
