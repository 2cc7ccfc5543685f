"""The SSM parameters by which a target's network is found."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Fn
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle.config import names


def publish(scope: Construct, name: str, *, vpc_id: str, private_subnet_ids: Sequence[str]) -> None:
    """Publish the ids of the network `name`; the subnets in the order of the zones."""
    ssm.CfnParameter(scope, "VpcId", type="String", name=names.network_parameter(name, "vpc-id"), value=vpc_id)
    ssm.CfnParameter(
        scope,
        "PrivateSubnetIds",
        type="StringList",
        name=names.network_parameter(name, "private-subnet-ids"),
        value=Fn.join(",", list(private_subnet_ids)),
    )
