"""Tokens are let in as API Gateway lets them in."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from labcycle.local.tokens import DISCOVERY, LocalIssuer, TokenRefused, as_claims, token_of, verify

NOW = 4_000_000_000.0
OTHERS = {"iat": NOW - 10, "exp": NOW + 10}


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    with LocalIssuer("https://login.example.com/t") as made:
        yield made


def check(issuer: LocalIssuer, token: str, keys: dict[str, Any] | None = None) -> dict[str, Any]:
    return verify(token, issuer=issuer.url, audience=["lab", "other"], keys=keys or issuer.keys, now=NOW)


@pytest.mark.parametrize(
    "more", [{}, {"aud": ["nobody", "other"]}, {"aud": "other"}, {"nbf": NOW}], ids=lambda more: ",".join(more)
)
def test_a_good_token_gives_its_claims(issuer: LocalIssuer, more: dict[str, Any]) -> None:
    claims = check(issuer, issuer.token("ada", "lab", **{**OTHERS, **more}))
    assert (claims["sub"], claims["iss"]) == ("ada", "https://login.example.com/t")


def test_client_id_counts_where_there_is_no_audience(issuer: LocalIssuer) -> None:
    assert check(issuer, issuer.token("ada", "lab", **OTHERS, aud=None, client_id="lab"))["sub"] == "ada"
    with pytest.raises(TokenRefused, match="meant for nobody"):
        check(issuer, issuer.token("ada", "nobody", **OTHERS, client_id="lab"))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://login.example.com"}, "of the issuer https://login.example.com"),
        ({"aud": "nobody"}, "meant for nobody"),
        ({"aud": None}, "meant for None"),
        ({"exp": NOW}, "ended"),
        ({"exp": "never"}, "ended"),
        ({"exp": None}, "ended"),
        ({"exp": float("nan")}, "ended"),
        ({"aud": {"lab": 1}}, "meant for"),
        ({"aud": [["lab"]]}, "meant for"),
        ({"nbf": "x"}, "not begun"),
        ({"iat": float("nan")}, "not begun"),
        ({"nbf": NOW + 1}, "not begun"),
        ({"iat": NOW + 1}, "not begun"),
    ],
)
def test_a_token_that_says_the_wrong_thing_is_refused(issuer: LocalIssuer, claims: dict[str, Any], why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        check(issuer, issuer.token("ada", "lab", **{**OTHERS, **claims}))


def test_a_forged_token_is_refused(issuer: LocalIssuer) -> None:
    token = issuer.token("ada", "lab", **OTHERS)
    head, _, signature = token.split(".")
    payload = issuer.token("eve", "lab", **OTHERS).split(".")[1]
    with pytest.raises(TokenRefused, match="does not match"):
        check(issuer, f"{head}.{payload}.{signature}")
    with pytest.raises(TokenRefused, match="does not match"):
        check(issuer, LocalIssuer(issuer.url).token("ada", "lab", **OTHERS))
    unsigned = "eyJhbGciOiJub25lIiwia2lkIjoidHJpYWwifQ"  # {"alg":"none","kid":"trial"}
    with pytest.raises(TokenRefused, match="no RSA key trial for none"):
        check(issuer, f"{unsigned}.{payload}.")
    with pytest.raises(TokenRefused, match="no RSA key"):
        check(issuer, token, {"keys": []})


@pytest.mark.parametrize("change", [{"n": None}, {"n": 7}, {"e": "AA"}])
def test_a_key_that_is_none_lets_nobody_in(issuer: LocalIssuer, change: dict[str, Any]) -> None:
    key = {name: value for name, value in {**issuer.keys["keys"][0], **change}.items() if value is not None}
    with pytest.raises(TokenRefused, match="key trial is none"):
        check(issuer, issuer.token("ada", "lab", **OTHERS), {"keys": [key]})


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "a.b", "..", "W10.W10.W10", "é.é.é"])
def test_garbage_is_refused(issuer: LocalIssuer, token: str) -> None:
    with pytest.raises(TokenRefused, match="no JWT"):
        check(issuer, token)


def test_where_the_token_stands() -> None:
    assert token_of("Bearer a.b.c") == token_of("bearer a.b.c") == token_of("a.b.c") == "a.b.c"
    for header in (None, "", " ", "Basic abc"):
        with pytest.raises(TokenRefused, match="there is no token"):
            token_of(header)


def test_a_function_gets_claims_as_text() -> None:
    claims = {"sub": "ada", "exp": 7, "groups": ["a", "b"], "email_verified": True}
    assert as_claims(claims) == {"sub": "ada", "exp": "7", "groups": "[a b]", "email_verified": "true"}


def test_its_keys_are_found_by_discovery(issuer: LocalIssuer) -> None:
    with urllib.request.urlopen(issuer.address + "/t" + DISCOVERY) as answer:
        found = json.loads(answer.read())
    assert found["issuer"] == issuer.url
    with urllib.request.urlopen(found["jwks_uri"]) as answer:
        assert json.loads(answer.read()) == issuer.keys
