"""The example teams' templates, really deployed."""

from __future__ import annotations

from tests.cloud.conftest import PLACE, Platform
from tests.cloud.team import Team


def test_every_stack_is_deployed_and_nothing_is_left_out(platform: Platform) -> None:
    assert [name for name in platform.stacks if "target" in name] == [
        "labcycle-target-eu-production-network",
        "labcycle-target-eu-sandbox-network",
    ]
    assert [name for name in platform.stacks if "-growth-" in name] == [
        f"labcycle-growth-{stack}" for stack in ("guardrails", "foundation", "tracking")
    ]
    assert [name for name in platform.stacks if "-fraud-" in name] == [
        f"labcycle-fraud-{stack}"
        for stack in ("guardrails", "foundation", "tracking", "workspaces", "model-card-fraud")
    ]
    assert platform.cloud.left_out == {"AWS::Logs::QueryDefinition"}, "moto knows none, and nothing runs by them"


def test_every_role_of_a_team_carries_the_teams_boundary(platform: Platform) -> None:
    iam = PLACE.client("iam")
    for team in ("fraud", "growth"):
        roles = [
            role
            for page in iam.get_paginator("list_roles").paginate()
            for role in page["Roles"]
            if role["RoleName"].startswith(f"labcycle-{team}-")
        ]
        assert len(roles) > 3
        for role in roles:
            limit = iam.get_role(RoleName=role["RoleName"])["Role"].get("PermissionsBoundary", {})
            assert limit.get("PermissionsBoundaryArn", "").endswith(f":policy/labcycle-{team}-boundary"), role[
                "RoleName"
            ]


def test_the_tracking_address_is_where_workspaces_look_for_it(growth: Team) -> None:
    found = PLACE.client("ssm").get_parameter(Name="/labcycle/team/growth/tracking-url")["Parameter"]["Value"]
    assert found == growth.tracking.address
