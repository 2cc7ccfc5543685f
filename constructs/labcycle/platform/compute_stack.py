"""The stack of a team's jobs."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from labcycle.compute import ExperimentCompute
from labcycle.config import Target, Team
from labcycle.platform import contract
from labcycle.platform.personas import rights_of
from labcycle.tracking import ExperimentTracking


class ComputeStack(Stack):
    """Queues in the target's network, with the rights of members on their jobs and of jobs on the ledger."""

    def __init__(
        self, scope: Construct, *, team: Team, target: Target, key: kms.IKey, tracking: ExperimentTracking
    ) -> None:
        super().__init__(
            scope,
            "compute",
            description=f"labcycle: jobs of the team {team.team}",
            termination_protection=team.stage == "production",
        )
        assert team.compute is not None
        self.compute = ExperimentCompute(
            self,
            "Compute",
            team=team.team,
            members=team.members,
            compute=team.compute,
            vpc=contract.network(self, target),
            tracking_url=tracking.url,
            artifact_bucket=contract.artifacts(self, team.team, key),
            encryption_key=key,
            notice_topic=contract.notices(self, team.team),
            dead_letters=contract.dead_letters(self, team.team),
        )
        for member in team.members:
            if member.name in self.compute.roles and "run jobs" in rights_of(member.roles):
                tracking.grant_log_runs(self.compute.roles[member.name])
                self.compute.grant_run(member.name, contract.member_role(self, team.team, member.name))
                if team.workspaces and "use workspaces" in rights_of(member.roles):
                    self.compute.grant_run(member.name, contract.workspace_role(self, team.team, member.name))
