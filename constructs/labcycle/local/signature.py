"""Verify Signature Version 4 of a request to `execute-api`, the way API Gateway does: from the request as it was sent.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (canonical request,
string to sign, signing key) and https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
(time window, credential scope). Only the form with an `Authorization` header is accepted; a presigned query is not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote, unquote_plus

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
WINDOW = timedelta(minutes=5)
_PARTS = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")

Fault = Literal[
    "MissingAuthenticationTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "AccessDeniedException",
]


class SignatureRefused(Exception):
    """The request is not signed, or not as AWS accepts it. `fault` is the value of AWS's `x-amzn-errortype`."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True)
class SentRequest:
    """A request exactly as it arrived: nothing decoded, nothing merged.

    `path` and `query` are the two sides of the first `?` of the request target. `headers` keeps order and repetition.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Values of a header, joined by commas as the canonical request has them; None where it was not sent."""
        values = [_trim(value) for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


@dataclass(frozen=True)
class Signature:
    """What an `Authorization` header and its companions claim."""

    access_key: str
    date: str  # YYYYMMDD, from the credential scope
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    moment: datetime
    stamp: str  # the moment as it was written, YYYYMMDD'T'HHMMSS'Z'
    token: str | None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read(request: SentRequest) -> Signature:
    """What the request claims; nothing is verified yet.

    Raises
    ------
    SignatureRefused
        If there is no signature, or its form is not complete.
    """
    authorization = request.header("authorization")
    if not authorization:
        raise SignatureRefused("MissingAuthenticationTokenException", "the request carries no Authorization header")
    if not authorization.startswith(ALGORITHM + " "):
        raise SignatureRefused("IncompleteSignatureException", f"the Authorization header is not {ALGORITHM}")
    parts = dict(_PARTS.findall(authorization))
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if name not in parts]
    if missing:
        raise SignatureRefused("IncompleteSignatureException", f"the Authorization header lacks {', '.join(missing)}")
    credential = parts["Credential"].split("/")
    if len(credential) != 5 or credential[4] != "aws4_request":
        raise SignatureRefused("IncompleteSignatureException", "Credential is not KEY/DATE/REGION/SERVICE/aws4_request")
    stamp = request.header("x-amz-date") or request.header("date")
    if not stamp:
        raise SignatureRefused("IncompleteSignatureException", "neither X-Amz-Date nor Date was sent")
    try:
        moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureRefused(
            "IncompleteSignatureException", f"X-Amz-Date is not YYYYMMDD'T'HHMMSS'Z': {stamp}"
        ) from None
    names = tuple(parts["SignedHeaders"].split(";"))
    key, date, region, service, _ = credential
    token = request.header("x-amz-security-token")
    return Signature(key, date, region, service, names, parts["Signature"], moment, stamp, token)


def verify(request: SentRequest, claim: Signature, *, secret: str, region: str, now: datetime) -> None:
    """Check a claim against the secret of its access key.

    Parameters
    ----------
    secret
        Secret access key that belongs to `claim.access_key`.
    region
        Region of the API; the credential scope must name it.
    now
        The server's clock, aware. The request may be five minutes off, either way.

    Raises
    ------
    SignatureRefused
        With `InvalidSignatureException`; the text says what does not fit, never the expected signature.
    """
    if claim.service != SERVICE:
        raise _invalid(f"Credential should be scoped to correct service: '{SERVICE}'")
    if claim.region != region:
        raise _invalid(f"Credential should be scoped to a valid region: '{region}'")
    if claim.date != claim.stamp[:8]:
        raise _invalid(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: {claim.stamp}")
    if claim.moment < now - WINDOW:
        raise _invalid(f"Signature expired: {claim.stamp} is now earlier than {now - WINDOW:%Y%m%dT%H%M%SZ}")
    if claim.moment > now + WINDOW:
        raise _invalid(f"Signature not yet current: {claim.stamp} is still later than {now + WINDOW:%Y%m%dT%H%M%SZ}")
    if list(claim.signed_headers) != sorted(set(claim.signed_headers)):
        raise _invalid("SignedHeaders is not a sorted list of distinct names")
    sent = {name.lower() for name, _ in request.headers}
    unsigned = sorted(n for n in sent if (n == "host" or n.startswith("x-amz-")) and n not in claim.signed_headers)
    if unsigned:
        raise _invalid(f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization")
    absent = [name for name in claim.signed_headers if name not in sent]
    if absent or "host" not in claim.signed_headers:
        raise _invalid(f"SignedHeaders names {absent[0]!r}, which was not sent" if absent else "'host' is not signed")
    text = "\n".join(
        [ALGORITHM, claim.stamp, claim.scope, _sha256(canonical_request(request, claim.signed_headers).encode())]
    )
    expected = hmac.new(signing_key(secret, claim), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, claim.signature):
        raise _invalid("The request signature we calculated does not match the signature you provided")


def canonical_request(request: SentRequest, signed_headers: Sequence[str]) -> str:
    """The six parts that are hashed. The payload's hash is computed, never taken from a header: only S3 takes it."""
    headers = "".join(f"{name}:{request.header(name) or ''}\n" for name in signed_headers)
    path, query = canonical_path(request.path), canonical_query(request.query)
    return "\n".join([request.method, path, query, headers, ";".join(signed_headers), _sha256(request.body)])


def canonical_path(path: str) -> str:
    """Path with dot segments and empty segments removed, every segment encoded once more than it was sent."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == ".." and segments:
            segments.pop()
        elif segment not in ("", ".", ".."):
            segments.append(segment)
    trailing = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return quote("/" + "/".join(segments) + trailing, safe="/-_.~")


def canonical_query(query: str) -> str:
    """Parameters decoded, encoded strictly (a space is %20), and sorted by name, then by value; repetition stays."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = [(_strict(unquote_plus(name)), _strict(unquote_plus(value))) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def signing_key(secret: str, claim: Signature) -> bytes:
    """Key derived from the secret for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _strict(text: str) -> str:
    return quote(text, safe="-_.~")


def _trim(value: str) -> str:
    return " ".join(value.split())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _invalid(reason: str) -> SignatureRefused:
    return SignatureRefused("InvalidSignatureException", reason)
