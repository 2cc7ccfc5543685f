from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "queue-tls-only"
PLAIN = {"Bool": {"aws:SecureTransport": "false"}}
ARN = {"Fn::GetAtt": ["Queue", "Arn"]}
DENY = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sqs:*", "Resource": ARN, "Condition": PLAIN}


def policy(**changed: Any) -> dict[str, Any]:
    statement = {**DENY, **changed}
    return resource("AWS::SQS::QueuePolicy", Queues=[{"Ref": "Queue"}], PolicyDocument={"Statement": statement})


def test_compliant() -> None:
    assert offenders(RULE, stack(Queue=resource("AWS::SQS::Queue"), Policy=policy())) == []


@pytest.mark.parametrize("changed", [{"Effect": "Allow"}, {"Action": "sqs:SendMessage"}, {"Resource": "arn:other"}])
def test_non_compliant(changed: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Queue=resource("AWS::SQS::Queue"), Policy=policy(**changed))) == ["Queue"]
    assert offenders(RULE, stack(Queue=resource("AWS::SQS::Queue"))) == ["Queue"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"))) == []
