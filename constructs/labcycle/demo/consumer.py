"""A consumer of the team's APIs: one signed request, or one that is deliberately not."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from botocore.credentials import Credentials

from labcycle.client.signing import canonical_url, sign


@dataclass(frozen=True)
class Answer:
    """Header names are lower case."""

    status: int
    text: str
    headers: Mapping[str, str]


def call(
    method: str, url: str, environment: Mapping[str, str] | None, body: bytes = b"", *, tamper: bool = False
) -> Answer:
    """Send one request, signed with the AWS variables of `environment` (None: unsigned; `tamper`: one hex digit wrong)."""
    url = canonical_url(url)
    headers = {"content-type": "application/json"}
    if environment is not None:
        credentials = Credentials(
            environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], environment.get("AWS_SESSION_TOKEN")
        )
        headers = sign(method, url, headers, body, credentials=credentials, region=environment["AWS_REGION"])
    if tamper:
        name = next(name for name in headers if name.lower() == "authorization")
        last = headers[name][-1]
        headers[name] = headers[name][:-1] + ("0" if last != "0" else "1")
    request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.headers.items()})
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(), {k.lower(): v for k, v in error.headers.items()})
