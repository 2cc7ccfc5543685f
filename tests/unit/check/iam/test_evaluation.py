"""The decision over all policies, for exact requests and for whatever somebody could ask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labcycle.check.iam import (
    ANY,
    NO_RESOURCE,
    Federated,
    Outcome,
    Policies,
    PolicyError,
    Principal,
    Request,
    Role,
    Service,
    User,
    could_allow,
    decide,
    identity_policy,
    resource_policy,
)
from tests.unit.check.iam.oracle import cases

HOME, AWAY = "111122223333", "444455556666"
ROLE = Role(f"arn:aws:iam::{HOME}:role/team/worker", "anna")
SESSION = f"arn:aws:sts::{HOME}:assumed-role/worker/anna"
OBJECT = "arn:aws:s3:::fraud-data/runs/1"
KEY = f"arn:aws:kms:eu-west-1:{HOME}:key/1"
YES, NO, DENIED = Outcome.ALLOWED, Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY


def allow(*actions: str, effect: str = "Allow", resource: Any = "*", **elements: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource} | elements
    return {"Version": "2012-10-17", "Statement": [statement]}


def both(*documents: dict[str, Any]) -> dict[str, Any]:
    return documents[0] | {"Statement": [statement for document in documents for statement in document["Statement"]]}


def policies(
    identity: dict[str, Any] | None = None,
    *,
    boundary: dict[str, Any] | None = None,
    session: dict[str, Any] | None = None,
    resource: dict[str, Any] | None = None,
) -> Policies:
    return Policies(
        identity=(identity_policy(identity, "identity"),) if identity else (),
        boundary=identity_policy(boundary, "boundary") if boundary else None,
        session=identity_policy(session, "session") if session else None,
        resource=resource_policy(resource, "resource") if resource else None,
    )


def outcome(given: Policies, action: str = "s3:GetObject", resource: str = OBJECT, **more: Any) -> Outcome:
    return decide(Request(more.pop("principal", ROLE), action, resource, **more), given).outcome


GET = allow("s3:GetObject")
PUT = allow("s3:PutObject")
NOT_GET = allow("s3:GetObject", effect="Deny")


def let_in(principal: Any, action: str = "s3:GetObject", **elements: Any) -> dict[str, Any]:
    return allow(action, Principal=principal, **elements)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (policies(), NO),
        (policies(GET), YES),
        (policies(PUT), NO),
        (policies(allow("s3:Get*", resource="arn:aws:s3:::fraud-data/*")), YES),
        (policies(allow("s3:Get*", resource="arn:aws:s3:::fraud-data")), NO),
        (policies(GET, boundary=GET), YES),
        (policies(GET, boundary=PUT), NO),
        (policies(GET, boundary=NOT_GET), DENIED),
        (policies(GET, session=PUT), NO),
        (policies(GET, resource=let_in("*", effect="Deny")), DENIED),
        (policies(resource=let_in({"AWS": ROLE.arn})), YES),
        (policies(resource=let_in({"AWS": ROLE.arn}), boundary=PUT), NO),
        (policies(resource=let_in({"AWS": ROLE.arn}), session=PUT), NO),
        (policies(resource=let_in({"AWS": SESSION}), boundary=PUT, session=PUT), YES),
        (policies(resource=let_in("*"), boundary=PUT), YES),
        (policies(resource=let_in({"AWS": HOME})), NO),
        (policies(GET, resource=let_in({"AWS": HOME})), YES),
        (policies(resource=let_in({"AWS": SESSION.replace("anna", "bert")})), NO),
    ],
)
def test_within_an_account(given: Policies, expected: Outcome) -> None:
    assert outcome(given, account=HOME) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (policies(GET), NO),
        (policies(resource=let_in({"AWS": ROLE.arn})), NO),
        (policies(GET, resource=let_in({"AWS": ROLE.arn})), YES),
        (policies(GET, resource=let_in({"AWS": HOME})), YES),
        (policies(GET, resource=let_in({"AWS": AWAY})), NO),
        (policies(GET, boundary=PUT, resource=let_in("*")), NO),
    ],
)
def test_across_accounts_both_sides_must_allow(given: Policies, expected: Outcome) -> None:
    assert outcome(given, account=AWAY) is expected


def test_a_user_is_not_limited_by_the_boundary_where_a_resource_names_him() -> None:
    user = User(f"arn:aws:iam::{HOME}:user/anna")
    given = policies(boundary=PUT, resource=let_in({"AWS": user.arn}))
    assert outcome(given, account=HOME, principal=user) is YES


DECRYPT = allow("kms:Decrypt")


@pytest.mark.parametrize(
    ("key_policy", "identity", "expected"),
    [
        (let_in({"AWS": HOME}, "kms:*"), DECRYPT, YES),
        (let_in({"AWS": HOME}, "kms:*"), None, NO),
        (let_in({"AWS": HOME}, "kms:Encrypt"), DECRYPT, NO),
        (let_in({"AWS": ROLE.arn}, "kms:Decrypt"), None, YES),
        (let_in({"Service": "sns.amazonaws.com"}, "kms:*"), DECRYPT, NO),
    ],
)
def test_a_key_is_used_only_as_its_policy_says(key_policy: Any, identity: Any, expected: Outcome) -> None:
    assert outcome(policies(identity, resource=key_policy), "kms:Decrypt", KEY) is expected


def test_keys_and_roles_always_have_a_policy() -> None:
    for action, resource in (("kms:Decrypt", KEY), ("sts:AssumeRole", ROLE.arn)):
        with pytest.raises(PolicyError, match="got no policy of the resource"):
            outcome(policies(allow("*")), action, resource)


def test_a_role_is_assumed_only_by_those_whom_it_trusts() -> None:
    reader = f"arn:aws:iam::{HOME}:role/reader"
    trusting = let_in({"AWS": HOME}, "sts:AssumeRole")
    assert outcome(policies(allow("sts:AssumeRole"), resource=trusting), "sts:AssumeRole", reader) is YES
    assert outcome(policies(resource=trusting), "sts:AssumeRole", reader) is NO
    other = let_in({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole")
    assert outcome(policies(allow("sts:AssumeRole"), resource=other), "sts:AssumeRole", reader) is NO


def test_a_service_acts_by_the_policy_of_the_resource_alone() -> None:
    topic = f"arn:aws:sns:eu-west-1:{HOME}:notices"
    alarm = f"arn:aws:cloudwatch:eu-west-1:{HOME}:alarm:x"
    from_alarms = {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:*:{HOME}:alarm:*"}}
    given = policies(resource=let_in({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish", Condition=from_alarms))
    cloudwatch, events = Service("cloudwatch.amazonaws.com"), Service("events.amazonaws.com")
    assert outcome(given, "sns:Publish", topic, principal=cloudwatch, context={"aws:SourceArn": alarm}) is YES
    assert outcome(given, "sns:Publish", topic, principal=cloudwatch) is NO
    assert outcome(given, "sns:Publish", topic, principal=events, context={"aws:SourceArn": alarm}) is NO


def test_a_token_of_a_provider_opens_the_role_that_trusts_it() -> None:
    provider = Federated(f"arn:aws:iam::{HOME}:oidc-provider/login.example.com")
    condition = {"StringEquals": {"login.example.com:sub": "anna"}}
    trust = let_in({"Federated": provider.provider}, "sts:AssumeRoleWithWebIdentity", Condition=condition)
    ask = Request(provider, "sts:AssumeRoleWithWebIdentity", ROLE.arn, context={"login.example.com:sub": "anna"})
    assert decide(ask, policies(resource=trust)).is_allowed
    assert not decide(replace(ask, context={"login.example.com:sub": "bert"}), policies(resource=trust)).is_allowed


def but(*spared: str) -> dict[str, Any]:
    return allow("s3:*", effect="Deny", NotPrincipal={"AWS": list(spared)})


def test_not_principal_spares_those_who_are_named_in_full() -> None:
    full = (HOME, ROLE.arn, SESSION)
    assert outcome(policies(GET, resource=but(*full)), account=HOME) is YES
    assert outcome(policies(GET, resource=but(AWAY)), account=HOME) is DENIED
    assert outcome(policies(GET, boundary=GET, resource=but(*full)), account=HOME) is DENIED
    with pytest.raises(PolicyError, match="name account, role and session"):
        outcome(policies(GET, resource=but(ROLE.arn)), account=HOME)


def test_not_action_and_not_resource() -> None:
    assert outcome(policies({"Version": "2012-10-17", "Statement": _not("NotAction", "s3:Put*")})) is YES
    assert outcome(policies({"Version": "2012-10-17", "Statement": _not("NotAction", "s3:Get*")})) is NO
    given = policies({"Version": "2012-10-17", "Statement": _not("NotResource", "arn:aws:s3:::growth-data/*")})
    assert outcome(given) is YES
    assert outcome(given, resource="arn:aws:s3:::growth-data/x") is NO


def _not(element: str, value: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", element: value}
    del statement[element.removeprefix("Not")]
    return statement


def test_an_action_without_resource_needs_a_star() -> None:
    instances = allow("ec2:DescribeInstances", resource="arn:aws:ec2:*:*:instance/*")
    assert outcome(policies(instances), "ec2:DescribeInstances", NO_RESOURCE) is NO
    assert outcome(policies(allow("ec2:DescribeInstances")), "ec2:DescribeInstances", NO_RESOURCE) is YES
    assert could_allow(Request(ROLE, "ec2:DescribeInstances", NO_RESOURCE), policies(instances)) is None


def test_what_follows_from_the_request_is_in_its_context() -> None:
    condition = {
        "ArnEquals": {"aws:PrincipalArn": ROLE.arn},
        "StringEquals": {"aws:PrincipalAccount": HOME, "aws:ResourceAccount": AWAY, "aws:PrincipalType": "AssumedRole"},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }
    given = policies(GET, resource=let_in("*", Condition=condition))
    assert outcome(given, account=AWAY) is YES


def test_an_endpoint_lets_pass_what_its_policy_says() -> None:
    own = {"StringEquals": {"aws:ResourceAccount": HOME, "aws:PrincipalAccount": HOME}}
    endpoint = resource_policy(let_in("*", "s3:*", Condition=own), "endpoint")
    given = replace(policies(GET, resource=let_in("*")), endpoint=endpoint)
    foreigner = Role(f"arn:aws:iam::{AWAY}:role/foreign")
    assert outcome(given, account=HOME) is YES
    assert outcome(given, account=AWAY) is NO
    assert outcome(given, account=AWAY, principal=foreigner) is NO
    assert outcome(given, account=HOME, principal=foreigner) is NO
    reason = decide(Request(ROLE, "s3:GetObject", OBJECT, AWAY), given).reason
    assert reason == "endpoint does not let it pass"


def test_a_decision_says_why() -> None:
    request = Request(ROLE, "s3:GetObject", OBJECT)
    assert decide(request, policies(GET)).reason == "identity, statement 0 allows it"
    assert decide(request, policies(GET, boundary=NOT_GET)).reason == "boundary, statement 0 denies it"
    assert decide(request, policies(GET, boundary=PUT)).reason == "boundary does not allow it"
    assert decide(request, policies()).reason == "no statement allows it"


BELOW = "arn:aws:s3:::fraud-data/*"


@pytest.mark.parametrize(
    ("given", "could"),
    [
        (policies(allow("s3:GetObject", resource="arn:aws:s3:::fraud-data/runs/*")), True),
        (policies(allow("s3:GetObject", resource="arn:aws:s3:::fraud-data")), False),
        (policies(allow("s3:GetObject", resource="arn:aws:s3:::${aws:PrincipalTag/team}-data/x")), True),
        (policies(allow("s3:GetObject", resource="arn:aws:s3:::growth-${aws:PrincipalTag/team}/x")), False),
        (policies(allow("s3:GetObject", Condition={"StringEquals": {"aws:PrincipalTag/a": "b"}})), True),
        (policies(allow("s3:GetObject", Condition={"StringNotEquals": {"aws:ResourceTag/a": "b"}})), True),
        (policies(allow("s3:GetObject", Condition={"StringEquals": {"aws:PrincipalAccount": AWAY}})), False),
        (policies(GET, boundary=allow("s3:GetObject", resource="arn:aws:s3:::growth-data/*")), False),
        (policies(GET, boundary=NOT_GET), False),
        (policies(both(GET, allow("s3:*", effect="Deny", resource="arn:aws:s3:::fraud-data/runs/*"))), True),
        (policies(both(GET, allow("s3:*", effect="Deny", resource="arn:aws:s3:::fraud-*"))), False),
        (
            policies(GET, resource=let_in("*", effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})),
            True,
        ),
        (policies(resource=let_in({"AWS": SESSION.replace("anna", "bert")})), True),
        (policies(resource=let_in({"AWS": SESSION.replace("worker", "other")})), False),
    ],
)
def test_what_somebody_could_do(given: Policies, could: bool) -> None:
    anybody = Role(ROLE.arn)
    assert (could_allow(Request(anybody, "s3:GetObject", BELOW, HOME), given) is not None) is could


def test_a_tag_of_the_resource_that_is_known_denies_surely() -> None:
    others = allow("s3:*", effect="Deny", Condition={"StringNotEquals": {"aws:ResourceTag/team": "growth"}})
    given = policies(both(GET, others))
    for tag, could in (("fraud", False), ("growth", True), (ANY, True)):
        request = Request(ROLE, "s3:GetObject", BELOW, HOME, {"aws:ResourceTag/team": tag})
        assert (could_allow(request, given) is not None) is could


def test_whatever_is_allowed_could_be_allowed() -> None:
    """Sound: a request that is allowed is found when its resource is widened and what it says is forgotten."""
    allowed = 0
    for case in cases(700, seed=7):
        try:
            if not decide(case.request, case.policies).is_allowed:
                continue
        except PolicyError:
            continue
        allowed += 1
        principal: Principal = case.request.principal
        asker = replace(principal, session=None) if isinstance(principal, Role) else principal
        for resource in (case.request.resource, _widened(case.request.resource)):
            for kept in range(len(case.request.context) + 1):
                context = dict(list(case.request.context.items())[:kept])
                request = replace(case.request, principal=asker, resource=resource, context=context)
                assert could_allow(request, case.policies) is not None, (request, case.documents)
    assert allowed > 100


def _widened(resource: str) -> str:
    return resource if resource == NO_RESOURCE else resource[: max(resource.rfind(":"), len(resource) - 3) + 1] + "*"
