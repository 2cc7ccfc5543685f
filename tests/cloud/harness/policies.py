"""Who may do what, by the policies that were deployed: moto's own enforcement ignores conditions.

The decisions are those of `labcycle.check.iam`; what it cannot tell is an error, never a guess.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from labcycle.check.iam import (
    Outcome,
    Policies,
    Policy,
    Request,
    Role,
    Service,
    decide,
    identity_policy,
    resource_policy,
)
from tests.cloud.harness.place import Place

Document = Mapping[str, Any]
Context = Mapping[str, Sequence[str]]

_ANYBODY = Role("arn:aws:iam::000000000000:role/anybody")


class NotPermitted(Exception):
    """What was deployed does not permit this."""


def evaluate(documents: Sequence[Document], action: str, resource: str, context: Context) -> bool:
    """Whether these identity policies allow it: some statement allows and none denies."""
    identity = tuple(_identity(json.dumps({"Version": "2012-10-17", **document})) for document in documents)
    request = Request(_ANYBODY, action, resource, _ANYBODY.account, context)
    return decide(request, Policies(identity, resource=_open())).is_allowed


@functools.cache
def _open() -> Policy:
    """Leaves it to the identity policies, as keys must say expressly."""
    statement = {"Effect": "Allow", "Principal": {"AWS": _ANYBODY.account}, "Action": "*", "Resource": "*"}
    return resource_policy({"Version": "2012-10-17", "Statement": statement}, "open")


def denies(document: Document, action: str, resource: str, context: Context) -> bool:
    """Whether a resource policy denies it to everybody."""
    request = Request(_ANYBODY, action, resource, context=context)
    return decide(request, Policies(resource=_of_resource(json.dumps(document)))).outcome is Outcome.EXPLICIT_DENY


def require_role(role_arn: str, action: str, resource: str, context: Context | None = None) -> None:
    """Raise `NotPermitted` unless the role's policies allow it, within its boundary, and for a key its key policy."""
    iam = iam_backends[role_arn.split(":")[4]]["aws"]
    role = iam.get_role(role_arn.rpartition("/")[2])
    documents = [*role.policies.values(), *(_managed(policy) for policy in role.managed_policies.values())]
    boundary = iam.managed_policies[role.permissions_boundary_arn] if role.permissions_boundary_arn else None
    policies = Policies(
        identity=tuple(_identity(_text(document)) for document in documents),
        boundary=_identity(_managed(boundary)) if boundary else None,
        resource=_key_policy(resource) if action.startswith("kms:") else None,
    )
    own = Role(role_arn)  # what a resource of another account says of it is not deployed here
    decision = decide(Request(own, action, resource, own.account, context or {}), policies)
    if not decision.is_allowed:
        raise NotPermitted(
            f"the policies of {role_arn} do not allow {action} on {resource} with {dict(context or {})}: {decision.reason}"
        )


def _key_policy(key_arn: str) -> Policy:
    place = Place.of_arn(key_arn)
    return _of_resource(_text(kms_backends[place.account][place.region].describe_key(key_arn).policy))


def _managed(policy: Any) -> str:
    return _text(next(version.document for version in policy.versions if version.is_default_version))


def _text(document: str | Document) -> str:
    return unquote(document) if isinstance(document, str) else json.dumps(document)


@functools.lru_cache(maxsize=1000)
def _identity(text: str) -> Policy:
    return identity_policy(json.loads(text), "policy")


@functools.lru_cache(maxsize=1000)
def _of_resource(text: str) -> Policy:
    return resource_policy(json.loads(text), "the resource's policy")


def require_service(
    policy: str | Document, service: str, action: str, resource: str, context: Context | None = None
) -> None:
    """Raise `NotPermitted` unless a resource policy lets this AWS service (`events.amazonaws.com`, ...) do it."""
    request = Request(Service(service), action, resource, context=context or {})
    decision = decide(request, Policies(resource=_of_resource(_text(policy))))
    if not decision.is_allowed:
        raise NotPermitted(
            f"the policy of {resource} does not allow {action} to {service} with {dict(context or {})}: {decision.reason}"
        )


def require_function_permission(function_arn: str, service: str, source_arn: str) -> None:
    """Raise `NotPermitted` unless the function's own policy lets the service invoke it for this source."""
    place = Place.of_arn(function_arn)
    function = lambda_backends[place.account][place.region].get_function(function_arn)
    if not function.policy.statements:
        raise NotPermitted(f"{function_arn} has no policy that lets {service} in")
    statements = []
    for statement in function.policy.get_policy()["Policy"]["Statement"]:
        said = dict(statement)
        named = said.pop("FunctionName", "")  # as in the template; moto takes an alias for the version behind it
        statements.append({**said, **({"Resource": named} if named.startswith("arn:") else {})})
    policy = {"Version": "2012-10-17", "Statement": statements}
    context = {"aws:SourceArn": [source_arn]}
    require_service(policy, service, "lambda:InvokeFunction", function_arn, context)
