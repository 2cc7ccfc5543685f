"""No IAM user has an access key, a password or policies of its own."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template
from labcycle.check.values import listed

WHY = "Keys of users never expire, and rights of users outlive the reason for which they were given."
MEND = "Let people sign in by a role, through an identity provider, and let programs have a role."

_ON_USERS = ("LoginProfile", "ManagedPolicyArns", "Policies")


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::IAM::AccessKey"):
        yield Violation(logical_id, "got an access key; allowed are roles, whose keys expire")
    for logical_id, _ in template.resources("AWS::IAM::UserPolicy"):
        yield Violation(logical_id, "got a policy of a user; allowed are policies of roles and groups")
    for logical_id, _ in template.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        if listed(template.properties(logical_id).get("Users")):
            yield Violation(
                logical_id, "got a policy of users; allowed are policies of roles and groups", "Properties.Users"
            )
    for logical_id, _ in template.resources("AWS::IAM::User"):
        for key in _ON_USERS:
            if template.properties(logical_id).get(key):
                yield Violation(logical_id, f"got {key} of a user; allowed are roles", f"Properties.{key}")
