from __future__ import annotations

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "alarm-treats-missing-data"


def test_compliant() -> None:
    assert offenders(RULE, stack(Alarm=resource("AWS::CloudWatch::Alarm", TreatMissingData="notBreaching"))) == []


def test_non_compliant() -> None:
    assert offenders(RULE, stack(Alarm=resource("AWS::CloudWatch::Alarm", Threshold=1))) == ["Alarm"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"))) == []
