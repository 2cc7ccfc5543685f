"""Who calls, and what their policies say: MiniStack's IAM evaluator, with the cures that our policies need."""

from __future__ import annotations

import copy
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack import app
from ministack.core import iam_evaluator as iam
from ministack.services import iam as iam_service
from ministack.services import sts, tagging

from labcycle.local.settings import Credentials
from labcycle.local.signature import SentRequest, SignatureRefused, read, verify

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Caller:
    """A principal whose signature was verified."""

    access_key: str
    account: str
    arn: str
    user_id: str
    principal: Any  # MiniStack's PrincipalInfo

    def may(self, action: str, resource: str, *, region: str, source_ip: str) -> bool:
        """Whether identity policies, boundary and session policies together allow it. The account's root may all."""
        if self.principal.policies is None:
            return True
        context = iam.EvalContext(
            principal_arn=self.arn,
            principal_type=self.principal.type,
            principal_account=self.account,
            action=action,
            resource_arn=resource,
            region=region,
            source_ip=source_ip,
            secure_transport=True,
            principal_keys=self.principal.keys,
        )
        return bool(iam.evaluate(context, self.principal.policies, *self.principal.limits).decision == "Allow")


def verified_caller(request: SentRequest, *, account: str, region: str, now: datetime | None = None) -> Caller:
    """The principal that signed a request to an API.

    Raises
    ------
    SignatureRefused
        If it is unsigned, wrongly signed, out of time, or signed with a key that is not known or no longer valid.
    """
    claim = read(request)
    credential = iam.resolve_credential(claim.access_key, _account_of(claim.access_key, account), claim.token or "")
    if isinstance(credential, iam.CredentialResolutionError):
        expired = credential.code == "ExpiredTokenException"
        raise SignatureRefused(
            "ExpiredTokenException" if expired else "UnrecognizedClientException", str(credential.message)
        )
    verify(request, claim, secret=credential.secret_access_key, region=region, now=now or datetime.now(UTC))
    principal = iam.resolve_principal(claim.access_key, credential.account_id, credential)
    if isinstance(principal, iam.AuthError):
        raise SignatureRefused("UnrecognizedClientException", str(principal.message))
    return Caller(
        access_key=claim.access_key,
        account=credential.account_id,
        arn=credential.principal_arn,
        user_id=credential.principal_id,
        principal=principal,
    )


def _account_of(access_key: str, default: str) -> str:
    session = sts._sessions.get(access_key)
    if session is not None and session.get("AccountId"):
        return str(session["AccountId"])
    return str(iam.find_iam_access_key_account(access_key) or default)


def role_may(role_arn: str, action: str, resource: str, *, region: str) -> bool:
    """Whether a role, as a service uses it, may do something: its policies within its permissions boundary."""
    return _decides(_role(role_arn), action, resource, region=region)


def role_may_use_key(
    role_arn: str, action: str, key: str, policy: str | None, *, region: str, context: Mapping[str, str]
) -> bool:
    """Whether a role may use a KMS key: its own policies, and the key's, which must let it or its account in."""
    return _decides(_role(role_arn), action, key, region=region, context=context, key_policy=policy or "{}")


def refused_principal(
    access_key: str,
    action: str,
    key: str,
    *,
    account: str,
    region: str,
    policy: str | None,
    context: Mapping[str, str],
) -> str | None:
    """ARN of whoever signed with `access_key`, if they may not use the KMS key; None if they may."""
    principal = iam.resolve_principal(access_key, _account_of(access_key, account))
    if isinstance(principal, iam.AuthError) or principal.policies is None:
        return None  # authentication has had its say, and the account's root may do everything
    allowed = _decides(principal, action, key, region=region, context=context, key_policy=policy or "{}")
    return None if allowed else str(principal.arn)


def refused_caller(
    access_key: str, action: str, resource: str, *, account: str, region: str, context: Mapping[str, str]
) -> str | None:
    """ARN of whoever signed with `access_key`, if they may not do this; None if they may."""
    principal = iam.resolve_principal(access_key, _account_of(access_key, account))
    if isinstance(principal, iam.AuthError) or principal.policies is None:
        return None  # authentication has had its say, and the account's root may do everything
    return None if _decides(principal, action, resource, region=region, context=context) else str(principal.arn)


def _role(role_arn: str) -> Any:
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    return iam.PrincipalInfo(
        arn=f"arn:aws:sts::{account}:assumed-role/{name}/service",
        type="AssumedRole",
        account=account,
        policies=iam._gather_role_policies(name, account),
        keys={},
        limits=iam._permissions_boundary(iam_service._roles, name, account),
    )


