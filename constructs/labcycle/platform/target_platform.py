"""What the teams of an account and region share, as a stage."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack, Stage, Tags
from constructs import Construct

from labcycle.config import Target, names
from labcycle.network import ImportedNetwork, SharedNetwork
from labcycle.platform.api_gateway_logs import ApiGatewayLogs
from labcycle.platform.retained import say_what_is_retained


def give_zones(stage: Stage, target: Target) -> None:
    """Answer the question for availability zones, which some constructs ask the account, from the target."""
    key = f"availability-zones:account={target.account}:region={target.region}"
    stage.node.set_context(key, list(target.zones))


def use_bootstrap(stage: Stage, target: Target) -> None:
    """Deploy by the bootstrap of the target's qualifier, which `DefaultStackSynthesizer` finds in the context."""
    if target.bootstrap_qualifier is not None:
        stage.node.set_context("@aws-cdk/core:bootstrapQualifier", target.bootstrap_qualifier)


class TargetPlatform(Stage):
    """The stage `labcycle-target-<target>`: a stack with the network, and one with `api_gateway_logs` where the target makes them.
    Deploy it before the teams of the target.

    Its template's metadata `labcycle:quotas` tells the gate what the account and region have beyond AWS's defaults.

    Parameters
    ----------
    target
        The target file.
    """

    def __init__(self, scope: Construct, *, target: Target) -> None:
        environment = Environment(account=target.account, region=target.region)
        super().__init__(scope, names.target_stage(target.target), env=environment)
        give_zones(self, target)
        use_bootstrap(self, target)
        self.network_stack = Stack(
            self, "network", description=f"labcycle: the network that the teams of {target.target} share"
        )
        if target.quotas:
            self.network_stack.template_options.metadata = {names.QUOTAS_METADATA: dict(sorted(target.quotas.items()))}
        self.network = self._imported(target) or self._made(target)
        if target.api_gateway_logs == "made":
            stack = Stack(
                self, "api-log", description="labcycle: the role by which REST APIs of the region write their logs"
            )
            ApiGatewayLogs(stack, "Logs")
        CfnOutput(self.network_stack, "MonthlyPrice", value=self.network.price.sentence)
        Tags.of(self).add("labcycle:target", target.target)

    def _imported(self, target: Target) -> ImportedNetwork | None:
        if target.network.vpc_id is None or target.network.private_subnet_ids is None:
            return None
        return ImportedNetwork(
            self.network_stack,
            "Network",  # as if it were made: the parameters of teams that are there already stay the same
            name=target.network.name,
            vpc_id=target.network.vpc_id,
            zones=target.zones,
            private_subnet_ids=target.network.private_subnet_ids,
        )

    def _made(self, target: Target) -> SharedNetwork:
        network = SharedNetwork(
            self.network_stack,
            "Network",
            name=target.network.name,
            zones=target.zones,
            cidr=target.network.cidr,
            egress=target.network.egress,
        )
        if network.flow_logs_bucket is not None:
            say_what_is_retained(
                self.network_stack, f"The bucket with the flow logs: {network.flow_logs_bucket.bucket_name}."
            )
        return network
