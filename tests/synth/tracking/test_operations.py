"""TrackingAlarms: silent while nobody calls, and told to the team."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns

from labcycle.tracking.operations import MANY_THROTTLED, SLOW_MILLISECONDS, TrackingAlarms
from labcycle_lambdas import responding
from tests.synth.assembly import Template, alone, of_type, resources


def _build(stack: Stack) -> None:
    function = lambda_.Function.from_function_name(stack, "Function", "labcycle-ours-tracking")
    topic, key = sns.Topic(stack, "Topic"), kms.Key(stack, "Key")
    TrackingAlarms(stack, "Alarms", team="ours", function=function, notice_topic=topic, encryption_key=key)


@pytest.fixture(scope="module")
def template() -> Template:
    return alone(_build)


@pytest.fixture(scope="module")
def alarms(template: Template) -> dict[str, dict[str, Any]]:
    return {alarm["MetricName"]: alarm for alarm in of_type(template, "AWS::CloudWatch::Alarm")}


def test_throttling_is_told_by_the_metric_that_the_function_publishes(alarms: dict[str, dict[str, Any]]) -> None:
    alarm = alarms[responding.THROTTLED]
    assert (alarm["Namespace"], alarm["Dimensions"]) == ("labcycle/ours", [{"Name": "team", "Value": "ours"}])
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", MANY_THROTTLED)


def test_slowness_is_told_by_a_metric_that_costs_nothing(alarms: dict[str, dict[str, Any]]) -> None:
    alarm = alarms["Duration"]
    assert alarm["Namespace"] == "AWS/Lambda"
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": "labcycle-ours-tracking"}]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Average", SLOW_MILLISECONDS)


def test_both_take_two_of_three_times_five_minutes_and_no_request_is_no_alarm(
    template: Template, alarms: dict[str, dict[str, Any]]
) -> None:
    (topic,) = (name for name, r in template["Resources"].items() if r["Type"] == "AWS::SNS::Topic")
    assert set(alarms) == {responding.THROTTLED, "Duration"}
    for alarm in alarms.values():
        assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (300, 3, 2)
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == [{"Ref": topic}]
    assert not resources(template, "AWS::Logs::MetricFilter")
