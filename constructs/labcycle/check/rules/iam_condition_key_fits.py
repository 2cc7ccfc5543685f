"""Every condition of a policy has an operator and a key that exist, and a key that its actions take."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.keys import is_global, is_known
from labcycle.check.iam.patterns import is_wild
from labcycle.check.rules import Violation
from labcycle.check.service_authorization import find_action
from labcycle.check.statements import Condition, Statement, is_unknown, statements
from labcycle.check.template import Template

WHY = "A key that a request never carries makes what should be allowed refused, and what should be denied go through."
MEND = "Use a key that AWS's Service Authorization Reference lists for the action, or put the action into a statement of its own."

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_OPERATORS = (
    *(f"String{one}" for one in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")),
    *(
        f"{kind}{one}"
        for kind in ("Numeric", "Date")
        for one in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    ),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress"),
    *(f"Arn{one}" for one in ("Equals", "NotEquals", "Like", "NotLike")),
    "Null",
)
_BY_LOWER = {operator.lower(): operator for operator in _OPERATORS}


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template):
        for condition in statement.conditions:
            message = _operator(condition.operator) or _key(condition, statement)
            if message:
                where = f"{statement.property_path}.Condition.{condition.operator}"
                yield Violation(statement.logical_id, message, where)


@functools.cache
def _operator(name: str) -> str:
    bare = name.lower()
    for quantifier in ("forallvalues:", "foranyvalue:"):
        bare = bare.removeprefix(quantifier)
    if bare != "nullifexists":
        bare = bare.removesuffix("ifexists")
    if bare in _BY_LOWER:
        return ""
    near = difflib.get_close_matches(bare, _BY_LOWER, n=1, cutoff=0)
    return f"got the operator {name}, which does not exist; nearest is {_BY_LOWER[near[0]]}"


def _key(condition: Condition, statement: Statement) -> str:
    key = condition.key
    if is_unknown(key) or any(is_known(key, provider) for provider in _providers(statement)):
        return ""
    if not is_known(key):
        return f"got the key {key}, which does not exist"
    if is_global(key) or _is_taken(key, statement.actions):
        return ""
    return f"got the key {key}, which none of {', '.join(statement.actions)} takes"


def _is_taken(key: str, actions: tuple[str, ...]) -> bool:
    """Whether an action takes the key. Of wildcards, and of actions that do not exist, another rule speaks."""
    if not actions:
        return True
    for name in actions:
        action = find_action(name)
        if is_wild(name) or action is None or any(one.fullmatch(key.lower()) for one in action.condition_keys):
            return True
    return False


def _providers(statement: Statement) -> Iterator[str]:
    """Hosts and paths of the OpenID Connect providers that it trusts."""
    for principal in statement.principals.get("Federated", ()):
        yield principal.partition(":oidc-provider/")[2] or principal
