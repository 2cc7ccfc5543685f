"""Whether a delivery is let in: by the target's policy or the role's, and by the key of an encrypted target."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from labcycle.check import iam, roles
from labcycle.check.estate import Estate
from labcycle.check.resource_policies import resource_policies
from labcycle.check.roles import Attached
from labcycle.check.template import Template
from labcycle.check.values import listed, mapping, mappings

from .producers import Delivery, encryption_key, kind_of
from .ways import ROLE, SOURCE, Way

# The property of a target that names its key.
_KEYS = {
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
}
_AWS_KEY = "alias/aws/"
_SENDERS_TO_BUCKETS_WITHOUT_KEY = ("bucket's access log", "load balancer")
# Services that SNS's own policy for a topic without one lets in, and that deliver to their own account:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
_LET_IN_BY_DEFAULT = ("alarm",)


def refusals(estate: Estate, delivery: Delivery) -> Iterator[str]:
    """Each reason for which a delivery does not arrive; none where the target is not part of the estate, or not known."""
    target = estate.find(_plain(delivery.target))
    if target is None:
        return
    try:
        yield from _by_target(estate, delivery, target)
        yield from _by_key(estate, delivery, target)
    except iam.PolicyError:
        return  # a policy that cannot be read is told by the checkers of policies


def _by_target(estate: Estate, delivery: Delivery, target: tuple[Template, str]) -> Iterator[str]:
    way = delivery.way
    if way.principal == ROLE:
        yield from _by_trust(estate, delivery)
        yield from _by_role(estate, delivery, delivery.source, way.actions, delivery.target)
        return
    missing = [action for action in way.actions if not _service_may(estate, delivery, action)]
    if missing and delivery.role and not list(_by_role(estate, delivery, delivery.role, missing, delivery.target)):
        return
    if way.producer == "flow log" and delivery.target not in resource_policies(estate):
        return  # the service writes the policy of a bucket that has none
    if (
        way.producer in _LET_IN_BY_DEFAULT
        and way.target == "topic"
        and delivery.target not in resource_policies(estate)
    ):
        return
    if missing:
        what = "the key policy" if way.target == "key" else f"the policy of the {way.target}"
        yield f"{what} {target[1]} does not let {_principal(estate, delivery)} do {', '.join(missing)}{_for(delivery)}"
    if way.target == "bucket" and way.producer in _SENDERS_TO_BUCKETS_WITHOUT_KEY:
        yield from _bucket_cannot(way, target)


def _service_may(estate: Estate, delivery: Delivery, action: str) -> bool:
    context = _context(estate, delivery, delivery.way.sends)
    if delivery.way.target == "key":
        context = {"kms:EncryptionContext:aws:logs:arn": delivery.source}
    service = iam.Service(_principal(estate, delivery))
    target = delivery.target
    account = ""
    if delivery.way.target == "bucket":
        context["s3:x-amz-acl"] = "bucket-owner-full-control"
        account = estate.account(delivery.template)
        target += "" if action == "s3:GetBucketAcl" else delivery.detail
    if delivery.way.target == "log group":
        target = f"{delivery.target.removesuffix(':*')}:log-stream:x"
        policy = _joined(_of_logs(estate, delivery.template))
    else:
        policy = _policy_of(estate, _plain(delivery.target))
    request = iam.Request(service, action, target, account, context)
    return iam.decide(request, iam.Policies(resource=policy)).is_allowed


def _by_trust(estate: Estate, delivery: Delivery) -> Iterator[str]:
    """Which sources a service tells when it assumes a role differs and is left open; whom the role trusts is not."""
    role = _roles(estate).get(delivery.source)
    if role is None or not role.trust:
        return
    service = iam.Service(delivery.way.assumed_by)
    known = {"aws:SourceAccount": estate.account(delivery.template)}
    trust = iam.Policies(resource=iam.resource_policy(role.trust, role.logical_id))
    if iam.could_allow(iam.Request(service, "sts:AssumeRole", role.arn, context=known), trust) is None:
        yield f"the role {role.logical_id} does not let {service.name} assume it"


def _by_role(
    estate: Estate, delivery: Delivery, role_arn: str, actions: Sequence[str], resource: str, via: str = ""
) -> Iterator[str]:
    role = _roles(estate).get(role_arn)
    if role is None or role.foreign_policies:
        return
    missing = _missing(estate, role_arn, tuple(actions), resource, via)
    if missing:
        yield f"the role {role.logical_id} may not do {', '.join(missing)} on {resource}{_for(delivery)}"


@lru_cache(maxsize=4096)
def _missing(estate: Estate, role_arn: str, actions: tuple[str, ...], resource: str, via: str) -> tuple[str, ...]:
    """Actions that a role may not do on a resource."""
    role = _roles(estate)[role_arn]
    identity, boundary = _rights(estate, role_arn)
    policies = iam.Policies(identity=identity, boundary=boundary, resource=_policy_of(estate, _plain(resource)))
    context = {"aws:SecureTransport": "true"} | ({"kms:ViaService": via} if via else {})
    context |= _tags(estate, "aws:PrincipalTag", (role.template, role.logical_id))
    context |= _tags(estate, "aws:ResourceTag", estate.find(_plain(resource)))
    if kind_of(resource) == "table" and "/stream/" not in resource:
        resource = f"{resource}/stream/x"
    session = iam.Role(role.arn, "x")
    return tuple(
        action
        for action in actions
        if not iam.decide(iam.Request(session, action, resource, context=context), policies).is_allowed
    )


@lru_cache(maxsize=1024)
def _rights(estate: Estate, role_arn: str) -> tuple[tuple[iam.Policy, ...], iam.Policy | None]:
    """A role's policies and its boundary, parsed."""
    role = _roles(estate)[role_arn]
    found = tuple(iam.identity_policy(one.document, f"{one.template.name}/{one.logical_id}") for one in role.policies)
    return found, iam.identity_policy(role.boundary.document, role.boundary.logical_id) if role.boundary else None


