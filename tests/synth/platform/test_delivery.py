"""Notices arrive: walked from producer to encrypted topic, through the topic's policy and the key's policy.

An alarm that may not publish fires all the same, and nobody hears: nothing else would show it.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from labcycle.config import names
from tests.synth.assembly import as_list
from tests.synth.physical import Physical
from tests.synth.platform.conftest import SynthesizedStack
from tests.synth.platform.test_policies import ACCOUNT, REGION, identity_statements

Stacks = dict[str, SynthesizedStack]


@pytest.fixture(scope="session")
def physical(stacks: Stacks) -> Physical:
    return Physical({name: stack.template for name, stack in stacks.items()}, ACCOUNT, REGION)


def open_to(policy: list[dict[str, Any]], service: str, action: str, source: str) -> bool:
    """Whether a resource policy lets the service do it for this source."""
    for statement in policy:
        if statement["Effect"] != "Allow" or statement["Principal"].get("Service") != service:
            continue
        if action not in as_list(statement["Action"]):
            continue
        conditions = statement.get("Condition", {})
        known = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source}
        if all(
            any(fnmatchcase(known[key], str(pattern)) for pattern in as_list(wanted))
            for keys in conditions.values()
            for key, wanted in keys.items()
        ):
            # EventBridge sends no source to SNS and KMS: any condition on it fails.
            return not (service == "events.amazonaws.com" and conditions)
    return False


def topic_and_key(team_stacks: Stacks, team: str) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """ARN of the team's topic, its policy and that of its key."""
    foundation = team_stacks[f"{names.team_stage(team)}-foundation"].resources
    by_type = {r["Type"]: r["Properties"] for r in foundation.values()}
    assert "KmsMasterKeyId" in by_type["AWS::SNS::Topic"]
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{by_type['AWS::SNS::Topic']['TopicName']}"
    return (
        arn,
        by_type["AWS::SNS::TopicPolicy"]["PolicyDocument"]["Statement"],
        by_type["AWS::KMS::Key"]["KeyPolicy"]["Statement"],
    )


def arrives(team_stacks: Stacks, team: str, service: str, source: str) -> bool:
    _, topic, key = topic_and_key(team_stacks, team)
    return open_to(topic, service, "sns:Publish", source) and all(
        open_to(key, service, action, source) for action in ("kms:Decrypt", "kms:GenerateDataKey")
    )


def test_every_alarm_that_notifies_is_heard(team_stacks: Stacks, physical: Physical) -> None:
    notified = 0
    for name, stack in team_stacks.items():
        for logical_id, resource in stack.resources.items():
            if resource["Type"] != "AWS::CloudWatch::Alarm":
                continue
            team = name.split("-")[1]
            for action in resource["Properties"].get("AlarmActions", []):
                target = physical.text(name, action)
                if ":sns:" in target:
                    notified += 1
                    assert target == topic_and_key(team_stacks, team)[0]
                    alarm = physical.arn(name, logical_id)
                    assert arrives(team_stacks, team, "cloudwatch.amazonaws.com", alarm), logical_id
    assert notified >= 1


def test_every_rule_that_notifies_is_heard(team_stacks: Stacks, physical: Physical) -> None:
    for name, stack in team_stacks.items():
        team = name.split("-")[1]
        assert arrives(team_stacks, team, "events.amazonaws.com", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/any")
        for logical_id, resource in stack.resources.items():
            if resource["Type"] == "AWS::Events::Rule":
                for target in resource["Properties"].get("Targets", []):
                    arn = physical.text(name, target["Arn"])
                    if ":sns:" in arn:
                        assert arn == topic_and_key(team_stacks, team)[0], logical_id


def test_every_role_that_publishes_may_use_the_key(team_stacks: Stacks, physical: Physical) -> None:
    publishers = 0
    by_policy: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, logical_id, statement in identity_statements(team_stacks):
        by_policy.setdefault((name, logical_id), []).append(statement)
    for (name, logical_id), found in by_policy.items():
        if not any("sns:Publish" in as_list(s["Action"]) for s in found):
            continue
        publishers += 1
        key = f"{names.team_stage(name.split('-')[1])}-foundation"
        usable = {
            action
            for s in found
            if any(key in physical.text(name, r) and ":kms:" in physical.text(name, r) for r in as_list(s["Resource"]))
            and f"sns.{REGION}.amazonaws.com" in json.dumps(s.get("Condition", f"sns.{REGION}.amazonaws.com"))
            for action in as_list(s["Action"])
        }
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= usable, f"{name}/{logical_id} publishes without the key"
    assert publishers >= 1


def test_another_service_is_not_let_in(team_stacks: Stacks) -> None:
    """The walk itself can say no."""
    assert not arrives(team_stacks, "fraud", "budgets.amazonaws.com", "x")
    other = f"arn:aws:cloudwatch:{REGION}:999999999999:alarm:x"
    assert not arrives(team_stacks, "fraud", "cloudwatch.amazonaws.com", other)


def test_every_encrypted_log_group_may_use_the_key(team_stacks: Stacks, physical: Physical) -> None:
    groups = 0
    for name, stack in team_stacks.items():
        _, _, key = topic_and_key(team_stacks, name.split("-")[1])
        (logs,) = (s for s in key if s["Principal"].get("Service") == f"logs.{REGION}.amazonaws.com")
        patterns = as_list(logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"])
        for logical_id, resource in stack.resources.items():
            if resource["Type"] == "AWS::Logs::LogGroup":
                groups += 1
                assert "KmsKeyId" in resource["Properties"], f"{name}/{logical_id} is not encrypted with the team's key"
                assert resource["Properties"].get("RetentionInDays"), f"{name}/{logical_id} is kept for ever"
                arn = physical.arn(name, logical_id).removesuffix(":*")
                assert any(fnmatchcase(arn, pattern) for pattern in patterns), arn
    assert groups >= 4
