"""What a network costs in a month, by how it reaches the internet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from labcycle.check.estate import Estate
from labcycle.check.template import Template
from labcycle.config.price_list import HOURS_A_MONTH
from labcycle.config.target import Egress

from .assumptions import INTERFACE_ENDPOINTS
from .prices import Prices

_SUBNETS = "/private-subnet-ids"


@dataclass(frozen=True)
class Choice:
    """A value of `egress`, and what it costs.

    Parameters
    ----------
    offered
        Whether a target file takes it.
    is_made
        Whether the target has it.
    """

    egress: str
    usd: float
    made_of: str
    offered: bool
    is_made: bool


def choices(estate: Estate, target: list[Template], prices: Prices) -> tuple[Choice, ...]:
    """All ways beside each other, for as many zones as the target has; none where its network is made elsewhere."""
    if not any(True for template in target for _ in template.resources("AWS::EC2::VPC")):
        return ()
    zones, made = private_zones(estate, target), _made(estate, target)
    nat = HOURS_A_MONTH * (prices.usd("nat_gateway_hour") + prices.usd("public_address_hour"))
    endpoints = INTERFACE_ENDPOINTS.value * zones
    offered = get_args(Egress)
    return tuple(
        Choice(name, usd, made_of, name in offered, name == made)
        for name, usd, made_of in (
            ("none", 0.0, "no way out but S3 and DynamoDB"),
            ("nat", nat, f"a NAT gateway and its address; {prices.usd('nat_gb'):g} USD a GB"),
            (
                "endpoints",
                endpoints * HOURS_A_MONTH * prices.usd("interface_endpoint_hour"),
                f"{INTERFACE_ENDPOINTS.value:g} endpoints in each of {zones} zones; {prices.usd('interface_endpoint_gb'):g} USD a GB",
            ),
        )
    )


def private_zones(estate: Estate, target: list[Template]) -> int:
    """Zones of the network, by the private subnets that it publishes to its teams."""
    return max((len(subnets) for template in target for subnets in _published(estate, template)), default=0)


def _made(estate: Estate, target: list[Template]) -> str:
    if any(True for template in target for _ in template.resources("AWS::EC2::NatGateway")):
        return "nat"
    kinds = (
        estate.value(template, dict(template.properties(logical_id))).get("VpcEndpointType")
        for template in target
        for logical_id, _ in template.resources("AWS::EC2::VPCEndpoint")
    )
    return "endpoints" if "Interface" in kinds else "none"


def _published(estate: Estate, template: Template) -> Iterator[list[str]]:
    for logical_id, _ in template.resources("AWS::SSM::Parameter"):
        properties = template.properties(logical_id)
        if estate.text(template, properties.get("Name", "")).endswith(_SUBNETS):
            yield estate.text(template, properties.get("Value", "")).split(",")
