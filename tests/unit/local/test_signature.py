"""Signatures made by botocore are accepted; whatever was changed after signing, or was never right, is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from labcycle.local.signature import SentRequest, SignatureRefused, canonical_path, canonical_query, read, verify

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "http://127.0.0.1:4566"
REGION = "eu-west-1"


def signed(
    path: str = "/_aws/execute-api/abc/$default/items",
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    service: str = "execute-api",
    region: str = REGION,
    token: str | None = "session/token==",
) -> SentRequest:
    """What arrives when botocore signs this."""
    request = AWSRequest(method=method, url=HOST + path, data=body, headers=headers or {})
    SigV4Auth(Credentials("ASIAEXAMPLE", SECRET, token), service, region).add_auth(request)
    parts = urlsplit(str(request.url))
    sent = [("Host", parts.netloc), *((name, str(value)) for name, value in request.headers.items())]
    return SentRequest(method, parts.path, parts.query, tuple(sent), body)


def check(request: SentRequest, *, at: datetime | None = None, secret: str = SECRET, region: str = REGION) -> None:
    claim = read(request)
    verify(request, claim, secret=secret, region=region, now=at or claim.moment)


def with_header(request: SentRequest, name: str, value: str | None) -> SentRequest:
    kept = [(k, v) for k, v in request.headers if k.lower() != name.lower()]
    return replace(request, headers=tuple(kept if value is None else [*kept, (name, value)]))


def refusal(request: SentRequest, **how: object) -> SignatureRefused:
    with pytest.raises(SignatureRefused) as caught:
        check(request, **how)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/items",
        "/items/",
        "/a%20b/%C3%BC",
        "/a%2Fb/c%25d",
        "/runs/search?order_by=b&order_by=a&order_by=a",
        "/search?filter=name%20LIKE%20%27by%20h%25%27&x=",
        "/search?b=2&a=1&A=3",
        "/~tilde/-_.",
    ],
)
def test_what_botocore_signs_is_accepted(path: str) -> None:
    check(signed(path))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8), max_size=4))
def test_any_path_and_query_that_is_encoded_once_is_accepted(words: list[str]) -> None:
    from urllib.parse import quote

    path = "/" + "/".join(quote(word, safe="-_.~") for word in words if word not in (".", "..") and word)
    query = "&".join(f"k{len(word)}={quote(word, safe='-_.~')}" for word in words)
    check(signed(f"{path}?{query}" if query else path))


def test_a_body_and_repeated_headers_are_accepted() -> None:
    check(
        signed(method="POST", body=b'{"a": 1}', headers={"Content-Type": "application/json", "X-Amz-Thing": "  a   b "})
    )


def test_without_a_session_token_it_is_accepted() -> None:
    check(signed(token=None))


@pytest.mark.parametrize(
    "tamper",
    [
        lambda r: replace(r, method="PUT"),
        lambda r: replace(r, path=r.path + "x"),
        lambda r: replace(r, query="a=1"),
        lambda r: replace(r, body=b"other"),
        lambda r: with_header(r, "Host", "127.0.0.1:4567"),
        lambda r: with_header(r, "X-Amz-Security-Token", "another"),
        lambda r: with_header(r, "X-Amz-Added", "later"),
    ],
    ids=["method", "path", "query", "body", "host", "token", "unsigned x-amz header"],
)
def test_what_changes_after_signing_is_refused(tamper: object) -> None:
    request = signed("/items?b=1", method="POST", body=b"body")
    check(request)
    assert refusal(tamper(request)).fault == "InvalidSignatureException"  # type: ignore[operator]


def test_the_wrong_secret_is_refused_and_the_right_signature_is_not_told() -> None:
    error = refusal(signed(), secret="another")
    assert error.fault == "InvalidSignatureException"
    assert "Signature=" not in str(error)


@pytest.mark.parametrize(("seconds", "accepted"), [(299, True), (301, False), (-299, True), (-301, False)])
def test_the_window_is_five_minutes_either_way(seconds: int, accepted: bool) -> None:
    request = signed()
    moment = read(request).moment + timedelta(seconds=seconds)
    if accepted:
        check(request, at=moment)
    else:
        assert refusal(request, at=moment).fault == "InvalidSignatureException"


@pytest.mark.parametrize(("service", "region"), [("s3", REGION), ("execute-api", "us-east-1")])
def test_another_scope_is_refused(service: str, region: str) -> None:
    assert refusal(signed(service=service, region=region)).fault == "InvalidSignatureException"


def test_a_date_that_is_not_the_scopes_is_refused() -> None:
    request = signed()
    claim = read(request)
    tomorrow = (claim.moment + timedelta(days=1)).strftime("%Y%m%dT%H%M%SZ")
    moved = with_header(request, "X-Amz-Date", tomorrow)
    assert "Date in Credential scope" in str(refusal(moved, at=claim.moment + timedelta(days=1)))


@pytest.mark.parametrize(
    ("authorization", "fault"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("", "MissingAuthenticationTokenException"),
        ("Bearer abc", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0", "IncompleteSignatureException"),
    ],
)
def test_what_is_no_signature_is_named_as_aws_names_it(authorization: str | None, fault: str) -> None:
    request = with_header(signed(), "Authorization", authorization)
    with pytest.raises(SignatureRefused) as caught:
        read(request)
    assert caught.value.fault == fault


def test_a_signature_without_a_date_is_refused() -> None:
    with pytest.raises(SignatureRefused) as caught:
        read(with_header(signed(), "X-Amz-Date", None))
    assert caught.value.fault == "IncompleteSignatureException"


def test_a_plus_stands_for_a_space_that_was_to_be_signed_as_percent_20() -> None:
    """What the stock MLflow signer gets wrong: it signs the plus that it sends."""
    plus = signed("/search?filter=a+b")
    assert refusal(plus).fault == "InvalidSignatureException"
    right = signed("/search?filter=a%20b")
    check(replace(right, query="filter=a+b"))


def test_the_canonical_path_is_encoded_once_more_and_has_no_dots() -> None:
    assert canonical_path("/a%20b/./c/../d//e/") == "/a%2520b/d/e/"
    assert canonical_path("/$default/x") == "/%24default/x"
    assert canonical_path("") == "/"


def test_the_canonical_query_is_sorted_by_name_then_value() -> None:
    assert canonical_query("b=2&a=2&a=1&c&d=%7E") == "a=1&a=2&b=2&c=&d=~"


def test_the_clock_is_the_callers() -> None:
    request = signed()
    far = datetime(2031, 1, 1, tzinfo=UTC)
    assert "expired" in str(refusal(request, at=far))
