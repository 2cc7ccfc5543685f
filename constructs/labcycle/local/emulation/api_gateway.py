"""The front door of HTTP APIs: what Amazon API Gateway does between the client and the function, or the load balancer.

Order of the checks: size of request line and headers, route, signature and policy or token, throttle, size of the body, function.
Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html (sizes, time-out),
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (payload 2.0),
https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden (x-amzn-errortype).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote

from ministack.core.concurrency import run_reentrant
from ministack.core.responses import request_scope
from ministack.services import apigateway, cloudwatch, lambda_svc

from labcycle.local import tokens
from labcycle.local.emulation import issuers, log_groups, policies, private_integration
from labcycle.local.settings import Settings
from labcycle.local.signature import SentRequest, SignatureRefused
from labcycle.local.throttle import Limit, Throttle

PREFIX = "/_aws/execute-api/"
HEADER_LIMIT_BYTES = 10_240
BODY_LIMIT_BYTES = 10_485_760
EVENT_LIMIT_BYTES = 6_291_456  # Lambda's limit for request and for answer
TIME_OUT_SECONDS = 30.0
_TEXT = re.compile(r"^(text/.*|application/(json|xml|javascript))$")
_ADDRESS = re.compile(re.escape(PREFIX) + r"([A-Za-z0-9]+)/([^/]+)(/.*)?$")
_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_.]+)")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """Status, headers and body, as they go back to the client."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


@dataclass
class Exchange:
    """What is known of one request while it passes the door; the access log reads it."""

    request: SentRequest
    api_id: str
    stage: str
    raw_path: str
    source_ip: str
    request_id: str = field(default_factory=lambda: base64.b64encode(os.urandom(11)).decode())
    started: float = field(default_factory=time.time)
    route_key: str = ""
    caller: policies.Caller | None = None
    claims: dict[str, Any] | None = None
    function_status: int | None = None
    integration_began: float | None = None  # none: it was not asked
    error: str = "-"


class Refused(Exception):
    """API Gateway answers by itself; the function is not called."""

    def __init__(self, status: int, message: str, *, errortype: str | None = None, reason: str = "") -> None:
        super().__init__(reason or message)
        headers = [("content-type", "application/json")]
        if errortype:
            headers.append(("x-amzn-errortype", errortype))
        self.answer = Answer(status, json.dumps({"message": message}, separators=(",", ":")).encode(), tuple(headers))


