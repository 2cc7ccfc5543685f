"""Calls a deployed HTTP API: routes, authorisation by IAM and by token, and payload 2.0 as API Gateway does them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

from moto.iam.models import iam_backends

from labcycle.local import tokens
from tests.cloud.harness import policies
from tests.cloud.harness.place import Place

_ADDRESS = re.compile(r"https://([a-z0-9]+)\.execute-api\.([a-z0-9-]+)\.amazonaws\.com/?")
_FUNCTION = re.compile(r"arn:aws:lambda:[^/]+?:function:[^/]+")
_TEXT = re.compile(r"text/.*|application/(json|javascript|xml|.*\+json|x-www-form-urlencoded)(;.*)?")


@dataclass(frozen=True)
class Caller:
    """A session of a deployed role."""

    account: str
    role: str
    session: str

    @property
    def user_arn(self) -> str:
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role}/{self.session}"

    @property
    def role_arn(self) -> str:
        found: str = iam_backends[self.account]["aws"].get_role(self.role).arn
        return found


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body[:500]!r}"


@dataclass(frozen=True)
class HttpApi:
    """The API at `address`, which is a stack's output. `issuers` has the key sets of those whose tokens it takes."""

    address: str
    account: str
    issuers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        caller: Caller | None = None,
        *,
        body: Any = None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; a `body` that is not bytes goes as JSON. `path` is decoded. Without a caller it is unsigned."""
        match = _ADDRESS.fullmatch(self.address)
        assert match, f"{self.address} is not the address of an HTTP API"
        api_id, region = match.groups()
        place = Place(self.account, region)
        gateway = place.client("apigatewayv2")
        routes = gateway.get_routes(ApiId=api_id)["Items"]
        route, parameters = _select(routes, method, path)
        if route is None:
            return _refusal(404, "Not Found")
        stage = gateway.get_stages(ApiId=api_id)["Items"][0]["StageName"]
        arn = f"arn:aws:execute-api:{region}:{self.account}:{api_id}/{stage}/{method}/{path.lstrip('/')}"
        if route.get("AuthorizationType") == "AWS_IAM":
            if caller is None:
                return _refusal(403, "Forbidden")
            try:
                policies.require_role(caller.role_arn, "execute-api:Invoke", arn)
            except policies.NotPermitted:
                return _refusal(403, "Forbidden")
        claims: Mapping[str, Any] | None = None
        if route.get("AuthorizationType") == "JWT":
            authorizer = gateway.get_authorizer(ApiId=api_id, AuthorizerId=route["AuthorizerId"])
            try:
                claims = self._claims(authorizer["JwtConfiguration"], headers or {})
            except tokens.TokenRefused:
                return _refusal(401, "Unauthorized")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"host": self.address.removeprefix("https://"), **{k.lower(): v for k, v in (headers or {}).items()}}
        if body is not None:
            sent.setdefault("content-type", "application/json")
        sent["content-length"] = str(len(content))
        event = _event(route, parameters, place, api_id, stage, method, path, query, sent, content, caller, claims)
        integration = gateway.get_integration(ApiId=api_id, IntegrationId=route["Target"].removeprefix("integrations/"))
        return _integrate(integration, event, place, api_id, stage, route["RouteKey"])

    def _claims(self, told: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
        token = tokens.token_of(
            next((value for name, value in headers.items() if name.lower() == "authorization"), None)
        )
        issuer, keys = told["Issuer"], self.issuers.get(told["Issuer"], {})
        return tokens.verify(token, issuer=issuer, audience=told["Audience"], keys=keys, now=time.time())


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps({"message": message}).encode())


def _select(routes: Sequence[Any], method: str, path: str) -> tuple[Any | None, dict[str, str]]:
    """The most specific route: literal segments before variables, variables before a greedy one, a method before ANY."""
    best: tuple[tuple[Any, ...], Any, dict[str, str]] | None = None
    for route in routes:
        if route["RouteKey"] == "$default":
            candidate: tuple[tuple[Any, ...], Any, dict[str, str]] = ((0,), route, {})
        else:
            verb, pattern = route["RouteKey"].split(" ", 1)
            if verb not in {method, "ANY"}:
                continue
            fitted = _fit(pattern, path)
            if fitted is None:
                continue
            rank, parameters = fitted
            candidate = ((1, *rank, verb != "ANY"), route, parameters)
        if best is None or candidate[0] > best[0]:
            best = candidate
    return (best[1], best[2]) if best else (None, {})


def _fit(pattern: str, path: str) -> tuple[tuple[bool, tuple[int, ...]], dict[str, str]] | None:
    wanted, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    rank: list[int] = []
    parameters: dict[str, str] = {}
    for number, segment in enumerate(wanted):
        if segment.endswith("+}"):
            rest = "/".join(given[number:])
            return ((False, tuple(rank)), {**parameters, segment[1:-2]: rest}) if rest else None
        if number >= len(given):
            return None
        if segment.startswith("{"):
            parameters[segment[1:-1]] = given[number]
            rank.append(1)
        elif segment == given[number]:
            rank.append(2)
        else:
            return None
    return ((True, tuple(rank)), parameters) if len(given) == len(wanted) else None


def _event(
    route: Any, parameters: Mapping[str, str], place: Place, api_id: str, stage: str, method: str, path: str,
    query: Sequence[tuple[str, str]], headers: Mapping[str, str], content: bytes, caller: Caller | None, claims: Mapping[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    text = _TEXT.fullmatch(headers.get("content-type", "")) is not None
    context: dict[str, Any] = {
        "accountId": place.account,
        "apiId": api_id,
        "domainName": headers["host"],
        "domainPrefix": api_id,
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "harness",
        },
        "requestId": uuid.uuid4().hex[:16],
        "routeKey": route["RouteKey"],
        "stage": stage,
        "time": "01/Jan/2026:00:00:00 +0000",
        "timeEpoch": 1767225600000,
    }
    if caller is not None and route.get("AuthorizationType") == "AWS_IAM":
        context["authorizer"] = {
            "iam": {
                "accessKey": "ASIAEXAMPLE",
                "accountId": caller.account,
                "callerId": f"AROAEXAMPLE:{caller.session}",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": caller.user_arn,
                "userId": f"AROAEXAMPLE:{caller.session}",
            }
        }
    if claims is not None:
        context["authorizer"] = {"jwt": {"claims": tokens.as_claims(claims), "scopes": None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route["RouteKey"],
        "rawPath": unquote(quote(path)),
        "rawQueryString": urlencode(list(query), quote_via=quote),
        "headers": dict(headers),
        "requestContext": context,
        "isBase64Encoded": bool(content) and not text,
    }
    if query:
        event["queryStringParameters"] = {k: ",".join(v for name, v in query if name == k) for k, _ in query}
    if parameters:
        event["pathParameters"] = dict(parameters)
    if content:
        event["body"] = content.decode() if text else base64.b64encode(content).decode()
    return event


def _integrate(
    integration: Any, event: dict[str, Any], place: Place, api_id: str, stage: str, route_key: str
) -> Answer:
    assert integration["IntegrationType"] == "AWS_PROXY", integration
    assert integration["PayloadFormatVersion"] == "2.0", integration
    found = _FUNCTION.search(integration["IntegrationUri"])
    assert found, integration["IntegrationUri"]
    function = found.group()
    verb, _, pattern = route_key.partition(" ")
    source = f"arn:aws:execute-api:{place.region}:{place.account}:{api_id}/{stage}/{verb.replace('ANY', '*')}{pattern}"
    policies.require_function_permission(function, "apigateway.amazonaws.com", source)
    answer = place.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    result = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        return _refusal(500, "Internal Server Error")
    if not (isinstance(result, dict) and "statusCode" in result):
        return Answer(200, {"content-type": "application/json"}, json.dumps(result).encode())
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return Answer(
        int(result["statusCode"]), {k.lower(): str(v) for k, v in (result.get("headers") or {}).items()}, content
    )
