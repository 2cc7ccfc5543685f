"""IAM roles: MiniStack drops the permissions boundary of a template's role, so that it would limit nothing."""

from __future__ import annotations

from ministack.services import iam

from labcycle.local.emulation.resources.registration import Properties, afterwards


def install() -> None:
    afterwards("AWS::IAM::Role", _role)


def _role(name: str, properties: Properties) -> None:
    role = iam._roles[name]
    boundary = properties.get("PermissionsBoundary")
    if boundary:
        role["PermissionsBoundary"] = boundary
    else:
        role.pop("PermissionsBoundary", None)