def _by_key(estate: Estate, delivery: Delivery, target: tuple[Template, str]) -> Iterator[str]:
    way = delivery.way
    template, logical_id = target
    named = _KEYS.get(str(template.resource(logical_id).get("Type", "")))
    if not way.key_actions:
        return
    value = template.properties(logical_id).get(named) if named else _bucket_key(template, logical_id)
    if value is None:
        return
    if _AWS_KEY in estate.text(template, value):
        if way.principal != ROLE:
            yield (
                f"the {way.target} {logical_id} is encrypted with {estate.text(template, value)}, whose policy lets no "
                "service in and cannot be changed; a customer key is needed"
            )
        return
    key = encryption_key(estate, template, value)
    if key is None:
        return
    arn = estate.arn(*key)
    if way.principal == ROLE or (delivery.role and not list(_by_target_alone(estate, delivery))):
        service = {"topic": "sns", "queue": "sqs"}.get(way.target, "")
        via = f"{service}.{estate.region(template)}.{'amazonaws.com'}"
        role = delivery.source if way.principal == ROLE else delivery.role
        yield from _by_role(estate, delivery, role, way.key_actions, arn, via)
        return
    context = _context(estate, delivery, way.key_sends)
    policy = iam.Policies(resource=_policy_of(estate, arn))
    service_principal = iam.Service(_principal(estate, delivery))
    missing = [
        action
        for action in way.key_actions
        if not iam.decide(iam.Request(service_principal, action, arn, context=context), policy).is_allowed
    ]
    if missing:
        yield (
            f"the {way.target} {logical_id} is encrypted, and its key {key[1]} does not let "
            f"{service_principal.name} do {', '.join(missing)}{_for(delivery)}"
            + (f" ({way.note})" if way.note and not way.key_sends else "")
        )


