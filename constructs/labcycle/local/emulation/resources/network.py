"""EC2 network types that MiniStack's API has and its templates lack. They are records: no packet is ever routed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ministack.services import ec2

from labcycle.local.emulation.resources.registration import Made, Properties, answered, register


def install() -> None:
    register("AWS::EC2::EIP", _address, _release_address)
    register("AWS::EC2::NatGateway", _gateway, _delete_gateway)
    register("AWS::EC2::FlowLog", _flow_log, _delete_flow_log)
    for direction in ("Ingress", "Egress"):
        register(f"AWS::EC2::SecurityGroup{direction}", _rule_maker(direction), _rule_remover(direction))


def _call(function: Callable[[dict[str, list[str]]], Any], **parameters: Any) -> str:
    given = {key.replace("__", "."): [str(value)] for key, value in parameters.items() if value is not None}
    return answered(function(given), function.__name__.strip("_"))


def _found(tag: str, text: str) -> str:
    match = re.search(rf"<{tag}>([^<]*)</{tag}>", text) or re.search(r"<item>([^<]*)</item>", text)
    return match[1] if match else ""


def _address(logical_id: str, properties: Properties, stack: str) -> Made:
    answer = _call(ec2._allocate_address, Domain=properties.get("Domain", "vpc"))
    allocation, public = _found("allocationId", answer), _found("publicIp", answer)
    return public, {"AllocationId": allocation, "PublicIp": public}


def _release_address(physical_id: str, properties: Properties) -> None:
    for allocation, record in list(ec2._addresses.items()):
        if record["PublicIp"] == physical_id:
            _call(ec2._release_address, AllocationId=allocation)


def _gateway(logical_id: str, properties: Properties, stack: str) -> Made:
    answer = _call(
        ec2._create_nat_gateway,
        SubnetId=properties["SubnetId"],
        AllocationId=properties.get("AllocationId"),
        ConnectivityType=properties.get("ConnectivityType"),
    )
    gateway = _found("natGatewayId", answer)
    return gateway, {"NatGatewayId": gateway}


def _delete_gateway(physical_id: str, properties: Properties) -> None:
    if physical_id in ec2._nat_gateways:
        _call(ec2._delete_nat_gateway, NatGatewayId=physical_id)


def _flow_log(logical_id: str, properties: Properties, stack: str) -> Made:
    answer = _call(
        ec2._create_flow_logs,
        ResourceId__1=properties["ResourceId"],
        ResourceType=properties["ResourceType"],
        TrafficType=properties.get("TrafficType", "ALL"),
        LogDestinationType=properties.get("LogDestinationType"),
        LogDestination=properties.get("LogDestination"),
        LogGroupName=properties.get("LogGroupName"),
    )
    log = _found("item", answer)
    return log, {"Id": log}


def _delete_flow_log(physical_id: str, properties: Properties) -> None:
    _call(ec2._delete_flow_logs, FlowLogId__1=physical_id)


def _permission(properties: Properties) -> dict[str, Any]:
    found: dict[str, Any] = {
        "GroupId": properties["GroupId"],
        "IpPermissions__1__IpProtocol": properties.get("IpProtocol", "-1"),
    }
    for key in ("FromPort", "ToPort"):
        found[f"IpPermissions__1__{key}"] = properties.get(key)
    found["IpPermissions__1__IpRanges__1__CidrIp"] = properties.get("CidrIp")
    found["IpPermissions__1__Ipv6Ranges__1__CidrIpv6"] = properties.get("CidrIpv6")
    other = properties.get("SourceSecurityGroupId") or properties.get("DestinationSecurityGroupId")
    found["IpPermissions__1__Groups__1__GroupId"] = other
    prefixes = properties.get("SourcePrefixListId") or properties.get("DestinationPrefixListId")
    found["IpPermissions__1__PrefixListIds__1__PrefixListId"] = prefixes
    return found


def _rule_maker(direction: str) -> Callable[[str, Properties, str], Made]:
    authorize = ec2._authorize_sg_ingress if direction == "Ingress" else ec2._authorize_sg_egress

    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        answer = _call(authorize, **_permission(properties))
        rule = _found("securityGroupRuleId", answer)
        return rule, {"Id": rule}

    return create


def _rule_remover(direction: str) -> Callable[[str, Properties], None]:
    revoke = ec2._revoke_sg_ingress if direction == "Ingress" else ec2._revoke_sg_egress

    def delete(physical_id: str, properties: Properties) -> None:
        if properties["GroupId"] in ec2._security_groups:
            _call(revoke, **_permission(properties))

    return delete
