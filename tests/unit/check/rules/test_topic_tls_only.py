from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "topic-tls-only"
PLAIN = {"Bool": {"aws:SecureTransport": "false"}}
DENY = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": {"Ref": "Topic"}, "Condition": PLAIN}


def policy(**changed: Any) -> dict[str, Any]:
    statement = {**DENY, **changed}
    return resource("AWS::SNS::TopicPolicy", Topics=[{"Ref": "Topic"}], PolicyDocument={"Statement": [statement]})


def test_compliant() -> None:
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"), Policy=policy())) == []


@pytest.mark.parametrize(
    "changed", [{"Effect": "Allow"}, {"Action": "sns:Subscribe"}, {"Principal": {"AWS": "123456789012"}}]
)
def test_non_compliant(changed: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"), Policy=policy(**changed))) == ["Topic"]
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"))) == ["Topic"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Queue=resource("AWS::SQS::Queue"))) == []
