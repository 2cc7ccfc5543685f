from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "alarm-has-action"
ARN = {"Fn::GetAtt": ["Alarm", "Arn"]}
PATTERN = {
    "source": ["aws.cloudwatch"],
    "detail-type": ["CloudWatch Alarm State Change"],
    "resources": [ARN],
    "detail": {"state": {"value": ["ALARM"]}},
}
SILENT = resource("AWS::CloudWatch::Alarm", OKActions=[{"Ref": "Topic"}])


def started(pattern: dict[str, Any], **more: Any) -> dict[str, Any]:
    return resource("AWS::Events::Rule", EventPattern=pattern, **({"Targets": [{"Arn": "a"}]} | more))


@pytest.mark.parametrize("kind", ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"])
@pytest.mark.parametrize("actions", [[{"Ref": "Topic"}], {"Ref": "Topics"}])
def test_compliant(kind: str, actions: Any) -> None:
    assert offenders(RULE, stack(Alarm=resource(kind, AlarmActions=actions))) == []


def test_compliant_by_what_starts_on_it() -> None:
    assert offenders(RULE, stack(Alarm=SILENT, Rule=started(PATTERN))) == []


@pytest.mark.parametrize(
    "alarm", [SILENT, resource("AWS::CloudWatch::Alarm", AlarmActions=[]), resource("AWS::CloudWatch::CompositeAlarm")]
)
def test_non_compliant(alarm: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Alarm=alarm)) == ["Alarm"]


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(
            started(PATTERN | {"resources": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:x"]}), id="another"
        ),
        pytest.param(started({key: value for key, value in PATTERN.items() if key != "resources"}), id="of any alarm"),
        pytest.param(started(PATTERN | {"source": ["aws.states"]}), id="another source"),
        pytest.param(started(PATTERN | {"detail": {"state": {"value": ["OK"]}}}), id="when it ends"),
        pytest.param(started(PATTERN, State="DISABLED"), id="switched off"),
        pytest.param(started(PATTERN, Targets=[]), id="without a target"),
        pytest.param(started(PATTERN, EventBusName="team"), id="of a bus that hears nothing of alarms"),
    ],
)
def test_non_compliant_rules(rule: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Alarm=SILENT, Rule=rule)) == ["Alarm"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Board=resource("AWS::CloudWatch::Dashboard"))) == []
