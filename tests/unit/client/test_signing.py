"""Signatures, held against an independent reading of AWS's specification (not against botocore, which makes them)."""

from __future__ import annotations

import hashlib
import hmac
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

import pytest
import requests
from botocore.credentials import Credentials, RefreshableCredentials
from hypothesis import given
from hypothesis import strategies as st

from labcycle.client import signing
from labcycle.client.mlflow_auth import LabcycleAuthProvider, SignedRequest, _forget_signature
from labcycle.client.signing import CannotSign, canonical_url, region_of, sign

CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "the-session-token")
HOST = "https://abc123.execute-api.eu-west-1.amazonaws.com"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)


def encoded(text: bytes) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, `UriEncode`."""
    kept = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text)


def asked(url: str) -> list[tuple[bytes, bytes]]:
    """The parameters that a server reads, bytes as they are."""
    pairs = (part.partition("=") for part in urlsplit(url).query.split("&") if part)
    return [(unquote_to_bytes(k.replace("+", " ")), unquote_to_bytes(v.replace("+", " "))) for k, _, v in pairs]


def meaning(url: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Path and parameters that a server reads."""
    return unquote_to_bytes(urlsplit(url).path), asked(url)


def expected_signature(
    method: str, url: str, headers: dict[str, str], body: bytes, secret: str = CREDENTIALS.secret_key
) -> str:
    """As the service computes it, from the request that arrives."""
    arrived = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    parts = urlsplit(url)
    arrived["host"] = parts.netloc
    scope, names, _ = re.fullmatch(  # type: ignore[union-attr]
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\S+), SignedHeaders=(\S+), Signature=(\w+)", arrived["authorization"]
    ).groups()
    # The service decodes what arrives, then encodes it: the path twice, each query parameter once, sorted as encoded.
    once = "/".join(encoded(unquote_to_bytes(segment)) for segment in parts.path.split("/"))
    path = "/".join(encoded(segment.encode()) for segment in once.split("/"))
    query = "&".join(f"{k}={v}" for k, v in sorted((encoded(k), encoded(v)) for k, v in asked(url)))
    lines = [f"{name}:{arrived[name]}\n" for name in names.split(";")]
    canonical = "\n".join([method, path, query, "".join(lines), names, hashlib.sha256(body).hexdigest()])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", arrived["x-amz-date"], scope, digest])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def signature(headers: dict[str, str]) -> str:
    return headers["Authorization"].rpartition("=")[2]


@pytest.mark.parametrize(
    "path_and_query",
    [
        "/",
        "/api/2.0/mlflow/runs/search",
        "/api/2.0/mlflow/registered-models/search?filter=name+LIKE+%27a+b%25%27&order_by=name+ASC&order_by=last_updated+DESC",
        "/api/2.0/mlflow-artifacts/artifacts/a%20b/%C3%BC/c%2Fd.txt",
        "/x?empty=&empty2&b=2&a=1&b=1",
        "/x?k=%2B%20plus%26amp&tilde=~&star=*",
    ],
)
def test_the_signature_is_what_the_service_computes(path_and_query: str) -> None:
    url = canonical_url(HOST + path_and_query)
    headers = sign("GET", HOST + path_and_query, credentials=CREDENTIALS)
    assert signature(headers) == expected_signature("GET", url, headers, b"")


@given(
    segments=st.lists(TEXT, max_size=4), query=st.lists(st.tuples(TEXT, TEXT), max_size=5), body=st.binary(max_size=50)
)
def test_any_path_query_and_body(segments: list[str], query: list[tuple[str, str]], body: bytes) -> None:
    segments = [s for s in segments if s not in ("", ".", "..")]
    raw = "/" + "/".join(quote(s, safe="") for s in segments)
    raw += "?" + "&".join(f"{quote(k)}={quote(v)}" for k, v in query if k)
    headers = sign("POST", HOST + raw, {"Content-Type": "application/json"}, body, credentials=CREDENTIALS)
    assert signature(headers) == expected_signature("POST", canonical_url(HOST + raw), headers, body)


@given(query=st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_the_canonical_form_says_the_same_and_is_stable(query: list[tuple[str, str]]) -> None:
    url = HOST + "/p?" + "&".join(f"{quote(k)}={quote(v)}" for k, v in query if k)
    once = canonical_url(url)
    assert canonical_url(once) == once
    assert "+" not in once
    kept = parse_qsl(urlsplit(once).query, keep_blank_values=True)
    assert kept == [(k, v) for k, v in query if k]


ODD = "aé€/%+ ~*'();:@&=$,?#[]"
BYTES = st.binary(min_size=1, max_size=6).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw))
WORDS = st.text(ODD, min_size=1, max_size=8).map(lambda text: quote(text, safe="~*'();:@$,")) | BYTES


