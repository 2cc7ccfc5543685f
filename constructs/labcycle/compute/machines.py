"""Machines that AWS Batch starts for jobs and ends after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Stack, Tags
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from labcycle._grants import allow
from labcycle._keys import MACHINES_GRANT, MACHINES_USE
from labcycle.config.hardware import JOB_FAMILIES
from labcycle.config.instance_types import families_in

Kind = Literal["cpu", "gpu"]
Market = Literal["spot", "on_demand"]
ROOT_DEVICE = "/dev/xvda"  # of both images
_DISK_GIB = 100
# Reasons for which a job cannot start as long as nobody changes something:
# https://docs.aws.amazon.com/batch/latest/userguide/job-queue-state-details.html
_NEVER = ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
_UPDATE_MINUTES = 360  # the longest that jobs have on machines that a deployment replaces; then they begin again
_NEVER_SECONDS, _NO_CAPACITY_SECONDS = 600, 6 * 3600
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/instance_IAM_role.html
_OF_THE_CLUSTER = (
    "ecs:DeregisterContainerInstance",
    "ecs:RegisterContainerInstance",
    "ecs:SubmitContainerStateChange",
    "ecs:SubmitTaskStateChange",
)
_OF_THE_INSTANCE = ("ecs:Poll", "ecs:StartTelemetrySession")


@dataclass(frozen=True)
class Hardware:
    """What machines of a kind are. `fallback_vcpus` are the fewest in which its smallest machine fits."""

    image_type: str
    fallback_vcpus: int


HARDWARE: dict[Kind, Hardware] = {
    "cpu": Hardware("ECS_AL2023", 2),
    "gpu": Hardware("ECS_AL2023_NVIDIA", 4),
}
_STRATEGY: dict[Market, str] = {"spot": "SPOT_PRICE_CAPACITY_OPTIMIZED", "on_demand": "BEST_FIT_PROGRESSIVE"}
_MARKET: dict[Market, str] = {"spot": "SPOT", "on_demand": "EC2"}


def shares(kind: Kind, max_vcpus: int, *, spot: bool) -> dict[Market, int]:
    """Virtual processors by market, in the order in which a queue asks. Of a queue on spot a quarter is for when there is none."""
    if not spot:
        return {"on_demand": max_vcpus}
    fallback = max(HARDWARE[kind].fallback_vcpus, max_vcpus // 4)
    return {"spot": max_vcpus - fallback, "on_demand": fallback}


class Machines(Construct):
    """Compute environments of one kind and the queue in front of them.

    No machine is there while nothing runs. Disks are encrypted, IMDSv2 is needed with a hop limit of 1, so that a job cannot take
    the machine's credentials, and nobody comes in.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        kind: Kind,
        queue_name: str,
        max_vcpus: int,
        spot: bool,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        key: kms.IKey,
        images: Sequence[str],
        log_group: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        self._team, self._kind = team, kind
        self.role = iam.Role(
            self,
            "Role",
            path=f"/labcycle/{team}/",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description=f"Machines ({kind}) for jobs of the team {team}",
        )
        profile = iam.CfnInstanceProfile(self, "Profile", roles=[self.role.role_name])
        template = self._template(key)
        self.environments = [
            self._environment(market, vcpus, template, profile, vpc, security_group)
            for market, vcpus in shares(kind, max_vcpus, spot=spot).items()
        ]
        self._let_machines_work(images, log_group)
        self.queue = batch.CfnJobQueue(
            self,
            "Queue",
            job_queue_name=queue_name,
            priority=1,
            compute_environment_order=[
                batch.CfnJobQueue.ComputeEnvironmentOrderProperty(
                    compute_environment=environment.attr_compute_environment_arn, order=order
                )
                for order, environment in enumerate(self.environments, 1)
            ],
            job_state_time_limit_actions=[
                _cancel("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", _NO_CAPACITY_SECONDS),
                *(_cancel(reason, _NEVER_SECONDS) for reason in _NEVER),
            ],
        )

    def _template(self, key: kms.IKey) -> ec2.LaunchTemplate:
        template = ec2.LaunchTemplate(
            self,
            "Template",
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[
                ec2.BlockDevice(
                    device_name=ROOT_DEVICE,
                    volume=ec2.BlockDeviceVolume.ebs(
                        _DISK_GIB,
                        volume_type=ec2.EbsDeviceVolumeType.GP3,
                        encrypted=True,
                        kms_key=key,
                        delete_on_termination=True,
                    ),
                )
            ],
        )
        Tags.of(template).add("Name", f"labcycle-{self._team}-{self._kind}-jobs")
        return template

    def _environment(
        self,
        market: Market,
        vcpus: int,
        template: ec2.LaunchTemplate,
        profile: iam.CfnInstanceProfile,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
    ) -> batch.CfnComputeEnvironment:
        hardware = HARDWARE[self._kind]
        # Without a name: its tags can only be changed by a new one. The team in the id tells its cluster from those of other teams,
        # since CloudFormation names it after its logical id, and Batch the cluster after it.
        return batch.CfnComputeEnvironment(
            self,
            f"{'Spot' if market == 'spot' else 'OnDemand'}-{self._team}",
            type="MANAGED",
            state="ENABLED",
            # Without a service role, Batch uses its service-linked one, and changes machines in place.
            replace_compute_environment=False,
            update_policy=batch.CfnComputeEnvironment.UpdatePolicyProperty(
                terminate_jobs_on_update=False, job_execution_timeout_minutes=_UPDATE_MINUTES
            ),
            compute_resources=batch.CfnComputeEnvironment.ComputeResourcesProperty(
                type=_MARKET[market],
                allocation_strategy=_STRATEGY[market],
                minv_cpus=0,
                maxv_cpus=vcpus,
                # Batch refuses a family that the region does not have.
                instance_types=families_in(Stack.of(self).region, JOB_FAMILIES[self._kind]),
                instance_role=profile.attr_arn,
                subnets=[subnet.subnet_id for subnet in vpc.private_subnets],
                security_group_ids=[security_group.security_group_id],
                ec2_configuration=[
                    batch.CfnComputeEnvironment.Ec2ConfigurationObjectProperty(image_type=hardware.image_type)
                ],
                launch_template=batch.CfnComputeEnvironment.LaunchTemplateSpecificationProperty(
                    launch_template_id=template.launch_template_id, version=template.latest_version_number
                ),
                update_to_latest_image_version=True,
                tags={"labcycle:team": self._team, "Name": f"labcycle-{self._team}-{self._kind}-jobs"},
            ),
        )

    def _let_machines_work(self, images: Sequence[str], log_group: logs.ILogGroup) -> None:
        stack = Stack.of(self)
        place = f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}"
        clusters = [f"AWSBatch-*{stack.get_logical_id(environment)}-*" for environment in self.environments]
        allow(self.role, _OF_THE_CLUSTER, [f"{place}:cluster/{cluster}" for cluster in clusters])
        allow(self.role, _OF_THE_INSTANCE, [f"{place}:container-instance/{cluster}" for cluster in clusters])
        allow(self.role, ["ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"], ["*"])  # they take no resource
        allow(
            self.role,
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [repository_of(image, stack.partition) for image in images],
        )
        allow(self.role, ["logs:CreateLogStream", "logs:PutLogEvents"], [log_group.log_group_arn])


