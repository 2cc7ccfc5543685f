from __future__ import annotations

import pytest

from labcycle_lambdas.ledger.who import Who


def arn(role: str, session: str) -> str:
    return f"arn:aws:sts::111122223333:assumed-role/{role}/{session}"


@pytest.mark.parametrize(
    ("user_arn", "member"),
    [
        (arn("labcycle-fraud-scientist-1", "scientist-1"), "scientist-1"),
        (arn("labcycle-fraud-scientist-1-workspace", "i-0abc"), "scientist-1"),
        (arn("labcycle-fraud-scientist-1-job", "0a1b2c"), "scientist-1"),
        (arn("labcycle-growth-scientist-1-job", "0a1b2c"), None),
        (arn("labcycle-fraud--job", "0a1b2c"), None),
        (arn("labcycle-fraud-scientist-1", "somebody"), None),  # the trust policy pins the session: not one of ours
        (arn("labcycle-growth-scientist-1", "scientist-1"), None),
        (arn("Admin", "scientist-1"), None),
        (arn("labcycle-fraud-", ""), None),
        (arn("labcycle-fraud--workspace", "i-0abc"), None),
        ("arn:aws:iam::111122223333:user/scientist-1", None),
        ("arn:aws:iam::111122223333:root", None),
        ("", None),
    ],
)
def test_a_member_is_known_by_role_and_session(user_arn: str, member: str | None) -> None:
    assert Who.from_user_arn(user_arn, "fraud").member == member


def test_who_is_no_member_is_still_named() -> None:
    assert str(Who.from_user_arn(arn("Admin", "ada"), "fraud")) == "Admin/ada"
    assert str(Who.from_user_arn("arn:aws:iam::111122223333:user/ada", "fraud")) == "arn:aws:iam::111122223333:user/ada"
    assert str(Who.from_user_arn(arn("labcycle-fraud-ada-workspace", "i-1"), "fraud")) == "ada"
