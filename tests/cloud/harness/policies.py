"""Who may do what: IAM's evaluation logic, for the identity and resource policies that were deployed.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. moto's own enforcement
ignores conditions. An operator that is not known here is an error, never a guess.
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends

from tests.cloud.harness.place import Place

Document = Mapping[str, Any]
Context = Mapping[str, Sequence[str]]


_NUMBERS = {"NumericLessThan": operator.lt, "NumericLessThanEquals": operator.le, "NumericEquals": operator.eq}


class NotPermitted(Exception):
    """What was deployed does not permit this."""


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """IAM's wildcards: `*` any run of characters, `?` one."""
    return _expression(pattern, ignore_case).fullmatch(value) is not None


@functools.lru_cache(maxsize=10_000)
def _expression(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _condition_holds(test: str, key: str, allowed: list[str], context: Context) -> bool:
    if test == "Null":
        return (key not in context) == (allowed[0] == "true")
    quantifier, _, plain = test.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    negated = plain.startswith(("StringNot", "ArnNot"))
    values = context.get(key)
    if values is None:
        return if_exists or negated or quantifier == "ForAllValues"
    if plain in {"StringEquals", "StringNotEquals", "Bool"}:
        hits = [value in allowed for value in values]
    elif plain in {"StringLike", "StringNotLike", "ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"}:
        hits = [any(matches(pattern, value) for pattern in allowed) for value in values]
    elif plain in _NUMBERS:
        hits = [any(_NUMBERS[plain](float(value), float(limit)) for limit in allowed) for value in values]
    else:
        raise NotImplementedError(f"condition operator {test}")
    hits = [not hit for hit in hits] if negated else hits
    return any(hits) if quantifier in {"", "ForAnyValue"} and not negated else all(hits)


def _applies(statement: Document, action: str, resource: str, context: Context) -> bool:
    if "Action" in statement:
        if not any(matches(a, action, ignore_case=True) for a in _as_list(statement["Action"])):
            return False
    elif any(matches(a, action, ignore_case=True) for a in _as_list(statement["NotAction"])):
        return False
    if "Resource" in statement and not any(matches(r, resource) for r in _as_list(statement["Resource"])):
        return False
    if "NotResource" in statement and any(matches(r, resource) for r in _as_list(statement["NotResource"])):
        return False
    return all(
        _condition_holds(
            operator, key, [str(v).lower() if v in (True, False) else str(v) for v in _as_list(value)], context
        )
        for operator, conditions in (statement.get("Condition") or {}).items()
        for key, value in conditions.items()
    )


def evaluate(documents: Sequence[Document], action: str, resource: str, context: Context) -> bool:
    """Whether the documents allow it: some statement allows and none denies."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _as_list(document.get("Statement"))
        if _applies(statement, action, resource, context)
    }
    return effects == {"Allow"}


def denies(document: Document, action: str, resource: str, context: Context) -> bool:
    """Whether a resource policy denies it to everybody."""
    return any(
        statement["Effect"] == "Deny" and _applies(statement, action, resource, context)
        for statement in _as_list(document.get("Statement"))
    )


def require_role(role_arn: str, action: str, resource: str, context: Context | None = None) -> None:
    """Raise `NotPermitted` unless the role's policies allow it, within its permissions boundary."""
    account = role_arn.split(":")[4]
    iam = iam_backends[account]["aws"]
    role = iam.get_role(role_arn.rpartition("/")[2])
    documents = [*role.policies.values(), *(_managed(policy) for policy in role.managed_policies.values())]
    limits = [_managed(iam.managed_policies[role.permissions_boundary_arn])] if role.permissions_boundary_arn else []
    asked = dict(context or {})
    for which, found in (("policies", documents), ("boundary", limits)):
        if (found or which == "policies") and not evaluate([_document(d) for d in found], action, resource, asked):
            raise NotPermitted(f"the {which} of {role_arn} do not allow {action} on {resource} with {asked}")


def _managed(policy: Any) -> str:
    return str(next(version.document for version in policy.versions if version.is_default_version))


@functools.lru_cache(maxsize=1000)
def _parsed(text: str) -> Document:
    document: Document = json.loads(unquote(text))
    return document


def _document(raw: str | Document) -> Document:
    return _parsed(raw) if isinstance(raw, str) else raw


def require_service(
    policy: str | Document, service: str, action: str, resource: str, context: Context | None = None
) -> None:
    """Raise `NotPermitted` unless a resource policy lets this AWS service (`events.amazonaws.com`, ...) do it."""
    document = _document(policy)
    statements = [s for s in _as_list(document.get("Statement")) if _is_principal(s.get("Principal"), service)]
    if not evaluate([{"Statement": statements}], action, resource, context or {}):
        raise NotPermitted(f"the policy of {resource} does not allow {action} to {service} with {dict(context or {})}")


def _is_principal(principal: Any, service: str) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, Mapping):
        return False
    return service in _as_list(principal.get("Service")) or "*" in _as_list(principal.get("AWS"))


def require_function_permission(function_arn: str, service: str, source_arn: str) -> None:
    """Raise `NotPermitted` unless the function's own policy lets the service invoke it for this source."""
    place = Place.of_arn(function_arn)
    function = lambda_backends[place.account][place.region].get_function(function_arn)
    policy: Document = function.policy.get_policy()["Policy"] if function.policy.statements else {}
    context = {"AWS:SourceArn": [source_arn], "aws:SourceArn": [source_arn]}
    require_service(policy, service, "lambda:InvokeFunction", function_arn, context)
