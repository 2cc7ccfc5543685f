"""What the team's key, topic and queue let in is what some producer of a full team needs, and no more.

That every producer is let in, the rule `delivery-reaches-its-target` tells of the app as of any other templates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcycle.check.delivery import ROLE, deliveries, refusals
from labcycle.check.estate import Estate
from labcycle.check.template import Template, templates_at
from labcycle.config import names
from labcycle.foundation.key_policy import ACCOUNT, KEY_USES

TEAM = "fraud"
# Statements that no delivery needs, and why they are there all the same.
FOR_OTHER_REASONS = {
    "AccountAdministersByIam": "for those who administer the key itself",
    "AutoScalingUses": "machines for jobs start with encrypted disks",
    "AutoScalingGrants": "and EC2 attaches them",
}


@pytest.fixture(scope="session")
def templates(assembly: Path) -> list[Template]:
    return [t for t in templates_at(assembly) if t.name.startswith(f"{names.team_stage(TEAM)}-")]


def without(templates: list[Template], kind: str, sid: str) -> Iterator[Template]:
    """The templates without the statements of this id in policies of this type."""
    found = 0
    for template in templates:
        body = json.loads(template.text)
        for resource in body["Resources"].values():
            document = resource.get("Properties", {}).get("KeyPolicy" if kind == "AWS::KMS::Key" else "PolicyDocument")
            if resource["Type"] == kind and document:
                kept = [one for one in document["Statement"] if one.get("Sid") != sid]
                found += len(document["Statement"]) - len(kept)
                document["Statement"] = kept
        yield replace(template, text=json.dumps(body))
    assert found, f"no {kind} has the statement {sid}"


def refused(templates: Iterator[Template]) -> set[tuple[str, str, str]]:
    """Producer, target and principal of what does not arrive."""
    estate = Estate(templates)
    return {
        (delivery.way.producer, delivery.way.target, delivery.way.principal)
        for delivery in deliveries(estate)
        if list(refusals(estate, delivery))
    }


@pytest.mark.parametrize("use", KEY_USES, ids=lambda use: use.sid)
def test_each_row_of_the_keys_table_is_needed(use: Any, templates: list[Template]) -> None:
    kept_out = refused(without(templates, "AWS::KMS::Key", use.sid))
    if use.sid in FOR_OTHER_REASONS:
        assert kept_out == set()
    else:
        assert {principal for *_, principal in kept_out} == {ROLE if use.principal == ACCOUNT else use.principal}


@pytest.mark.parametrize(
    ("kind", "sid", "expected"),
    [
        ("AWS::SNS::TopicPolicy", "Alarms", {("alarm", "topic", "cloudwatch.amazonaws.com")}),
        ("AWS::SNS::TopicPolicy", "Rules", {("rule", "topic", "events.amazonaws.com")}),
        ("AWS::SQS::QueuePolicy", "Rules", {("rule", "queue", "events.amazonaws.com")}),
        ("AWS::S3::BucketPolicy", "AccessLogs", {("bucket's access log", "bucket", "logging.s3.amazonaws.com")}),
    ],
)
def test_each_service_that_is_let_in_is_needed(
    kind: str, sid: str, expected: set[tuple[str, str, str]], templates: list[Template]
) -> None:
    assert refused(without(templates, kind, sid)) == expected


def test_all_of_a_full_team_arrives(templates: list[Template]) -> None:
    estate = Estate(templates)
    assert len({delivery.way for delivery in deliveries(estate)}) >= 10
    assert refused(iter(templates)) == set()
