"""What a member may do with workspaces: start one's own from one's own templates, and reach it by Session Manager."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from labcycle._grants import allow

# Shell and port forwarding; no document that runs commands on several instances at once.
_SESSION_DOCUMENTS = ("AWS-StartPortForwardingSession", "SSM-SessionManagerRunShell")


def grant_workspaces(
    grantee: iam.IGrantable,
    stack: Stack,
    *,
    team: str,
    member: str,
    templates: Sequence[str],
    images: Sequence[str],
    instance_types: Sequence[str],
    role: iam.IRole,
    key: kms.IKey,
) -> None:
    """Let `grantee` start, stop and enter the workspaces of `member`, and nobody else's.

    Parameters
    ----------
    templates
        Ids of the launch templates.
    images
        Names of the public SSM parameters that the templates take their image from; EC2 reads them as the caller.
    instance_types
        Those of the templates; the caller of RunInstances could name another one, of any price.
    """

    def arn(service: str, resource: str) -> str:
        return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{resource}"

    template_arns = [arn("ec2", f"launch-template/{template}") for template in templates]
    instance, interface, volume = (arn("ec2", f"{kind}/*") for kind in ("instance", "network-interface", "volume"))
    used = [arn("ec2", f"{kind}/*") for kind in ("security-group", "subnet")]
    image = f"arn:{stack.partition}:ec2:{stack.region}::image/*"
    own = {"StringEquals": {"aws:ResourceTag/labcycle:team": team, "aws:ResourceTag/labcycle:member": member}}

    allow(grantee, ["ec2:RunInstances"], template_arns)
    # No resource that the template names may be replaced by the caller. That does not hold for other parameters, of which
    # the type of the instance costs money:
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/use-launch-templates-to-control-launching-instances.html
    from_template: dict[str, dict[str, object]] = {
        "ArnEquals": {"ec2:LaunchTemplate": template_arns},
        "Bool": {"ec2:IsLaunchTemplateResource": "true"},
    }
    of_type: dict[str, dict[str, object]] = {"StringEquals": {"ec2:InstanceType": list(instance_types)}}
    allow(grantee, ["ec2:RunInstances"], [instance], {**from_template, **of_type})
    allow(grantee, ["ec2:RunInstances"], [interface, volume, *used, image], from_template)
    # The templates tag these two.
    allow(grantee, ["ec2:CreateTags"], [instance, volume], {"StringEquals": {"ec2:CreateAction": "RunInstances"}})
    allow(
        grantee,
        ["ssm:GetParameters"],
        [f"arn:{stack.partition}:ssm:{stack.region}::parameter{name}" for name in images],
    )
    allow(grantee, ["iam:PassRole"], [role.role_arn], {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    via_ec2 = {"StringEquals": {"kms:ViaService": f"ec2.{stack.region}.amazonaws.com"}}
    allow(
        grantee,
        [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        [key.key_arn],
        via_ec2,
    )
    allow(grantee, ["kms:CreateGrant"], [key.key_arn], {**via_ec2, "Bool": {"kms:GrantIsForAWSResource": "true"}})
    allow(
        grantee,
        ["ec2:RebootInstances", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"],
        [instance],
        own,
    )
    allow(grantee, ["ssm:StartSession"], [instance], own)
    allow(grantee, ["ssm:GetConnectionStatus"], [instance])
    allow(grantee, ["ssm:StartSession"], _documents(stack))
    # A session's id begins with the name of the caller's role session, which is the member's name; the tag that Session
    # Manager puts on it tells `ann` from `ann-b`:
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html
    allow(
        grantee,
        ["ssm:ResumeSession", "ssm:TerminateSession"],
        [arn("ssm", f"session/{member}-*")],
        {"StringLike": {"ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}"}},
    )
    # These take no resource.
    allow(
        grantee,
        [
            "ec2:DescribeInstanceStatus",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeVolumes",
            "ssm:DescribeInstanceInformation",
            "ssm:DescribeSessions",
        ],
        ["*"],
    )


def _documents(stack: Stack) -> list[str]:
    """AWS's documents live in no account; the one of the shell is made in the account when its preferences are set."""
    place = f"arn:{stack.partition}:ssm:{stack.region}"
    return [f"{place}:{owner}:document/{name}" for name in _SESSION_DOCUMENTS for owner in ("", stack.account)]
