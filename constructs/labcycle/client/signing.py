"""Sign a request to a team's API with Signature Version 4.

botocore signs; what this module adds is the form of the URL. API Gateway computes the signature from the decoded and
newly encoded path and query, so the URL that is signed and sent must be in exactly that form: blanks as %20 (never `+`),
every byte but the unreserved ones as %XX.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from labcycle.errors import LabcycleError

if TYPE_CHECKING:
    from botocore.credentials import Credentials

SERVICE = "execute-api"
_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.(vpce\.)?amazonaws\.com(\.cn)?$")
_UNRESERVED = "-_.~"


class CannotSign(LabcycleError):
    """There are no AWS credentials, or no region; the message says how to give them."""


def canonical_url(url: str) -> str:
    """`url` as AWS canonicalises it; an encoded slash in a path segment stays encoded."""
    parts = urlsplit(url)
    path = "/".join(_canonical(segment) for segment in (parts.path or "/").split("/"))
    pairs = (pair.replace("+", "%20").partition("=") for pair in parts.query.split("&") if pair)
    query = "&".join(f"{_canonical(key)}={_canonical(value)}" for key, _, value in pairs)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _canonical(text: str) -> str:
    """Byte by byte: what is encoded may be no UTF-8."""
    return quote(unquote_to_bytes(text), safe=_UNRESERVED)


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | BinaryIO | None = None,
    *,
    credentials: Credentials | None = None,
    region: str | None = None,
) -> dict[str, str]:
    """Headers to send with the request: those given, and the signature's.

    Send them with `canonical_url(url)`, which is what was signed.

    Parameters
    ----------
    body
        Bytes, or a seekable file, which is read once for its digest and left where it stood.
    credentials, region
        Absent: from the usual AWS chain; the region from the host `<api>.execute-api.<region>.amazonaws.com` first.

    Raises
    ------
    CannotSign
        If there are no credentials, or the region is not known.
    """
    url = canonical_url(url)
    credentials = credentials or _credentials()
    # Only what cannot change on its way is signed beside the host and the date: the type of the content.
    signed = {name: value for name, value in (headers or {}).items() if name.lower() == "content-type"}
    request = AWSRequest(method=method, url=url, headers=signed, data=body or b"")
    # Frozen: key, secret and token of one moment, also where another thread refreshes them meanwhile.
    SigV4Auth(credentials.get_frozen_credentials(), SERVICE, region_of(url, region)).add_auth(request)
    return {**(headers or {}), **dict(request.headers.items())}


def region_of(url: str, region: str | None = None) -> str:
    """The region that the host of an API tells; else `region`, else that of the usual AWS chain. Raises `CannotSign`."""
    host = urlsplit(url).hostname or ""
    found = _HOST.search(host)
    known = found[1] if found else region or os.environ.get("AWS_REGION") or _session().region_name
    if not known:
        raise CannotSign(f"the region of {host} is not known: set AWS_REGION")
    return known


def _credentials() -> Credentials:
    credentials = _session().get_credentials()
    if credentials is None:
        raise CannotSign(
            "there are no AWS credentials to sign with: sign in (`aws sso login`), or set AWS_PROFILE, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return credentials


def _session() -> boto3.Session:
    return _session_of(tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))))


@functools.lru_cache(maxsize=8)
def _session_of(environment: tuple[tuple[str, str], ...]) -> boto3.Session:
    """One session for each state of the AWS variables: temporary credentials are cached, and refreshed when they end, and
    a notebook that changes its profile is another caller from then on."""
    return boto3.Session()