def let_machines_use(key: kms.IKey, scope: Construct) -> None:
    """Let Auto Scaling start machines whose disks have a key of the same stack; without it none starts.

    The policy of a key of another stack is that stack's business.
    """
    stack = Stack.of(scope)
    if Stack.of(key) is not stack:
        return
    role = f"arn:{stack.partition}:iam::{stack.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    # By condition: a key policy refuses a principal that is not there yet.
    who: dict[str, dict[str, str]] = {
        "ArnEquals": {"aws:PrincipalArn": role},
        "StringEquals": {"kms:CallerAccount": stack.account},
    }
    of_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    for actions, conditions in ((MACHINES_USE, who), (MACHINES_GRANT, {**who, **of_aws})):
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()], actions=list(actions), resources=["*"], conditions=conditions
            )
        )


def repository_of(image: str, partition: str) -> str:
    """ARN of the repository of an ECR image, which may be another account's."""
    registry, _, rest = image.partition("/")
    account, _, _, region = registry.split(".")[:4]
    return f"arn:{partition}:ecr:{region}:{account}:repository/{rest.partition('@')[0].partition(':')[0]}"


def _cancel(reason: str, seconds: int) -> batch.CfnJobQueue.JobStateTimeLimitActionProperty:
    """A job at the head of the queue that cannot start holds up all others."""
    return batch.CfnJobQueue.JobStateTimeLimitActionProperty(
        action="CANCEL", state="RUNNABLE", reason=reason, max_time_seconds=seconds
    )
