"""Security groups."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct


def closed_group(scope: Construct, construct_id: str, *, vpc: ec2.IVpc, whose: str) -> ec2.SecurityGroup:
    """Nothing comes in, HTTPS goes out. Names are resolved and time is kept by the VPC itself, which security groups do not see."""
    group = ec2.SecurityGroup(
        scope,
        construct_id,
        vpc=vpc,
        description=f"{whose}: nothing comes in, HTTPS goes out",
        allow_all_outbound=False,
        disable_inline_rules=False,
    )
    group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS and package registries, over TLS")
    return group