@given(
    segments=st.lists(WORDS, max_size=4),
    params=st.lists(
        st.tuples(st.sampled_from(["filter", "order_by", "a b", "ü"]), st.text(ODD, max_size=8)), max_size=6
    ),
    token=st.none() | st.text("aZ0+/=", min_size=1, max_size=40),
)
def test_what_the_stock_client_prepares_is_what_the_service_reads(
    segments: list[str], params: list[tuple[str, str]], token: str | None
) -> None:
    """`requests` writes blanks as +, leaves what it takes for reserved, and repeats parameters in their order."""
    request = requests.Request("GET", f"{HOST}/api/{'/'.join(segments)}", params=params).prepare()
    meant = meaning(str(request.url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "_credentials", lambda: Credentials("AKID", "another secret", token))
        SignedRequest()(request)
    assert meaning(str(request.url)) == meant
    assert request.headers.get("X-Amz-Security-Token") == token
    arrived = {name: str(value) for name, value in request.headers.items()}
    assert signature(arrived) == expected_signature("GET", str(request.url), arrived, b"", "another secret")


@given(ends=st.lists(st.sampled_from([60, 300, 800, 5_000]), min_size=1, max_size=4))
def test_credentials_that_end_are_replaced_and_never_mixed(ends: list[int]) -> None:
    """As the usual chain refreshes those of a role: key, secret and token of one moment are used together."""
    given_out: list[str] = []

    def refresh() -> dict[str, str]:
        number = len(given_out)
        given_out.append(f"{number}")
        end = datetime.now(UTC) + timedelta(seconds=ends[min(number, len(ends) - 1)])
        names = {"access_key": f"AKID{number}", "secret_key": f"secret {number}", "token": f"token {number}"}
        return {**names, "expiry_time": end.isoformat()}

    credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    for _ in range(3):
        headers = sign("GET", HOST + "/a b", credentials=credentials)
        number = headers["X-Amz-Security-Token"].removeprefix("token ")
        assert f"Credential=AKID{number}/" in headers["Authorization"]
        assert signature(headers) == expected_signature("GET", HOST + "/a%20b", headers, b"", f"secret {number}")


def test_a_file_is_hashed_and_left_where_it_stood() -> None:
    body = io.BytesIO(b"0123456789")
    headers = sign("PUT", HOST + "/f", {}, body, credentials=CREDENTIALS)
    assert body.tell() == 0
    assert signature(headers) == expected_signature("PUT", HOST + "/f", headers, b"0123456789")


def test_the_region_comes_from_the_host_before_anything_else() -> None:
    headers = sign("GET", HOST + "/", credentials=CREDENTIALS, region="us-east-1")
    assert "/eu-west-1/execute-api/" in headers["Authorization"]
    local = sign("GET", "http://127.0.0.1:4566/x", credentials=CREDENTIALS, region="us-east-1")
    assert "/us-east-1/execute-api/" in local["Authorization"]


@pytest.mark.parametrize("host", ["abc", "abc-vpce-0a1b", "my-api.vpce-0a1b-x"])
@pytest.mark.parametrize("end", ["amazonaws.com", "vpce.amazonaws.com", "amazonaws.com.cn"])
def test_every_form_of_host_tells_its_region(host: str, end: str) -> None:
    assert region_of(f"https://{host}.execute-api.cn-north-1.{end}/x", "us-east-1") == "cn-north-1"


def test_without_credentials_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        region_name = None

        def get_credentials(self) -> None:
            return None

    monkeypatch.setattr(signing, "_session", Nobody)
    with pytest.raises(CannotSign, match="aws sso login"):
        sign("GET", HOST + "/")
    with pytest.raises(CannotSign, match="AWS_REGION"):
        sign("GET", "http://127.0.0.1/", credentials=CREDENTIALS)


class Prepared:
    """As much of a prepared request of `requests` as an auth object sees."""

    def __init__(self, body: Any) -> None:
        self.method, self.url, self.body = "PATCH", HOST + "/m?filter=a+b", body
        self.headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        self.hooks: list[Any] = []

    def register_hook(self, event: str, hook: Any) -> None:
        self.hooks.append((event, hook))


@pytest.mark.parametrize("body", ['{"a":"ü"}', b"bytes", None, "stream"])
def test_the_stock_client_is_signed_whatever_its_body(body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_credentials", lambda: CREDENTIALS)
    request = Prepared(iter([b"a", b"b"]) if body == "stream" else body)
    assert LabcycleAuthProvider().get_name() == "labcycle"
    LabcycleAuthProvider().get_auth()(request)
    sent = {"stream": b"ab", None: b""}.get(body, body)
    sent = sent.encode() if isinstance(sent, str) else sent
    assert request.url.endswith("filter=a%20b")
    assert signature(request.headers) == expected_signature("PATCH", request.url, request.headers, sent)
    assert request.headers["X-Amz-Security-Token"] == "the-session-token"
    if body == "stream":
        assert request.headers["Content-Length"] == "2" and "Transfer-Encoding" not in request.headers


def test_a_redirect_does_not_carry_the_signature_to_another_host() -> None:
    class Response:
        is_redirect = True
        request = Prepared(None)

    Response.request.headers |= {"X-Amz-Date": "d", "X-Amz-Security-Token": "t", "Authorization": "a"}
    _forget_signature(Response())
    assert set(Response.request.headers) == {"Content-Type", "Transfer-Encoding"}


def test_another_profile_is_another_caller_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for access_key in ("AKIAONE", "AKIATWO"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        assert f"Credential={access_key}/" in sign("GET", HOST + "/")["Authorization"]


def test_credentials_that_are_refreshed_meanwhile_are_not_mixed() -> None:
    """Key, secret and token are taken at one moment."""

    class Refreshing(Credentials):
        def get_frozen_credentials(self) -> Any:
            return CREDENTIALS.get_frozen_credentials()

    mixed = Refreshing("AKIDNEW", "new secret", "new token")
    headers = sign("GET", HOST + "/", credentials=mixed)
    assert headers["X-Amz-Security-Token"] == "the-session-token"
    assert signature(headers) == expected_signature("GET", HOST + "/", headers, b"")


def test_mlflow_finds_it_by_its_name() -> None:
    from mlflow.tracking.request_auth.registry import fetch_auth

    assert type(fetch_auth("labcycle")).__name__ == "SignedRequest"