def _by_target_alone(estate: Estate, delivery: Delivery) -> list[str]:
    """What the role lacks on the target."""
    return list(_by_role(estate, delivery, delivery.role, delivery.way.actions, delivery.target))


def _bucket_cannot(way: Way, target: tuple[Template, str]) -> Iterator[str]:
    template, logical_id = target
    if _bucket_key(template, logical_id) is not None or _encrypts_by_kms(template, logical_id):
        yield f"the bucket {logical_id} encrypts with a KMS key; a {way.producer} is written to SSE-S3 (AES256) alone"
    lock = template.properties(logical_id).get("ObjectLockConfiguration")
    if way.producer == "bucket's access log" and isinstance(lock, Mapping) and "Rule" in lock:
        yield f"the bucket {logical_id} locks objects by default, which access logs cannot be written to"


def _encryption(template: Template, logical_id: str) -> Mapping[str, Any]:
    found: Any = template.properties(logical_id).get("BucketEncryption")
    for key in ("ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault"):
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError):
            return {}
    return mapping(found)


def _bucket_key(template: Template, logical_id: str) -> Any:
    return _encryption(template, logical_id).get("KMSMasterKeyID")


def _encrypts_by_kms(template: Template, logical_id: str) -> bool:
    return str(_encryption(template, logical_id).get("SSEAlgorithm", "")).startswith("aws:kms")


def _context(estate: Estate, delivery: Delivery, sent: Sequence[str]) -> dict[str, str]:
    known = dict(zip(SOURCE, (estate.account(delivery.template), delivery.source), strict=True))
    return {"aws:SecureTransport": "true"} | {key: known[key] for key in sent if key in known}


def _tags(estate: Estate, key: str, of: tuple[Template, str] | None) -> dict[str, str]:
    """Tags of a resource as values of condition keys."""
    if of is None:
        return {}
    template, logical_id = of
    own = mappings(template.properties(logical_id).get("Tags"))
    given = {estate.text(template, tag.get("Key")): estate.text(template, tag.get("Value")) for tag in own}
    return {f"{key}/{name}": value for name, value in {**template.tags, **given}.items()}


def _principal(estate: Estate, delivery: Delivery) -> str:
    return delivery.way.principal.format(region=estate.region(delivery.template))


def _for(delivery: Delivery) -> str:
    return f" for {delivery.source}" if delivery.source and delivery.way.principal != ROLE else ""


def _plain(arn: str) -> str:
    """An ARN of the estate's index: of a function without its version, of a table without its stream."""
    if kind_of(arn) == "function":
        return ":".join(arn.split(":")[:7])
    return arn.partition("/stream/")[0] if kind_of(arn) == "table" else arn


@lru_cache(maxsize=1024)
def _policy_of(estate: Estate, arn: str) -> iam.Policy | None:
    """The policy of a resource, parsed; None where it has none."""
    return _joined(resource_policies(estate).get(arn, []))


def _joined(attached: Sequence[Attached]) -> iam.Policy | None:
    statements = [one for policy in attached for one in listed(policy.document.get("Statement"))]
    if not statements:
        return None
    return iam.resource_policy({"Version": "2012-10-17", "Statement": statements}, attached[0].logical_id)


def _of_logs(estate: Estate, template: Template) -> list[Attached]:
    """The resource policies of CloudWatch Logs in an account and region, which hold for all groups."""
    found = []
    for owner, logical_id, _ in estate.resources("AWS::Logs::ResourcePolicy"):
        if (owner.account, owner.region) == (template.account, template.region):
            text = estate.text(owner, owner.properties(logical_id).get("PolicyDocument", "{}"))
            try:
                document = json.loads(text)
            except ValueError:
                continue
            found.append(Attached(owner, logical_id, document if isinstance(document, dict) else {}, "Properties"))
    return found


@lru_cache(maxsize=2)
def _roles(estate: Estate) -> dict[str, roles.Role]:
    return {role.arn: role for role in roles.roles(estate)}
