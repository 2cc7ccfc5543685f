"""What the teams of an account and region share, as a stage."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack, Stage, Tags
from constructs import Construct

from labcycle.config import Target, names
from labcycle.network import SharedNetwork
from labcycle.platform.retained import say_what_is_retained


def give_zones(stage: Stage, target: Target) -> None:
    """Answer the question for availability zones, which some constructs ask the account, from the target."""
    key = f"availability-zones:account={target.account}:region={target.region}"
    stage.node.set_context(key, list(target.zones))


class TargetPlatform(Stage):
    """The stage `labcycle-target-<target>`: one stack with the network. Deploy it before the teams of the target.

    Parameters
    ----------
    target
        The target file.
    """

    def __init__(self, scope: Construct, *, target: Target) -> None:
        environment = Environment(account=target.account, region=target.region)
        super().__init__(scope, names.target_stage(target.target), env=environment)
        give_zones(self, target)
        self.network_stack = Stack(
            self, "network", description=f"labcycle: the network that the teams of {target.target} share"
        )
        self.network = SharedNetwork(
            self.network_stack,
            "Network",
            name=target.network.name,
            zones=target.zones,
            cidr=target.network.cidr,
            egress=target.network.egress,
        )
        CfnOutput(self.network_stack, "MonthlyPrice", value=self.network.price.sentence)
        if self.network.flow_logs_bucket is not None:
            say_what_is_retained(
                self.network_stack, f"The bucket with the flow logs: {self.network.flow_logs_bucket.bucket_name}."
            )
        Tags.of(self).add("labcycle:target", target.target)
