"""The network's part of isolation: who can connect to whom, and what can leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.iam import Policies, Request, could_allow, identity_policy, resource_policy
from labcycle.check.iam import Role as Caller
from labcycle.check.template import Template

from .report import WayOut
from .resources import team_of, team_roles

_EVERYTHING = identity_policy(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, "whatever"
)
_FOREIGN = "999999999999"
_OPEN_BUCKET = resource_policy(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"},
    },
    "a bucket of somebody else",
)
_WRITES = ("s3:PutObject", "s3:PutObjectTagging", "s3:ReplicateObject")


@dataclass(frozen=True)
class Ingress:
    """A rule that lets somebody connect to a security group of a team. Empty `peer`: not one group, but addresses."""

    team: str
    group: str
    peer: str
    peer_team: str
    told: str


def ingress(estate: Estate) -> Iterator[Ingress]:
    """Every rule that lets in, to every group of every team."""
    teams = {
        estate.name(template, logical_id): team_of(estate, template, logical_id)
        for template, logical_id, _ in estate.resources("AWS::EC2::SecurityGroup")
    }
    for group, rule in _rules(estate):
        if teams.get(group):
            peer = str(rule.get("SourceSecurityGroupId", ""))
            told = ", ".join(
                f"{key} {value}" for key, value in sorted(rule.items()) if key not in ("GroupId", "Description")
            )
            yield Ingress(teams[group], group, peer, teams.get(peer, ""), told)


def _rules(estate: Estate) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for template, logical_id, _ in estate.resources("AWS::EC2::SecurityGroup"):
        for rule in estate.value(template, template.properties(logical_id).get("SecurityGroupIngress")) or []:
            yield estate.name(template, logical_id), rule
    for template, logical_id, _ in estate.resources("AWS::EC2::SecurityGroupIngress"):
        rule = estate.value(template, dict(template.properties(logical_id)))
        yield str(rule.get("GroupId", "")), rule


def ways_out(estate: Estate) -> Iterator[WayOut]:
    """For each team with roles for machines: whether its network keeps them from buckets outside of the account."""
    for team, all_roles in sorted(team_roles(estate).items()):
        machines = [role for role in all_roles if "ec2.amazonaws.com" in str(role.trust)]
        if machines:
            networks = [found for role in machines if (found := _network_of(estate, role.template)) is not None]
            if not networks:
                yield WayOut(team, False, "its network is not part of what is checked")
            else:
                yield _way_out(estate, team, networks[0], [role.arn for role in machines])


def _network_of(estate: Estate, template: Template) -> Template | None:
    """The network that a stack finds by the names of its parameters, or the stack itself where it has one."""
    if any(template.resources("AWS::EC2::VPC")):
        return template
    named = {
        str(parameter.get("Default"))
        for parameter in template.body.get("Parameters", {}).values()
        if str(parameter.get("Type", "")).startswith("AWS::SSM::Parameter::Value")
    }
    return next(
        (
            other
            for other, logical_id, _ in estate.resources("AWS::SSM::Parameter")
            if estate.name(other, logical_id) in named
            and any(other.resources("AWS::EC2::VPC"))
            and (other.account, other.region) == (template.account, template.region)
        ),
        None,
    )


def _way_out(estate: Estate, team: str, network: Template, machines: list[str]) -> WayOut:
    around = [logical_id for logical_id, _ in network.resources("AWS::EC2::NatGateway")]
    if around:
        return WayOut(
            team,
            False,
            f"needs endpoint policies: {network.name} has a NAT gateway, by which traffic goes around its endpoints",
        )
    endpoints = [
        (logical_id, estate.document(network, network.properties(logical_id).get("PolicyDocument")))
        for logical_id, _ in network.resources("AWS::EC2::VPCEndpoint")
        if estate.text(network, network.properties(logical_id).get("ServiceName", "")).endswith((".s3", ".s3express"))
    ]
    open_ones = [logical_id for logical_id, document in endpoints if _lets_out(document, machines)]
    if open_ones:
        return WayOut(
            team, False, f"needs endpoint policies: {network.name}/{open_ones[0]} lets writes to other accounts pass"
        )
    return WayOut(
        team, True, f"{network.name} has no way out but {len(endpoints)} endpoint(s) for S3, whose policies refuse it"
    )


def _lets_out(document: dict[str, Any], machines: list[str]) -> bool:
    """Whether an endpoint lets a write to another account's bucket pass, by these roles or by somebody of that account."""
    if not document:
        return True  # the policy of an endpoint that names none allows everything
    endpoint = resource_policy(document, "endpoint")
    policies = Policies((_EVERYTHING,), resource=_OPEN_BUCKET, endpoint=endpoint)
    callers = [*machines, f"arn:aws:iam::{_FOREIGN}:role/foreign"]
    return any(
        could_allow(Request(Caller(arn), action, "arn:aws:s3:::*", _FOREIGN), policies) is not None
        for action in _WRITES
        for arn in callers
    )
