"""Which condition keys there are."""

from __future__ import annotations

import pytest

from labcycle.check.iam.keys import is_known


@pytest.mark.parametrize(
    "key",
    [
        "aws:PrincipalArn",
        "AWS:SourceArn",
        "aws:PrincipalTag/cost centre",
        "aws:ResourceTag/labcycle:team",
        "s3:prefix",
        "s3:ExistingObjectTag/team",
        "kms:ViaService",
        "kms:EncryptionContext:aws:logs:arn",
        "iam:PassedToService",
        "ec2:ResourceTag/labcycle:team",
        "ssm:resourceTag/labcycle:team",
        "saml:aud",
        "sts:RoleSessionName",
        "token.actions.githubusercontent.com:repository",
    ],
)
def test_keys_of_aws(key: str) -> None:
    assert is_known(key)


@pytest.mark.parametrize(
    "key",
    ["aws:PrincipalTeam", "aws:PrincipalTag/", "s3:prefixes", "kms:EncryptionContext:", "nosuch:key", "prefix", ""],
)
def test_keys_that_there_are_not(key: str) -> None:
    assert not is_known(key)


def test_claims_of_a_trusted_provider() -> None:
    assert is_known("login.example.com/pool:sub", "login.example.com/pool")
    assert not is_known("login.example.com/pool:sub", "login.example.org")
