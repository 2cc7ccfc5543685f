"""The stack of a team's workspaces."""

from __future__ import annotations

from aws_cdk import Annotations, CfnOutput, CfnParameter, Fn, Size, Stack
from aws_cdk import aws_ec2 as ec2
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
            tiers=team.workspaces.tiers,
            vpc=self._network(target),
            volume=Size.gibibytes(team.workspaces.volume_gib),
            tracking_url_parameter=names.tracking_url_parameter(team.team),
            encryption_key=key,
            wheels_bucket=contract.artifacts(self, team.team, key),
        )
        for member in team.members:
            if member.name in self.workspaces.roles and "use workspaces" in rights_of(member.roles):
                role = self.workspaces.roles[member.name]
                tracking.grant_log(role)
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

    def _network(self, target: Target) -> ec2.IVpc:
        """The network that the target's stage publishes; references between stages are refused, so by SSM parameters."""

        def published(construct_id: str, kind: str, key: str) -> CfnParameter:
            return CfnParameter(
                self,
                construct_id,
                type=f"AWS::SSM::Parameter::Value<{kind}>",
                default=names.network_parameter(target.network.name, key),
            )

        vpc_id = published("VpcId", "AWS::EC2::VPC::Id", "vpc-id").value_as_string
        subnets = published("PrivateSubnetIds", "List<AWS::EC2::Subnet::Id>", "private-subnet-ids").value_as_list
        network = ec2.Vpc.from_vpc_attributes(
            self,
            "Network",
            vpc_id=vpc_id,
            availability_zones=list(target.zones),
            private_subnet_ids=[Fn.select(n, subnets) for n in range(len(target.zones))],
        )
        for subnet in network.private_subnets:
            Annotations.of(subnet).acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "nothing here routes")
        return network