class FrontDoor:
    """ASGI application for the paths below `PREFIX`."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._throttle = Throttle(clock)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        with request_scope(self._settings.account, self._settings.region):
            exchange: Exchange | None = None
            try:
                head = _head(scope)
                exchange = _exchange(head, scope)
                answer = await self._answer(exchange, receive)
            except Refused as refusal:
                answer = refusal.answer
                if exchange is not None:
                    exchange.error = str(refusal)
            if exchange is not None:
                _record(exchange, answer)
            identity = exchange.request_id if exchange is not None else base64.b64encode(os.urandom(11)).decode()
            headers = [*answer.headers, ("content-length", str(len(answer.body))), ("apigw-requestid", identity)]
            encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
            await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, exchange: Exchange, receive: Receive) -> Answer:
        route, integration, stage, parameters = _find(exchange)
        body = await _body(exchange.request, receive)
        exchange.request = SentRequest(
            exchange.request.method, exchange.request.path, exchange.request.query, exchange.request.headers, body
        )
        await self._authorize(exchange, route)
        self._admit(exchange, stage)
        exchange.integration_began = time.time()
        if _is_private(integration):
            return await _forward(exchange, integration)
        event = _event(exchange, self._settings, parameters, stage)
        return await _invoke(exchange, integration, event, self._settings)

    async def _authorize(self, exchange: Exchange, route: Mapping[str, Any]) -> None:
        kind = (route.get("authorizationType") or "NONE").upper()
        if kind == "NONE":
            return
        if kind == "JWT":
            authorizer = apigateway._authorizers.get(exchange.api_id, {}).get(route.get("authorizerId"), {})
            exchange.claims = await asyncio.to_thread(_claims, exchange.request, authorizer)
            return
        if kind != "AWS_IAM":
            raise Refused(500, "Internal Server Error", reason=f"authorization {kind} is not part of the local cloud")
        region, account = self._settings.region, self._settings.account
        try:
            exchange.caller = policies.verified_caller(exchange.request, account=account, region=region)
        except SignatureRefused as refusal:
            raise Refused(403, "Forbidden", errortype=refusal.fault, reason=str(refusal)) from None
        target = f"{exchange.api_id}/{exchange.stage}/{exchange.request.method}/{exchange.raw_path.lstrip('/')}"
        arn = f"arn:aws:execute-api:{region}:{account}:{target}"
        if not exchange.caller.may("execute-api:Invoke", arn, region=region, source_ip=exchange.source_ip):
            reason = f"{exchange.caller.arn} is not authorized to perform execute-api:Invoke on {arn}"
            raise Refused(403, "Forbidden", errortype="AccessDeniedException", reason=reason)

    def _admit(self, exchange: Exchange, stage: Mapping[str, Any]) -> None:
        per_route = (stage.get("routeSettings") or {}).get(exchange.route_key) or {}
        limit = _limit({**(stage.get("defaultRouteSettings") or {}), **per_route})
        if limit and not self._throttle.admits(f"{exchange.api_id}/{exchange.stage}/{exchange.route_key}", limit):
            raise Refused(
                429, "Too Many Requests", reason=f"throttled at {limit.rate:g} requests/s, burst {limit.burst:g}"
            )


def _claims(request: SentRequest, authorizer: Mapping[str, Any]) -> dict[str, Any]:
    """Of a token that the authoriser of the route lets in."""
    told = authorizer.get("jwtConfiguration") or {}
    issuer = str(told.get("issuer", ""))
    try:
        token = tokens.token_of(request.header("authorization"))
        audience = [str(one) for one in told.get("audience") or ()]
        return tokens.verify(token, issuer=issuer, audience=audience, keys=issuers.keys(issuer), now=time.time())
    except tokens.TokenRefused as refusal:
        raise Refused(401, "Unauthorized", reason=str(refusal)) from None


def _head(scope: Mapping[str, Any]) -> SentRequest:
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    target = f"{path}?{query}" if query else path
    size = len(f"{scope['method']} {target} HTTP/1.1") + sum(len(name) + len(value) for name, value in headers)
    if size > HEADER_LIMIT_BYTES:
        raise Refused(431, "Request Header Fields Too Large", reason=f"{size} bytes of request line and headers")
    return SentRequest(scope["method"], path, query, headers, b"")


def _exchange(head: SentRequest, scope: Mapping[str, Any]) -> Exchange:
    found = _ADDRESS.match(head.path.replace("%24", "$", 1))
    if not found:
        raise Refused(404, "Not Found")
    raw_path = str(apigateway.decode_http_api_path(found[3] or "/"))
    return Exchange(head, found[1], found[2], raw_path, (scope.get("client") or ("127.0.0.1",))[0])


def _find(exchange: Exchange) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, str]]:
    stage = apigateway._stages.get(exchange.api_id, {}).get(exchange.stage)
    path = "/" + exchange.raw_path.lstrip("/")
    route = apigateway._match_route(exchange.api_id, exchange.request.method, path) if stage is not None else None
    if route is None:
        raise Refused(404, "Not Found")
    exchange.route_key = route["routeKey"]
    integration = apigateway._integrations.get(exchange.api_id, {}).get(route.get("target", "").rsplit("/", 1)[-1])
    if integration is None or not (integration.get("integrationType") == "AWS_PROXY" or _is_private(integration)):
        raise Refused(500, "Internal Server Error", reason="the route has neither a function nor a VPC link behind it")
    _, _, template = exchange.route_key.partition(" ")
    return route, integration, stage, (apigateway._extract_path_params(template, path) or {}) if template else {}


async def _body(request: SentRequest, receive: Receive) -> bytes:
    declared = request.header("content-length")
    if declared and declared.isdigit() and int(declared) > BODY_LIMIT_BYTES:
        await _drain(receive, int(declared))
        raise Refused(413, "Request Entity Too Large")
    received = bytearray()
    more = True
    while more:
        message = await receive()
        received += message.get("body", b"")
        more = bool(message.get("more_body", False))
        if len(received) > BODY_LIMIT_BYTES:
            raise Refused(413, "Request Entity Too Large")
    return bytes(received)


async def _drain(receive: Receive, declared: int) -> None:
    """Take a refused body off the wire (within reason), so that the client reads the answer and not a broken pipe."""
    taken, more = 0, declared <= 8 * BODY_LIMIT_BYTES
    while more:
        message = await receive()
        taken += len(message.get("body", b""))
        more = bool(message.get("more_body", False)) and taken <= declared


def _limit(settings: Mapping[str, Any]) -> Limit | None:
    given = {name.lower(): value for name, value in settings.items()}
    rate, burst = given.get("throttlingratelimit"), given.get("throttlingburstlimit")
    if rate is None and burst is None:
        return None
    return Limit(float(rate if rate is not None else 10_000), float(burst if burst is not None else 5_000))


def _event(
    exchange: Exchange, settings: Settings, parameters: Mapping[str, str], stage: Mapping[str, Any]
) -> dict[str, Any]:
    request = exchange.request
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in request.headers:
        key = name.lower()
        if key == "cookie":
            cookies += [part.strip() for part in value.split(";") if part.strip()]
        else:
            headers[key] = f"{headers[key]},{value}" if key in headers else value
    headers.setdefault("content-length", str(len(request.body)))
    headers |= {"x-forwarded-for": exchange.source_ip, "x-forwarded-port": "443", "x-forwarded-proto": "https"}
    headers.setdefault("x-amzn-trace-id", f"Root=1-{int(exchange.started):08x}-{uuid.uuid4().hex[:24]}")
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    context: dict[str, Any] = {
        "accountId": settings.account,
        "apiId": exchange.api_id,
        "domainName": f"{exchange.api_id}.execute-api.{settings.region}.amazonaws.com",
        "domainPrefix": exchange.api_id,
        "http": {
            "method": request.method,
            "path": exchange.raw_path if exchange.stage == "$default" else f"/{exchange.stage}{exchange.raw_path}",
            "protocol": "HTTP/1.1",
            "sourceIp": exchange.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": exchange.request_id,
        "routeKey": exchange.route_key,
        "stage": exchange.stage,
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(exchange.started)),
        "timeEpoch": int(exchange.started * 1000),
    }
    if exchange.caller is not None:
        context["authorizer"] = {"iam": _iam(exchange.caller)}
    if exchange.claims is not None:
        context["authorizer"] = {"jwt": {"claims": tokens.as_claims(exchange.claims), "scopes": None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": exchange.route_key,
        "rawPath": context["http"]["path"],
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = query
    if parameters:
        event["pathParameters"] = dict(parameters)
    if stage.get("stageVariables"):
        event["stageVariables"] = dict(stage["stageVariables"])
    if request.body:
        text = _text(request.body, headers.get("content-type", ""))
        event["body"] = base64.b64encode(request.body).decode() if text is None else text
        event["isBase64Encoded"] = text is None
    return event


def _text(body: bytes, content_type: str) -> str | None:
    """The body as text where its type says text; None where it travels in base64."""
    if not _TEXT.match(content_type.partition(";")[0].strip().lower()):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _iam(caller: policies.Caller) -> dict[str, Any]:
    return {
        "accessKey": caller.access_key,
        "accountId": caller.account,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.arn,
        "userId": caller.user_id,
    }


async def _invoke(
    exchange: Exchange, integration: Mapping[str, Any], event: dict[str, Any], settings: Settings
) -> Answer:
    reference = apigateway._extract_lambda_ref_from_integration_uri(integration.get("integrationUri", ""))
    function, config, name = lambda_svc._get_func_record_for_ref_in_scope(
        reference, account_id=settings.account, region=settings.region
    )
    if function is None or config is None:
        raise Refused(500, "Internal Server Error", reason=f"the function {name} does not exist")
    # The permission is given on the route as it is written, with its variables: `.../GET/items/{id}`.
    route = f"{exchange.stage}/{exchange.request.method}/{exchange.route_key.partition(' ')[2].lstrip('/')}"
    source = f"arn:aws:execute-api:{settings.region}:{settings.account}:{exchange.api_id}/{route}"
    allowed = policies.service_may(
        function.get("policy"),
        "apigateway.amazonaws.com",
        "lambda:InvokeFunction",
        str(config["FunctionArn"]),
        region=settings.region,
        context={"aws:SourceArn": source, "aws:SourceAccount": settings.account},
    )
    if not allowed:
        raise Refused(500, "Internal Server Error", reason=f"the policy of {name} does not let API Gateway invoke it")
    if len(json.dumps(event).encode()) > EVENT_LIMIT_BYTES:
        raise Refused(413, "Request Entity Too Large", reason="the event is over Lambda's 6 MB")
    record = lambda_svc._execution_record_for_config(function, config)
    seconds = _seconds(integration)
    call = asyncio.ensure_future(
        run_reentrant(lambda_svc._execute_function_with_config_scope, record, event, thread_name="labcycle-api")
    )
    try:
        result = await asyncio.wait_for(asyncio.shield(call), timeout=seconds)
    except TimeoutError:
        raise Refused(503, "Service Unavailable", reason=f"no answer from {name} in {seconds:g} s") from None
    return _answer_of(exchange, name, result)


def _is_private(integration: Mapping[str, Any]) -> bool:
    kinds = (integration.get("integrationType"), integration.get("connectionType"))
    return kinds == ("HTTP_PROXY", "VPC_LINK")


async def _forward(exchange: Exchange, integration: Mapping[str, Any]) -> Answer:
    """Through the VPC link; its time-out is the client's 503, as a function's is."""
    seconds = _seconds(integration)
    query = f"?{exchange.request.query}" if exchange.request.query else ""
    forward = partial(
        private_integration.forward,
        integration,
        exchange.request,
        target=quote(exchange.raw_path, safe="/:@!$&'()*+,;=~") + query,
        source_ip=exchange.source_ip,
        context={"requestId": exchange.request_id},
        seconds=seconds,
    )
    call = asyncio.ensure_future(run_reentrant(forward, thread_name="labcycle-link"))
    try:
        status, headers, body = await asyncio.wait_for(asyncio.shield(call), timeout=seconds)
    except TimeoutError:
        raise Refused(503, "Service Unavailable", reason=f"no answer through the VPC link in {seconds:g} s") from None
    except private_integration.NoTarget as error:
        raise Refused(error.status, error.message, reason=str(error)) from None
    exchange.function_status = status
    return Answer(status, body, tuple(headers))


def _seconds(integration: Mapping[str, Any]) -> float:
    return min(TIME_OUT_SECONDS, float(integration.get("timeoutInMillis") or TIME_OUT_SECONDS * 1000) / 1000)


def _answer_of(exchange: Exchange, name: str, result: Mapping[str, Any]) -> Answer:
    """The function's answer in payload format 2.0; a dict without statusCode is the body itself."""
    if result.get("throttle"):
        raise Refused(429, "Too Many Requests", reason=f"{name} is throttled")
    body = result.get("body")
    if result.get("error"):
        raise Refused(500, "Internal Server Error", reason=f"{name} failed: {json.dumps(body)[:400]}")
    if isinstance(body, str | bytes):
        with contextlib.suppress(ValueError):
            body = json.loads(body)
    if len(json.dumps(body).encode()) > EVENT_LIMIT_BYTES:
        raise Refused(500, "Internal Server Error", reason=f"the answer of {name} is over Lambda's 6 MB")
    if not isinstance(body, dict) or "statusCode" not in body:
        exchange.function_status = 200
        return Answer(200, (body if isinstance(body, str) else json.dumps(body)).encode())
    text = body.get("body")
    try:
        status = int(body["statusCode"])
        content = base64.b64decode(text) if text and body.get("isBase64Encoded") else _encoded(text)
        given = {str(k).lower(): v for k, v in (body.get("headers") or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise Refused(500, "Internal Server Error", reason=f"malformed answer of {name}: {error}") from None
    given.setdefault("content-type", "text/plain;charset=UTF-8")
    given.pop("content-length", None)
    headers = [(key, str(value).lower() if isinstance(value, bool) else str(value)) for key, value in given.items()]
    headers += [("set-cookie", str(cookie)) for cookie in body.get("cookies") or ()]
    exchange.function_status = status
    return Answer(status, content, tuple(headers))


def _encoded(text: object) -> bytes:
    if text is None:
        return b""
    return (text if isinstance(text, str) else json.dumps(text)).encode()


def _record(exchange: Exchange, answer: Answer) -> None:
    """Metrics as API Gateway publishes them, and the stage's access log."""
    elapsed = (time.time() - exchange.started) * 1000
    dimensions = {"ApiId": exchange.api_id}
    stage = apigateway._stages.get(exchange.api_id, {}).get(exchange.stage)
    if stage is None:
        return
    values = {
        "Count": 1.0,
        "4xx": float(400 <= answer.status < 500),
        "5xx": float(answer.status >= 500),
        "Latency": elapsed,
    }
    if exchange.integration_began is not None:
        values["IntegrationLatency"] = (time.time() - exchange.integration_began) * 1000
    for name, value in values.items():
        unit = "Milliseconds" if name.endswith("Latency") else "Count"
        cloudwatch.record_metric("AWS/ApiGateway", name, value, unit, dimensions)
    logging = {key.lower(): value for key, value in (stage.get("accessLogSettings") or {}).items()}
    if not logging.get("destinationarn"):
        return
    caller = exchange.caller
    known = {
        "requestId": exchange.request_id,
        "extendedRequestId": exchange.request_id,
        "apiId": exchange.api_id,
        "stage": exchange.stage,
        "routeKey": exchange.route_key,
        "httpMethod": exchange.request.method,
        "path": exchange.raw_path,
        "protocol": "HTTP/1.1",
        "status": str(answer.status),
        "responseLength": str(len(answer.body)),
        "responseLatency": str(round(elapsed)),
        "integrationStatus": str(exchange.function_status or "-"),
        "integration.status": str(exchange.function_status or "-"),
        "error.message": exchange.error,
        "integrationErrorMessage": exchange.error,
        "identity.sourceIp": exchange.source_ip,
        "identity.userAgent": exchange.request.header("user-agent") or "-",
        "identity.caller": caller.user_id if caller else "-",
        "identity.user": caller.user_id if caller else "-",
        "identity.userArn": caller.arn if caller else "-",
        "identity.accountId": caller.account if caller else "-",
        **{f"authorizer.claims.{name}": text for name, text in tokens.as_claims(exchange.claims or {}).items()},
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(exchange.started)),
        "requestTimeEpoch": str(int(exchange.started * 1000)),
    }
    line = _VARIABLE.sub(lambda found: _quoted(known.get(found[1], "-")), str(logging.get("format", "")))
    group = str(logging["destinationarn"]).removesuffix(":*").split(":log-group:")[-1]
    log_groups.append(group, f"{exchange.api_id}_{exchange.stage}", line)


def _quoted(value: str) -> str:
    return json.dumps(value)[1:-1]
