"""Machines for data scientists, from EC2 launch templates."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from aws_cdk import Size, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from labcycle._grants import allow, allow_key
from labcycle._keys import own_key
from labcycle._security_groups import closed_group
from labcycle.config import HardwareTier, Member, names
from labcycle.workspaces.access import grant_workspaces
from labcycle.workspaces.user_data import DATA_DEVICE, user_data

# Public parameters with the newest image, read by EC2 at each launch.
GPU_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
NEURON_IMAGE = "/aws/service/neuron/dlami/base/amazon-linux-2023/latest/image_id"
CPU_IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
ROOT_DEVICE = "/dev/xvda"  # of these images
WHEELS = "wheels/"
_CHANNELS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)


class Ec2Workspaces(Construct):
    """One launch template a data scientist and tier: `labcycle-<team>-<member>-<tier>`.

    A workspace has no key pair, no public address and no open port: its member enters by Session Manager. It must use
    IMDSv2 with a hop limit of 1, so that containers on it cannot take its credentials. Its disks are encrypted; the
    data volume at /data outlives the instance (about 8 USD a 100 GiB and month until it is deleted). It runs as a role
    of its member, so that the ledger knows whose runs it logs. Launching costs the tier's price per hour until it is
    stopped; nothing is paid for a template.

    The image is read from a public SSM parameter when an instance is launched, so that a new workspace has the newest
    drivers without a deployment; the launch template names the parameter as `resolve:ssm:`, which RunInstances and
    fleets of type `instant` understand.

    Each member has a home zone, drawn from the name: volumes attach only in their own zone.

    Parameters
    ----------
    members
        Those with the role `data_scientist` get workspaces.
    tiers
        Of the catalogue `labcycle.config.TIERS`, or a team's own.
    vpc
        Its private subnets need a way to the tracking API: NAT.
    tracking_url_parameter
        SSM parameter that holds the address of the tracking API; read at every boot.
    volume
        Size of the data volume. Absent: 100 GiB.
    encryption_key
        Encrypts the disks. Absent: a key of its own is created, with rotation.
    wheels_bucket
        Bucket below whose `wheels/` the wheel of labcycle lies. Absent: workspaces say that it must be installed by hand.

    Raises
    ------
    ValueError
        If there is no data scientist or no tier, two have one name, or the VPC has no private subnet.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        members: Sequence[Member],
        tiers: Sequence[HardwareTier],
        vpc: ec2.IVpc,
        tracking_url_parameter: str,
        volume: Size | None = None,
        encryption_key: kms.IKey | None = None,
        wheels_bucket: s3.IBucket | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        scientists = [member for member in members if "data_scientist" in member.roles]
        if not scientists:
            raise ValueError("members: got nobody with the role data_scientist; workspaces are for data scientists.")
        if not tiers or len({tier.name for tier in tiers}) < len(tiers):
            said = ", ".join(tier.name for tier in tiers) or "none"
            raise ValueError(
                f"tiers: got {said}; allowed is each tier once, such as labcycle.config.TIERS['cpu-small']."
            )
        # By these tags members are kept to their own machines, and teams apart.
        Tags.of(self).add("labcycle:team", team)
        self._team = team
        self._tiers = tuple(tiers)
        self._vpc = vpc
        self._volume = volume or Size.gibibytes(100)
        self._parameter = tracking_url_parameter
        self._wheels = wheels_bucket
        self.encryption_key: kms.IKey = encryption_key or own_key(self, "Key")
        self._subnets = vpc.private_subnets
        if not self._subnets:
            raise ValueError(
                "vpc: got one without private subnets; workspaces have no public address and need one with NAT."
            )
        self.security_group = closed_group(self, "Group", vpc=vpc, whose=f"Workspaces of the team {team}")
        self.roles: dict[str, iam.Role] = {}
        self.launch_templates: dict[tuple[str, str], ec2.LaunchTemplate] = {}
        for member in scientists:
            role = self._role(member)
            profile = iam.InstanceProfile(self, f"Profile{member.name}", role=role)
            self.roles[member.name] = role
            for tier in self._tiers:
                self.launch_templates[member.name, tier.name] = self._template(member, tier, profile)

    def grant_use(self, member: str, grantee: iam.IGrantable) -> None:
        """Let `grantee` start, stop and enter the workspaces of `member`, and nobody else's."""
        templates = [
            template.launch_template_id or ""
            for (owner, _), template in self.launch_templates.items()
            if owner == member
        ]
        grant_workspaces(
            grantee,
            Stack.of(self),
            team=self._team,
            member=member,
            templates=templates,
            images=sorted({_image(tier) for tier in self._tiers}),
            instance_types=sorted({tier.instance_type for tier in self._tiers}),
            role=self.roles[member],
            key=self.encryption_key,
        )

    def _role(self, member: Member) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            f"Role{member.name}",
            path=names.role_path(self._team),
            role_name=names.workspace_role(self._team, member.name),
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description=f"Workspaces of {member.name} of the team {self._team}",
        )
        Tags.of(role).add("labcycle:member", member.name)
        # Session Manager's agent; its channels take no resource.
        allow(role, _CHANNELS, ["*"])
        instances = f"arn:{stack.partition}:ec2:{stack.region}:{stack.account}:instance/*"
        allow(role, ["ssm:UpdateInstanceInformation"], [instances])
        parameter = f"arn:{stack.partition}:ssm:{stack.region}:{stack.account}:parameter{self._parameter}"
        allow(role, ["ssm:GetParameter"], [parameter])
        if self._wheels is not None:
            allow(role, ["s3:GetObject"], [self._wheels.arn_for_objects(f"{WHEELS}*")])
            prefix = {"StringLike": {"s3:prefix": [f"{WHEELS}*"]}}
            allow(role, ["s3:ListBucket"], [self._wheels.bucket_arn], prefix)
            allow_key(role, self.encryption_key, "read objects", region=stack.region)
        return role

    def _template(self, member: Member, tier: HardwareTier, profile: iam.InstanceProfile) -> ec2.LaunchTemplate:
        template = ec2.LaunchTemplate(
            self,
            f"Template{member.name}-{tier.name}",
            launch_template_name=names.launch_template(self._team, member.name, tier.name),
            instance_type=ec2.InstanceType(tier.instance_type),
            machine_image=ec2.MachineImage.resolve_ssm_parameter_at_launch(_image(tier)),
            instance_profile=profile,
            security_group=self.security_group,
            associate_public_ip_address=False,
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            instance_initiated_shutdown_behavior=ec2.InstanceInitiatedShutdownBehavior.STOP,
            block_devices=[
                self._disk(ROOT_DEVICE, keep=False),
                self._disk(DATA_DEVICE, keep=True),
            ],
            user_data=ec2.UserData.custom(
                user_data(
                    team=self._team,
                    member=member.name,
                    tier=tier.name,
                    region=Stack.of(self).region,
                    tracking_url_parameter=self._parameter,
                    wheels=f"s3://{self._wheels.bucket_name}/{WHEELS}" if self._wheels else None,
                )
            ),
        )
        resource = template.node.default_child
        assert isinstance(resource, ec2.CfnLaunchTemplate)
        resource.add_property_override("LaunchTemplateData.NetworkInterfaces.0.SubnetId", self._home(member).subnet_id)
        # The image knows how large its root disk must be at least.
        resource.add_property_deletion_override("LaunchTemplateData.BlockDeviceMappings.0.Ebs.VolumeSize")
        Tags.of(template).add("labcycle:member", member.name)
        Tags.of(template).add("Name", names.launch_template(self._team, member.name, tier.name))
        return template

    def _disk(self, device: str, *, keep: bool) -> ec2.BlockDevice:
        return ec2.BlockDevice(
            device_name=device,
            volume=ec2.BlockDeviceVolume.ebs(
                self._volume.to_gibibytes(),
                volume_type=ec2.EbsDeviceVolumeType.GP3,
                encrypted=True,
                kms_key=self.encryption_key,
                delete_on_termination=not keep,
            ),
        )

    def _home(self, member: Member) -> ec2.ISubnet:
        """By the highest hash, so that another zone moves few members and another member none."""
        return max(
            enumerate(self._subnets), key=lambda numbered: sha256(f"{member.name}/{numbered[0]}".encode()).digest()
        )[1]


def _image(tier: HardwareTier) -> str:
    chips = tier.machine.accelerators
    return CPU_IMAGE if chips is None else GPU_IMAGE if chips.kind == "gpu" else NEURON_IMAGE
