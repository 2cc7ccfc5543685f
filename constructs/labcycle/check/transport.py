"""Which resource policies refuse requests that do not come over TLS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .estate import Estate
from .iam.patterns import match, wildcard
from .iam.truth import Truth
from .resource_policies import resource_policies
from .roles import Attached
from .values import listed, mapping, texts

_KEY = "aws:securetransport"


def refuses_plain_text(estate: Estate, arn: str, actions: Iterable[str], resources: Iterable[str]) -> bool:
    """Whether the policy of a resource denies everybody these actions on these resources without TLS."""
    denied = list(_denied(resource_policies(estate).get(arn, [])))
    return all(
        any(_covers(actions_denied, action) and _covers(on, resource) for actions_denied, on in denied)
        for action in actions
        for resource in resources
    )


def _denied(policies: Iterable[Attached]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Actions and resources of each statement that denies plain text to all."""
    for policy in policies:
        for statement in listed(policy.document.get("Statement")):
            if isinstance(statement, Mapping) and _denies_plain_text(statement):
                yield texts(statement.get("Action")), texts(statement.get("Resource"))


def _denies_plain_text(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    to_all = principal == "*" or "*" in texts(mapping(principal).get("AWS"))
    condition = statement.get("Condition")
    if statement.get("Effect") != "Deny" or not to_all or not isinstance(condition, Mapping) or len(condition) != 1:
        return False
    ((operator, keys),) = condition.items()
    if not isinstance(keys, Mapping) or [str(key).lower() for key in keys] != [_KEY]:
        return False
    values = [text.lower() for text in texts(next(iter(keys.values())))]
    return str(operator) in ("Bool", "BoolIfExists") and values == ["false"]


def _covers(patterns: Iterable[str], wanted: str) -> bool:
    """Whether one of the patterns matches whatever `wanted` matches."""
    asked = wildcard(wanted.lower())
    return any(match(wildcard(pattern.lower()), asked) is Truth.YES for pattern in patterns)
