"""A role trusts named principals: no `*`, no whole account, no sign-in without audience and subject."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, Statement, is_unknown, statements
from labcycle.check.template import Template

WHY = "Whoever a role trusts has all of the role's rights, whatever else is set up around it."
MEND = (
    "Name the role or user; where an account must be trusted, narrow it by aws:PrincipalArn or sts:ExternalId; where a "
    "provider is trusted, by its audience and subject."
)

# What says who comes. Not sts:RoleSessionName and sts:SourceIdentity: the caller chooses them.
_WHO = ("aws:principalarn", "aws:principaltag/*", "aws:userid", "aws:username", "sts:externalid")
_SAML_SUBJECTS = ("saml:sub", "saml:edu*", "saml:mail", "saml:cn", "saml:uid", "saml:name")


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template, Kind.TRUST):
        if statement.allows:
            for message in _wide(statement):
                yield Violation(statement.logical_id, message, f"{statement.property_path}.Principal")


def _wide(statement: Statement) -> Iterator[str]:
    if statement.not_principals:
        yield "got everybody but some as principal; allowed are named principals"
    for kind, principals in statement.principals.items():
        for principal in principals:
            if principal == "*":
                yield "got the principal `*`; allowed are named principals"
            elif kind == "AWS" and _is_account(principal) and not statement.is_narrowed_by(_WHO):
                yield f"got the whole account {principal}; allowed with a condition on one of {', '.join(_WHO)}"
            elif kind == "Federated" and not is_unknown(principal):
                yield from _without_subject(statement, principal)


def _is_account(principal: str) -> bool:
    return principal.endswith(":root") or (principal.isdigit() and len(principal) == 12)


def _without_subject(statement: Statement, provider: str) -> Iterator[str]:
    if ":saml-provider/" in provider:
        keys = {"audience": ("saml:aud",), "subject": _SAML_SUBJECTS}
    else:
        keys = {"audience": ("*:aud",), "subject": ("*:sub", "*:amr")}
    for what, names in keys.items():
        if not statement.is_narrowed_by(names):
            yield f"got the provider {provider} without a condition on its {what}; allowed with one on {' or '.join(names)}"