def _decides(
    principal: Any,
    action: str,
    resource: str,
    *,
    region: str,
    context: Mapping[str, str] | None = None,
    key_policy: str | None = None,
) -> bool:
    asked = iam.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=region,
        secure_transport=True,
        service_context=_tags_of(resource) | {key.lower(): value for key, value in (context or {}).items()},
        principal_keys=principal.keys,
    )
    found = iam.evaluate(asked, principal.policies, *principal.limits)
    if key_policy is not None:
        limits = tuple(principal.limits)
        found = iam.combine_resource_policy(found, asked, key_policy, principal.account, required=True, limits=limits)
    return bool(found.decision == "Allow")


def _tags_of(resource: str) -> dict[str, str]:
    return {f"aws:resourcetag/{name}".lower(): value for name, value in (tagging.resource_tags(resource) or {}).items()}


def session_of(role_arn: str, name: str, seconds: int = 86_400) -> Credentials:
    """Credentials of a role, as a service that was given the role would get them; its policies are enforced."""
    account, role = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{name}"
    found = Credentials("ASIA" + secrets.token_hex(8).upper(), secrets.token_hex(20), secrets.token_hex(40), arn)
    sts.register_session(
        found.access_key,
        {
            "Arn": arn,
            "UserId": f"{sts._role_id(role_arn)}:{name}",
            "SecretAccessKey": found.secret,
            "SessionToken": found.token,
            "Expiration": time.time() + seconds,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return found


def service_may(
    policy: str | dict[str, Any] | None,
    service: str,
    action: str,
    resource: str,
    *,
    region: str,
    context: Mapping[str, str],
) -> bool:
    """Whether a resource's own policy lets an AWS service (`cloudwatch.amazonaws.com`) do something with it."""
    asked = iam.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=region,
        secure_transport=True,
        service_context={key.lower(): value for key, value in context.items()},
    )
    return bool(iam.evaluate_resource_policy(policy, asked, service=service).decision == "Allow")


def install() -> None:
    """Cure the evaluator: policy variables in resources and conditions; plain HTTP on the loopback counts as secure."""
    original_match, original_origin = iam._first_match, iam.pin_request_origin

    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        return original_match(context, [_resolved(statement, context) for statement in statements], effect)

    def pin_request_origin(source_ip: str, secure_transport: bool) -> None:
        original_origin(source_ip, True)

    _trust_suffices()
    _name_the_role()
    # MiniStack fetches the tags of a resource only where an identity policy asks for them, and forgets the boundary.
    iam._names_condition_key = lambda statements, prefix: True
    iam._first_match = first_match
    iam.pin_request_origin = app.pin_request_origin = pin_request_origin


def _trust_suffices() -> None:
    """A trust policy that names a principal of the same account suffices to assume the role, without an identity policy.

    Only who is named is told here; conditions, such as the session name, are for STS, which asks the whole trust policy.
    """

    def trust_policy(arn: str) -> tuple[dict[str, Any], str] | None:
        role = iam_service._roles.get(arn.rsplit("/", 1)[-1]) if ":role/" in arn else None
        if role is None:
            return None
        statements = json.loads(role["AssumeRolePolicyDocument"]).get("Statement", [])
        named = [
            {key: value for key, value in statement.items() if key != "Condition"} | {"Resource": "*"}
            for statement in ([statements] if isinstance(statements, dict) else statements)
            if statement.get("Effect") == "Allow"
        ]
        return {"Statement": named}, arn.split(":")[4]

    iam_service.trust_policy_for_arn = trust_policy
    iam._RESOURCE_POLICY_LOOKUPS["sts"] = ("iam", "trust_policy_for_arn")


def _name_the_role() -> None:
    """`aws:PrincipalArn` of a role's session is the ARN of the role, with its path; MiniStack gives the session's."""
    original = iam._resolve_condition_key

    def resolve(key: str, context: Any) -> Any:
        found = original(key, context)
        if key.lower() == "aws:principalarn" and ":assumed-role/" in str(found):
            role = iam_service._roles.get_scoped(found.split(":")[4], None, found.split("/")[1])
            return role["Arn"] if role else found
        return found

    iam._resolve_condition_key = resolve


def _resolved(statement: Any, context: Any) -> Any:
    if not any("${" in text for text in statement.resources + statement.not_resources) and "${" not in str(
        statement.conditions
    ):
        return statement
    filled = copy.copy(statement)
    filled.resources = _fill(statement.resources, context)
    filled.not_resources = _fill(statement.not_resources, context)
    filled.conditions = _fill(statement.conditions, context)
    return filled


def _fill(value: Any, context: Any) -> Any:
    if isinstance(value, dict):
        return {key: _fill(part, context) for key, part in value.items()}
    if isinstance(value, list):
        return [_fill(part, context) for part in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: str(iam._resolve_condition_key(found[1], context) or found[0]), value)
    return value
