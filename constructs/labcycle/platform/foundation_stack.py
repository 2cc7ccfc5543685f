"""The stack of a team's foundation."""

from __future__ import annotations

from aws_cdk import Stack
from constructs import Construct

from labcycle.config import Target, Team, names
from labcycle.foundation import TeamFoundation
from labcycle.platform.retained import say_what_is_retained


class FoundationStack(Stack):
    """Key, audit buckets, member roles, bus and notices."""

    def __init__(self, scope: Construct, *, team: Team, target: Target) -> None:
        super().__init__(
            scope,
            "foundation",
            description=f"labcycle: key, roles and notices of the team {team.team}",
            termination_protection=team.stage == "production",
        )
        self.foundation = TeamFoundation(
            self,
            "Foundation",
            team=team.team,
            owner=team.owner,
            stage=team.stage,
            members=team.members,
            sign_in=target.sign_in,
        )
        logs, anchors = (names.bucket(team.team, kind, self.account, self.region) for kind in ("logs", "anchors"))
        key = (
            f"the key alias/labcycle-{team.team} waits 30 days for its deletion, which can be cancelled until then"
            if team.stage == "sandbox"
            else f"the key alias/labcycle-{team.team}, since retained data is encrypted with it"
        )
        say_what_is_retained(
            self, f"The buckets {logs} and {anchors}, since S3 deletes none that holds objects; {key}."
        )
