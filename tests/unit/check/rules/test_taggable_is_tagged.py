from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack, stack_of

RULE = "taggable-is-tagged"
TAGS = {"labcycle:team": "fraud", "labcycle:cost-centre": "cc-1", "labcycle:stage": "production"}
LISTED = [{"Key": key, "Value": value} for key, value in TAGS.items()]


def of_team(**resources: dict[str, Any]) -> list[str]:
    return offenders(RULE, replace(stack_of(resources), tags={"labcycle:team": "fraud"}))


@pytest.mark.parametrize(
    "one",
    [
        resource("AWS::SNS::Topic", Tags=LISTED),
        resource("AWS::SSM::Parameter", Tags=TAGS),
        resource("AWS::EC2::LaunchTemplate", TagSpecifications=[{"ResourceType": "launch-template", "Tags": LISTED}]),
    ],
)
def test_compliant(one: dict[str, Any]) -> None:
    assert of_team(One=one) == []


@pytest.mark.parametrize(
    "one",
    [
        resource("AWS::SNS::Topic"),
        resource("AWS::SNS::Topic", Tags=LISTED[:2]),
        resource("AWS::SSM::Parameter", Tags={"other": "x"}),
        resource("AWS::EC2::LaunchTemplate", TagSpecifications=[{"ResourceType": "x", "Tags": LISTED[1:]}]),
        resource("AWS::SNS::Topic", Tags="x"),
    ],
)
def test_non_compliant(one: dict[str, Any]) -> None:
    assert of_team(One=one) == ["One"]


def test_not_applicable() -> None:
    """Types that take no tags, or that nobody knows; and stacks of no team."""
    assert (
        of_team(One=resource("AWS::IAM::Policy"), Two=resource("Custom::Thing"), Three=resource("AWS::No::Such")) == []
    )
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"))) == []
