"""One request, whichever front door it came through: API Gateway payload 2.0 (HTTP API) or 1.0 (REST API).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode


@dataclass(frozen=True)
class Request:
    """`path` is decoded; `query` keeps repeated parameters, in order; header names are lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    user_arn: str  # "" where the caller did not sign
    request_id: str
    issuer: str = ""  # of the token of a caller who came with one, which API Gateway has verified
    subject: str = ""

    @property
    def caller(self) -> str:
        """One text for each caller; "" where nobody said who they are."""
        return f"{self.issuer} {self.subject}" if self.issuer else self.user_arn

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        context = event.get("requestContext") or {}
        issuer = subject = ""
        body = event.get("body") or ""
        raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        if event.get("version") == "2.0":
            http = context["http"]
            asked = event.get("rawQueryString")
            query = parse_qsl(asked, keep_blank_values=True) if asked else []
            authorizer = context.get("authorizer") or {}
            arn = (authorizer.get("iam") or {}).get("userArn") or ""
            claims = (authorizer.get("jwt") or {}).get("claims") or {}
            issuer, subject = str(claims.get("iss") or ""), str(claims.get("sub") or "")
            path = event["rawPath"]
            method = http["method"]
        else:
            method, path = event["httpMethod"], unquote(event["path"])
            pairs = event.get("multiValueQueryStringParameters") or {}
            query = parse_qsl(urlencode([(k, v) for k, vs in pairs.items() for v in vs]), keep_blank_values=True)
            arn = (context.get("identity") or {}).get("userArn") or ""
        request_id = str(context.get("requestId") or "")
        return cls(method, path, query, headers, raw, arn, request_id, issuer, subject)


@dataclass(frozen=True)
class Response:
    """An answer; a `body` that is not text or bytes is sent as compact JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str | bytes:
        """The body as it is sent."""
        if isinstance(self.body, str | bytes):
            return self.body
        return json.dumps(self.body, separators=(",", ":"), allow_nan=False)

    @property
    def all_headers(self) -> dict[str, str]:
        return {"content-type": "application/json", **{k.lower(): v for k, v in self.headers.items()}}

    def to_event(self) -> dict[str, Any]:
        content = self.content
        if isinstance(content, bytes):
            return {
                "statusCode": self.status,
                "headers": self.all_headers,
                "body": base64.b64encode(content).decode(),
                "isBase64Encoded": True,
            }
        return {"statusCode": self.status, "headers": self.all_headers, "body": content, "isBase64Encoded": False}
