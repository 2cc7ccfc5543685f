from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk.assertions import Annotations, Match

from labcycle.config import names
from labcycle.network import Egress, SharedNetwork, monthly_price
from tests.synth.assembly import HERE, Template, alone, of_type, resources

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")


def network(egress: Egress, zones: Sequence[str] = ZONES, env: Environment | None = HERE) -> Template:
    return alone(lambda stack: SharedNetwork(stack, "Network", name="main", zones=zones, egress=egress), env=env)


@pytest.fixture(scope="session")
def nat() -> Template:
    return network("nat")


@pytest.fixture(scope="session")
def closed() -> Template:
    return network("none")


@pytest.mark.parametrize("env", [HERE, None])
def test_zones_are_the_given_ones_without_a_lookup(env: Environment | None) -> None:
    template = network("none", env=env)
    assert [s["AvailabilityZone"] for s in of_type(template, "AWS::EC2::Subnet")] == list(ZONES)


def test_without_egress_nothing_costs_and_nothing_leads_out(closed: Template) -> None:
    kinds = {r["Type"] for r in closed["Resources"].values()}
    assert kinds.isdisjoint(
        {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::InternetGateway", "AWS::EC2::Route", "AWS::S3::Bucket"}
    )


def test_one_nat_gateway_serves_all_zones(nat: Template) -> None:
    assert len(of_type(nat, "AWS::EC2::NatGateway")) == 1
    ways_out = [r for r in of_type(nat, "AWS::EC2::Route") if "NatGatewayId" in r]
    assert len(ways_out) == len(ZONES)
    assert all(r["DestinationCidrBlock"] == "0.0.0.0/0" for r in ways_out)


def test_gateway_endpoints_serve_every_private_subnet(nat: Template, closed: Template) -> None:
    for template in (nat, closed):
        endpoints = of_type(template, "AWS::EC2::VPCEndpoint")
        assert {e["ServiceName"].rpartition(".")[2] for e in endpoints} == {"s3", "dynamodb"}
        assert all(e["VpcEndpointType"] == "Gateway" and len(e["RouteTableIds"]) == len(ZONES) for e in endpoints)


def test_no_subnet_gives_public_addresses(nat: Template) -> None:
    assert all(s["MapPublicIpOnLaunch"] is False for s in of_type(nat, "AWS::EC2::Subnet"))


def test_ids_are_published_by_their_contract_names(nat: Template) -> None:
    published = {p["Name"]: p for p in of_type(nat, "AWS::SSM::Parameter")}
    assert set(published) == {
        names.network_parameter("main", key) for key in ("vpc-id", "vpc-cidr", "private-subnet-ids")
    }
    subnets: dict[str, Any] = published[names.network_parameter("main", "private-subnet-ids")]
    assert subnets["Type"] == "StringList"
    assert len(subnets["Value"]["Fn::Join"][1]) == len(ZONES)


def test_flow_logs_go_to_a_private_bucket_that_only_the_delivery_service_of_the_account_writes(nat: Template) -> None:
    (log,) = of_type(nat, "AWS::EC2::FlowLog")
    assert (log["TrafficType"], log["LogDestinationType"]) == ("ALL", "s3")
    (policy,) = of_type(nat, "AWS::S3::BucketPolicy")
    for statement in policy["PolicyDocument"]["Statement"]:
        if statement["Effect"] == "Allow":
            assert statement["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"]
    (bucket,) = resources(nat, "AWS::S3::Bucket")
    assert bucket["DeletionPolicy"] == "Retain"
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())


def test_no_custom_resource(nat: Template) -> None:
    assert not [
        r
        for r in nat["Resources"].values()
        if r["Type"].startswith(("Custom::", "AWS::CloudFormation::Custom", "AWS::Lambda"))
    ]


def test_the_price_is_printed_with_its_date() -> None:
    app = App(analytics_reporting=False)
    stack = Stack(app, "Foreign", env=HERE)
    construct = SharedNetwork(stack, "Network", name="main", zones=ZONES, egress="nat")
    assert construct.monthly_price_usd == pytest.approx(32.85 + 3.65)
    Annotations.from_stack(stack).has_info("*", Match.string_like_regexp(r"36\.50 USD a month.*estimate.*20\d\d-\d\d"))


def test_no_egress_is_free() -> None:
    assert monthly_price("none").usd == 0


@pytest.mark.parametrize(
    ("zones", "egress", "named"),
    [(ZONES[:1], "none", "zones"), (ZONES[:1] * 2, "none", "zones"), (ZONES, "endpoints", "egress")],
)
def test_wrong_properties_are_named(zones: tuple[str, ...], egress: Any, named: str) -> None:
    stack = Stack(App(analytics_reporting=False), "Foreign", env=HERE)
    with pytest.raises(ValueError, match=f"^{named}: got"):
        SharedNetwork(stack, "Network", name="main", zones=zones, egress=egress)
