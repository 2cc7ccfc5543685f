"""Who calls, and what they may do."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.members import Members, Right
from labcycle_lambdas.mlflow_error import MlflowError

ISSUER, PARTNER = "https://login.example.com/t", "https://partner.example.com"
TOLD = {
    "rights": {"log read register": ["ada"], "promote read": ["bob", "lea"], "read": ["sue"]},
    "subjects": {ISSUER: {"a1": "ada", "b2": "bob"}, PARTNER: {"a1": "sue"}},
}
MEMBERS = Members.read("fraud", json.dumps(TOLD))


def event(authorizer: dict[str, Any] | None, **claims: Any) -> dict[str, Any]:
    found = {"jwt": {"claims": claims, "scopes": None}} if claims else authorizer
    http = {"method": "POST", "path": "/p"}
    return {"version": "2.0", "rawPath": "/p", "requestContext": {"http": http, "authorizer": found, "requestId": "r"}}


def token(issuer: str, subject: str) -> Request:
    return Request.from_event(event(None, iss=issuer, sub=subject, email="not@asked.for"))


def signed(role: str, session: str) -> Request:
    arn = f"arn:aws:sts::111122223333:assumed-role/{role}/{session}"
    return Request.from_event(event({"iam": {"userArn": arn}}))


ADA = signed("labcycle-fraud-ada", "ada")


@pytest.mark.parametrize(
    ("issuer", "subject", "member"),
    [
        (ISSUER, "a1", "ada"),
        (PARTNER, "a1", "sue"),  # the same subject of another issuer is another person
        (PARTNER, "b2", None),
        ("https://login.example.com", "a1", None),
        (ISSUER, "ada", None),
        (ISSUER, "", None),
    ],
)
def test_a_token_stands_for_a_member_by_issuer_and_subject(issuer: str, subject: str, member: str | None) -> None:
    assert MEMBERS.who(token(issuer, subject)) == Who(member, issuer, subject)


def test_one_person_is_one_member_through_every_door() -> None:
    assert {MEMBERS.who(request).member for request in (ADA, token(ISSUER, "a1"))} == {"ada"}
    assert str(MEMBERS.who(token(ISSUER, "nobody"))) == f"{ISSUER}/nobody"


def test_callers_are_told_apart_whichever_door_they_take() -> None:
    requests = [ADA, token(ISSUER, "a1"), token(PARTNER, "a1"), token(ISSUER, "b2")]
    assert len({request.caller for request in requests}) == len(requests)
    assert Request.from_event(event({})).caller == ""


def test_a_rest_api_tells_the_same_signer() -> None:
    arn = "arn:aws:sts::111122223333:assumed-role/labcycle-fraud-ada/ada"
    rest = {"httpMethod": "POST", "path": "/p", "requestContext": {"identity": {"userArn": arn}, "requestId": "r"}}
    assert MEMBERS.who(Request.from_event(rest)) == MEMBERS.who(ADA)


ALL = get_args(Right)


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        (ADA, {"log", "read", "register"}),
        (token(ISSUER, "a1"), {"log", "read", "register"}),
        (signed("labcycle-fraud-ada-workspace", "i-0abc"), {"log", "read", "register"}),
        (token(ISSUER, "b2"), {"promote", "read"}),
        (token(PARTNER, "a1"), {"read"}),
        (token(ISSUER, "stranger"), {"read", "log"}),
        (signed("Batch", "job"), {"read", "log"}),
        (signed("labcycle-fraud-ada", "somebody"), {"read", "log"}),
        (signed("labcycle-fraud-gone", "gone"), {"read", "log"}),  # no longer in the team file
    ],
)
def test_who_may_what(request_: Request, allowed: set[str]) -> None:
    found = set()
    for right in ALL:
        try:
            MEMBERS.require(right, request_)
            found.add(right)
        except MlflowError as error:
            assert (error.code, error.status) == ("PERMISSION_DENIED", 403)
    assert found == allowed


def test_a_refusal_says_what_is_missing_and_who_has_it() -> None:
    with pytest.raises(
        MlflowError, match=r"^ada has not the right to promote, which this takes\. Who has it: bob, lea\.$"
    ):
        MEMBERS.require("promote", ADA)
    with pytest.raises(MlflowError, match=r"Nobody in the team has it: give a member a role that does"):
        MEMBERS.require("administer", ADA)
    with pytest.raises(MlflowError, match=rf"Only a member .* The caller {ISSUER}/x is none.*Who has it: ada\."):
        MEMBERS.require("register", token(ISSUER, "x"))
    many = Members("fraud", {f"m{n:02}": frozenset({"promote"}) for n in range(12)})
    with pytest.raises(MlflowError, match=r"m09 and 2 more\.$"):
        many.require("promote", token(ISSUER, "x"))


def test_without_a_table_a_members_role_may_what_iam_lets_it() -> None:
    members = Members.read("fraud", "")
    for right in ALL:
        members.require(right, ADA)
    with pytest.raises(MlflowError, match="Only a member"):
        members.require("register", token(ISSUER, "a1"))
