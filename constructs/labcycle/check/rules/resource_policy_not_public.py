"""No resource lets in everybody."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.statements import Condition, Kind, Statement, statements
from labcycle.check.template import Template

WHY = "The principal `*` is everybody on the Internet, with or without an AWS account."
MEND = "Name the principals, or narrow `*` by aws:PrincipalOrgID, aws:PrincipalArn, aws:SourceArn or aws:SourceVpce."

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
_WHO = (
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "kms:calleraccount",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
)
_NEGATIVE = ("stringnotequals", "stringnotlike", "arnnotequals", "arnnotlike", "stringnotequalsignorecase")


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    everything = list(statements(estate, template, Kind.RESOURCE))
    for statement in everything:
        is_public = statement.allows and _is_everybody(statement) and not statement.is_narrowed_by(_WHO)
        if is_public and not any(_shuts_out(other, statement) for other in everything):
            yield Violation(
                statement.logical_id,
                f"got everybody as principal of {', '.join(statement.actions) or 'an action'}; allowed with a condition "
                "on the account, organisation, principal, source or VPC endpoint",
                f"{statement.property_path}.Principal",
            )
    for logical_id, _ in template.resources("AWS::Lambda::Url"):
        if template.properties(logical_id).get("AuthType") == "NONE":
            yield Violation(
                logical_id, "got an address without authorisation; allowed is AWS_IAM", "Properties.AuthType"
            )


def _is_everybody(statement: Statement) -> bool:
    return "*" in statement.principals.get("AWS", ()) or bool(statement.not_principals)


def _shuts_out(other: Statement, statement: Statement) -> bool:
    """Whether a denial of the same policy refuses all but some of those whom the statement lets in."""
    return (
        other.effect == "Deny"
        and other.policy.logical_id == statement.policy.logical_id
        and _is_everybody(other)
        and all(other.covers_action(action) for action in statement.actions)
        and len(other.conditions) == 1
        and _is_all_but(other.conditions[0])
    )


def _is_all_but(condition: Condition) -> bool:
    return condition.operator.lower() in _NEGATIVE and condition.key.lower() in _WHO and "*" not in condition.values
