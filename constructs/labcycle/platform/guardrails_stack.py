"""The first stack of a team: the permissions boundary, alone."""

from __future__ import annotations

from aws_cdk import Stack
from constructs import Construct

from labcycle.config import Team
from labcycle.foundation import PermissionsBoundary


class GuardrailsStack(Stack):
    """Holds no role, so that it can exist before all roles that carry the boundary."""

    def __init__(self, scope: Construct, *, team: Team) -> None:
        super().__init__(
            scope,
            "guardrails",
            description=f"labcycle: permissions boundary of the team {team.team}",
            termination_protection=team.stage == "production",
        )
        self.boundary = PermissionsBoundary(self, "Boundary", team=team.team)
