"""Call an HTTP API as a client does: signed by botocore, sent as it was signed."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from labcycle.local.settings import Credentials


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


def signed_headers(
    credentials: Credentials,
    region: str,
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
    keys = BotoCredentials(credentials.access_key, credentials.secret, credentials.token)
    SigV4Auth(keys, "execute-api", region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def send(method: str, url: str, headers: Mapping[str, Any], body: bytes = b"") -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def call(
    credentials: Credentials,
    region: str,
    url: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    return send(method, url, signed_headers(credentials, region, method, url, body, headers), body)
