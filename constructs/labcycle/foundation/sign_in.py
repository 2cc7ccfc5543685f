"""How a member takes their role: a trust policy for each kind of principal."""

from __future__ import annotations

from collections.abc import Callable

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from labcycle.config import Member, SignIn

_Conditions = dict[str, dict[str, object]]
SAML_AUDIENCE = "https://signin.aws.amazon.com/saml"
_SUFFIX = "?" * 16  # Identity Center ends the names of its roles with 16 characters of its own


def principal_of(member: Member, sign_in: SignIn, stack: Stack) -> iam.IPrincipal:
    """Who may take the role of `member`: this one person, under the member's name as session name.

    The pinned session name is what lets the ledger trust it. `sts:RoleSessionName` is in the request of AssumeRole,
    AssumeRoleWithSAML (there the provider's attribute RoleSessionName) and AssumeRoleWithWebIdentity:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-sts

    Raises
    ------
    ValueError
        If the member signs in by a provider or permission set that `sign_in` does not name.
    """
    named: _Conditions = {"StringEquals": {"sts:RoleSessionName": member.name}}
    return _BY_KIND[member.principal.kind](member, sign_in, stack, named)


def _iam_user(member: Member, sign_in: SignIn, stack: Stack, conditions: _Conditions) -> iam.IPrincipal:
    """One user; IAM refuses a role for a user that does not exist yet."""
    arn = f"arn:{stack.partition}:iam::{stack.account}:user/{member.principal.value}"
    return iam.PrincipalWithConditions(iam.ArnPrincipal(arn), conditions)


def _identity_center(member: Member, sign_in: SignIn, stack: Stack, conditions: _Conditions) -> iam.IPrincipal:
    """The user of the permission set's role in this account.

    The role's name ends in characters that change when the assignment is made anew, and a role that does not exist
    cannot be a Principal: hence the account, narrowed by name. The path holds the region, except where Identity
    Center lives in us-east-1: https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
    """
    permission_set = _needed(sign_in.identity_center_permission_set, "identity_center_permission_set", member)
    roles = f"arn:{stack.partition}:iam::{stack.account}:role/aws-reserved/sso.amazonaws.com"
    role = f"AWSReservedSSO_{permission_set}_{_SUFFIX}"
    narrowed: _Conditions = {
        **conditions,
        "ArnLike": {"aws:PrincipalArn": [f"{roles}/{role}", f"{roles}/*/{role}"]},
        "StringLike": {"aws:userid": f"*:{member.principal.value}"},
    }
    return iam.PrincipalWithConditions(iam.AccountRootPrincipal(), narrowed)


def _saml_subject(member: Member, sign_in: SignIn, stack: Stack, conditions: _Conditions) -> iam.IPrincipal:
    name = _needed(sign_in.saml_provider, "saml_provider", member)
    equals = {**conditions["StringEquals"], "SAML:aud": SAML_AUDIENCE, "SAML:sub": member.principal.value}
    provider = f"arn:{stack.partition}:iam::{stack.account}:saml-provider/{name}"
    return iam.FederatedPrincipal(provider, {"StringEquals": equals}, "sts:AssumeRoleWithSAML")


def _oidc_subject(member: Member, sign_in: SignIn, stack: Stack, conditions: _Conditions) -> iam.IPrincipal:
    issuer = _needed(sign_in.oidc_provider, "oidc_provider", member)
    token = {f"{issuer}:aud": sign_in.oidc_audience, f"{issuer}:sub": member.principal.value}
    equals = {**conditions["StringEquals"], **token}
    provider = f"arn:{stack.partition}:iam::{stack.account}:oidc-provider/{issuer}"
    return iam.FederatedPrincipal(provider, {"StringEquals": equals}, "sts:AssumeRoleWithWebIdentity")


def _needed(value: str | None, key: str, member: Member) -> str:
    if value is None:
        raise ValueError(
            f"sign_in.{key}: got nothing, but member {member.name} signs in by {member.principal.kind}. Name it in sign_in."
        )
    return value


_BY_KIND: dict[str, Callable[[Member, SignIn, Stack, _Conditions], iam.IPrincipal]] = {
    "iam_user": _iam_user,
    "identity_center": _identity_center,
    "saml_subject": _saml_subject,
    "oidc_subject": _oidc_subject,
}
