"""Say on a resource itself which finding of the gate is meant to be, and why."""

from __future__ import annotations

from aws_cdk import CfnResource
from constructs import IConstruct


def acknowledge(construct: IConstruct, **reasons: str) -> None:
    """Acknowledge findings on the one resource of `construct`, once a resource.

    Parameters
    ----------
    reasons
        By the rule's exact id, with `_` for `-`: in 20 characters or more, why what was found is right here.
    """
    resource = construct if CfnResource.is_cfn_resource(construct) else construct.node.default_child
    assert isinstance(resource, CfnResource)
    entries = [{"id": rule.replace("_", "-"), "reason": reason} for rule, reason in reasons.items()]
    resource.add_metadata("labcycle:acknowledge", entries)
