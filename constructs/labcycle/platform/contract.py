"""Resources of a team that another of its stacks made, imported by their contract names."""

from __future__ import annotations

from aws_cdk import Annotations, CfnParameter, Fn, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from labcycle.config import Target, names


def ledger(stack: Stack, team: str, key: kms.IKey) -> dynamodb.ITable:
    """The ledger table."""
    return dynamodb.Table.from_table_attributes(
        stack, "Ledger", table_name=names.ledger_table(team), encryption_key=key
    )


def artifacts(stack: Stack, team: str, key: kms.IKey) -> s3.IBucket:
    """The artifact bucket."""
    name = names.bucket(team, "artifacts", stack.account, stack.region)
    return s3.Bucket.from_bucket_attributes(stack, "Artifacts", bucket_name=name, encryption_key=key)


def access_logs(stack: Stack, team: str) -> s3.IBucket:
    """The bucket for server access logs; its policy lets S3 deliver those of the team's buckets."""
    return s3.Bucket.from_bucket_name(stack, "AccessLogs", names.bucket(team, "logs", stack.account, stack.region))


def anchors(stack: Stack, team: str) -> s3.IBucket:
    """The bucket that locks what is written to it."""
    return s3.Bucket.from_bucket_name(stack, "AnchorBucket", names.bucket(team, "anchors", stack.account, stack.region))


def event_bus(stack: Stack, team: str) -> events.IEventBus:
    """The bus of the team's events."""
    return events.EventBus.from_event_bus_name(stack, "Bus", names.event_bus(team))


def notices(stack: Stack, team: str) -> sns.ITopic:
    """The notice topic."""
    arn = f"arn:{stack.partition}:sns:{stack.region}:{stack.account}:{names.notice_topic(team)}"
    return sns.Topic.from_topic_arn(stack, "Notices", arn)


def dead_letters(stack: Stack, team: str) -> sqs.IQueue:
    """The queue of calls that came to nothing; its policy lets the team's rules send."""
    arn = f"arn:{stack.partition}:sqs:{stack.region}:{stack.account}:{names.dead_letter_queue(team)}"
    return sqs.Queue.from_queue_arn(stack, "DeadLetters", arn)


def member_role(stack: Stack, team: str, member: str) -> iam.IRole:
    """The role that a member signs in to.

    A policy's name comes from its place in its stack; the stack's own name in it keeps two stacks from writing to one.
    """
    return iam.Role.from_role_name(
        stack, f"Member-{member}", names.member_role(team, member), default_policy_name=stack.node.id
    )


def workspace_role(stack: Stack, team: str, member: str) -> iam.IRole:
    """The role that a member's workspaces run as."""
    return iam.Role.from_role_name(
        stack, f"Workspace-{member}", names.workspace_role(team, member), default_policy_name=stack.node.id
    )


def network(stack: Stack, target: Target) -> ec2.IVpc:
    """The network that the target's stage publishes; references between stages are refused, so by SSM parameters."""

    def published(construct_id: str, kind: str, key: str) -> CfnParameter:
        return CfnParameter(
            stack,
            construct_id,
            type=f"AWS::SSM::Parameter::Value<{kind}>",
            default=names.network_parameter(target.network.name, key),
        )

    vpc_id = published("VpcId", "AWS::EC2::VPC::Id", "vpc-id").value_as_string
    subnets = published("PrivateSubnetIds", "List<AWS::EC2::Subnet::Id>", "private-subnet-ids").value_as_list
    network = ec2.Vpc.from_vpc_attributes(
        stack,
        "Network",
        vpc_id=vpc_id,
        availability_zones=list(target.zones),
        private_subnet_ids=[Fn.select(n, subnets) for n in range(len(target.zones))],
    )
    for subnet in network.private_subnets:
        Annotations.of(subnet).acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "nothing here routes")
    return network
