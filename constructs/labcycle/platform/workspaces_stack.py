"""The stack of a team's workspaces."""

from __future__ import annotations

from aws_cdk import CfnOutput, Size, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from labcycle.config import Target, Team, names
from labcycle.platform import contract
from labcycle.platform.personas import rights_of
from labcycle.serving.batch_scoring import let_use_folder
from labcycle.tracking import ExperimentTracking
from labcycle.workspaces import Ec2Workspaces


class WorkspacesStack(Stack):
    """Launch templates in the target's network, with the rights of members on theirs and of workspaces on the ledger."""

    def __init__(
        self, scope: Construct, *, team: Team, target: Target, key: kms.IKey, tracking: ExperimentTracking
    ) -> None:
        super().__init__(
            scope,
            "workspaces",
            description=f"labcycle: workspaces of the team {team.team}",
            termination_protection=team.stage == "production",
        )
        assert team.workspaces is not None
        self.workspaces = Ec2Workspaces(
            self,
            "Workspaces",
            team=team.team,
            members=team.members,
            tiers=team.workspaces.hardware,
            vpc=contract.network(self, target),
            volume=Size.gibibytes(team.workspaces.volume_gib),
            tracking_url_parameter=names.tracking_url_parameter(team.team),
            encryption_key=key,
            wheels_bucket=contract.artifacts(self, team.team, key),
        )
        for member in team.members:
            if member.name in self.workspaces.roles and "use workspaces" in rights_of(member.roles):
                role = self.workspaces.roles[member.name]
                tracking.grant_log(role)
                if team.logs_predictions:
                    tracking.grant_read_predictions(role)
                if team.scores_batches:
                    let_use_folder(role, team=team.team, bucket=tracking.artifact_bucket, key=key)
                self.workspaces.grant_use(member.name, contract.member_role(self, team.team, member.name))
        CfnOutput(
            self,
            "HowToStart",
            value="aws ec2 run-instances --launch-template "
            f"'LaunchTemplateName={names.launch_template(team.team, 'MEMBER', 'TIER')},Version=$Latest'",
            description="Start a workspace with the credentials of its member",
        )
