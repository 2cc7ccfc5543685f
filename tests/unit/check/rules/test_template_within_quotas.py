from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcycle.check.template import Template
from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack

RULE = "template-within-quotas"


def statements(size: int) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "x" * size}]}


def attached(size: int, *roles: Any) -> dict[str, Any]:
    return resource("AWS::IAM::Policy", PolicyName="x", PolicyDocument=statements(size), Roles=list(roles))


@pytest.mark.parametrize(
    "one",
    [
        resource("AWS::IAM::ManagedPolicy", PolicyDocument=statements(6_000)),
        resource("AWS::IAM::Role", RoleName="x" * 64),
        resource("AWS::S3::Bucket", BucketName={"Fn::Sub": "${AWS::AccountId}-${Unknown}-" + "x" * 60}),
        resource("AWS::Lambda::Function", Environment={"Variables": {"A": "x" * 4_000}}),
        resource("AWS::StepFunctions::StateMachine", DefinitionString="x" * 1_000_000),
    ],
)
def test_compliant(one: dict[str, Any]) -> None:
    assert offenders(RULE, stack(One=one)) == []


@pytest.mark.parametrize(
    "one",
    [
        resource("AWS::IAM::ManagedPolicy", PolicyDocument=statements(6_144)),
        resource("AWS::KMS::Key", KeyPolicy=statements(33_000)),
        resource("AWS::S3::BucketPolicy", Bucket="x", PolicyDocument=statements(20_480)),
        resource("AWS::SQS::QueuePolicy", Queues=[], PolicyDocument=statements(8_192)),
        resource("AWS::Logs::ResourcePolicy", PolicyDocument="x" * 5_121),
        resource("AWS::IAM::Role", RoleName={"Fn::Sub": "${AWS::AccountId}" + "x" * 53}),
        resource("AWS::IAM::Role", Policies=[{"PolicyName": "x", "PolicyDocument": statements(10_240)}]),
        resource("AWS::S3::Bucket", BucketName="x" * 64),
        resource("AWS::SQS::Queue", QueueName="x" * 81),
        resource("AWS::Lambda::Function", Environment={"Variables": {"A": "x" * 4_096}}),
        resource("AWS::StepFunctions::StateMachine", DefinitionString="x" * 1_048_577),
    ],
)
def test_non_compliant(one: dict[str, Any]) -> None:
    assert "One" in offenders(RULE, stack(One=one))


def test_inline_policies_are_summed_over_stacks() -> None:
    role = stack("one", Role=resource("AWS::IAM::Role", RoleName="own"), Policy=attached(5_100, {"Ref": "Role"}))
    assert offenders(RULE, role, stack("two", Policy=attached(4_900, "own"))) == []
    assert offenders(RULE, role, stack("two", Policy=attached(5_100, "own"))) == ["Role"]
    assert offenders(RULE, role, stack("two", Policy=attached(5_100, "other"))) == []


def numbered(section: str, count: int) -> Template:
    body: dict[str, Any] = {"Resources": {"Topic": resource("AWS::SNS::Topic")}}
    body[section] = {f"One{n}": {} for n in range(count)}
    return Template("stack", json.dumps(body), REGION, ACCOUNT)


@pytest.mark.parametrize(
    ("section", "allowed"), [("Resources", 449), ("Outputs", 200), ("Parameters", 200), ("Mappings", 200)]
)
def test_what_a_template_holds(section: str, allowed: int) -> None:
    assert offenders(RULE, numbered(section, allowed)) == []
    assert offenders(RULE, numbered(section, allowed + 1)) == [""]


def test_the_file_is_what_is_uploaded(tmp_path: Path) -> None:
    template = stack(Topic=resource("AWS::SNS::Topic"))
    file = tmp_path / "template.yaml"
    file.write_text("#" * 1_048_576)
    assert offenders(RULE, replace(template, file=file)) == []
    file.write_text("#" * 1_048_577)
    assert offenders(RULE, replace(template, file=file)) == [""]


def test_not_applicable() -> None:
    assert (
        offenders(RULE, stack(Role=resource("AWS::IAM::Role"), Key=resource("AWS::KMS::Key", KeyPolicy={"Ref": "X"})))
        == []
    )
