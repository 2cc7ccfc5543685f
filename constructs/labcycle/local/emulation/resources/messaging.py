"""Topics, buses and schedules: the properties that MiniStack's templates drop."""

from __future__ import annotations

import json
import uuid
from typing import Any

from ministack.services import eventbridge, scheduler, sns
from ministack.services.cloudformation import provisioners

from labcycle.local.emulation.resources.registration import Made, Properties, afterwards, register

_SCHEDULE = ("ScheduleExpressionTimezone", "StartDate", "EndDate", "KmsKeyArn", "ActionAfterCompletion")


def install() -> None:
    afterwards("AWS::SNS::Topic", _topic)
    afterwards("AWS::Scheduler::Schedule", _schedule)
    _name_log_groups()
    register("AWS::Logs::QueryDefinition", _query, _nothing)
    register("AWS::Events::EventBusPolicy", _put_bus_policy, _remove_bus_policy, _change_bus_policy)


def _name_log_groups() -> None:
    """A log group without a name is called as CloudFormation calls it, stack and logical id first: policies name it so."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]
    create, update = handler["create"], handler["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        name = properties.get("LogGroupName") or provisioners._physical_name(stack, logical_id, max_len=512)
        made: Made = create(logical_id, {**properties, "LogGroupName": name}, stack)
        return made

    def updated(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Made:
        named = [{**given, "LogGroupName": given.get("LogGroupName") or physical_id} for given in (old, new)]
        made: Made = update(physical_id, *named, *rest)
        return made

    handler["create"], handler["update"] = created, updated


def _query(logical_id: str, properties: Properties, stack: str) -> Made:
    identifier = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{stack}/{logical_id}"))
    return identifier, {"QueryDefinitionId": identifier}


def _nothing(physical_id: str, properties: Properties) -> None:
    pass


def _topic(arn: str, properties: Properties) -> None:
    attributes = sns._topics[arn]["attributes"]
    key = properties.get("KmsMasterKeyId")
    if key:
        attributes["KmsMasterKeyId"] = key
    else:
        attributes.pop("KmsMasterKeyId", None)


def _schedule(name: str, properties: Properties) -> None:
    record = scheduler._schedules[f"{properties.get('GroupName', 'default')}/{name}"]
    for key in _SCHEDULE:
        if key in properties:
            record[key] = properties[key]


def _put_bus_policy(logical_id: str, properties: Properties, stack: str) -> Made:
    bus, statement = properties.get("EventBusName") or "default", properties.get("Statement")
    if not statement:
        account = properties.get("Principal", "*")
        principal = "*" if account == "*" else {"AWS": f"arn:aws:iam::{account}:root"}
        arn = eventbridge._event_buses.get(bus, {}).get("Arn", "*")
        statement = {"Effect": "Allow", "Principal": principal, "Action": properties.get("Action"), "Resource": arn}
    if isinstance(statement, str):
        statement = json.loads(statement)
    _remove(bus, properties["StatementId"])
    policy = eventbridge._event_bus_policies.setdefault(bus, {"Version": "2012-10-17", "Statement": []})
    policy["Statement"].append({**statement, "Sid": properties["StatementId"]})
    return f"{bus}|{properties['StatementId']}", {}


def _change_bus_policy(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
    _remove_bus_policy(physical_id, old)
    return _put_bus_policy("", new, stack)


def _remove_bus_policy(physical_id: str, properties: Properties) -> None:
    _remove(properties.get("EventBusName") or "default", properties["StatementId"])


def _remove(bus: str, statement_id: str) -> None:
    policy = eventbridge._event_bus_policies.get(bus)
    if policy:
        policy["Statement"] = [statement for statement in policy["Statement"] if statement.get("Sid") != statement_id]
