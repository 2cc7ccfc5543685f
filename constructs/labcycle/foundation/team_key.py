"""The team's key, with the policy that the table in `key_policy` says."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from labcycle.foundation.key_policy import ACCOUNT, ANYBODY, KEY_USES, KeyUse, fill

WAITING_PERIOD = Duration.days(30)


def team_key(scope: Construct, construct_id: str, *, team: str, retain: bool) -> kms.Key:
    """A customer-managed key with yearly rotation; if it is not retained, its deletion waits 30 days."""
    stack = Stack.of(scope)
    places = {"partition": stack.partition, "region": stack.region, "account": stack.account, "team": team}
    return kms.Key(
        scope,
        construct_id,
        alias=f"alias/labcycle-{team}",
        description=f"Encrypts the data of the team {team}",
        enable_key_rotation=True,
        pending_window=WAITING_PERIOD,
        policy=iam.PolicyDocument(statements=[_statement(use, places) for use in KEY_USES]),
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY,
    )


def _statement(use: KeyUse, places: dict[str, str]) -> iam.PolicyStatement:
    if use.principal == ACCOUNT:
        principal: iam.IPrincipal = iam.AccountRootPrincipal()
    elif use.principal == ANYBODY:
        principal = iam.AnyPrincipal()
    else:
        principal = iam.ServicePrincipal(fill(use.principal, **places))
    conditions = {
        operator: {
            key: fill(value, **places) if isinstance(value, str) else [fill(one, **places) for one in value]
            for key, value in keys.items()
        }
        for operator, keys in use.conditions.items()
    }
    return iam.PolicyStatement(
        sid=use.sid, principals=[principal], actions=list(use.actions), resources=["*"], conditions=conditions
    )
