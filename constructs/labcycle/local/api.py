"""The tracking and life cycle API of one team on 127.0.0.1, over moto in this process: for tests, and to try it out.

Everything is in memory. The functions get what API Gateway would hand them (payload 2.0), within Lambda's 6 MB; policies,
several callers and whole stacks are in `labcycle.local.cloud`.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, TracebackType
from typing import Any, Self, cast
from unittest import mock
from urllib.parse import unquote

import boto3
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import responses_mock
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from labcycle.errors import LabcycleError
from labcycle.local import signature
from labcycle.local.settings import DEFAULT_ACCOUNT, DEFAULT_REGION, HOST, Credentials, client_environment
from labcycle.openapi import document

TEAM, MEMBER = "trial", "scientist"
TABLE, BUCKET = "labcycle-trial-ledger", "labcycle-trial-artifacts"
CREDENTIALS = Credentials(
    "AKIALABCYCLELOCALAPI",
    "nothing-is-protected-by-this",
    arn=f"arn:aws:sts::{DEFAULT_ACCOUNT}:assumed-role/labcycle-{TEAM}-{MEMBER}/{MEMBER}",
)
RESET, OPENAPI = "/__reset", "/openapi.json"
LAMBDA_BYTES = (
    6_291_456  # of an event, and of an answer: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
)
_FUNCTIONS = {"/labcycle/": "lifecycle", "/": "tracking"}  # the longest prefix first
_ISSUER = "http://127.0.0.1/nobody"  # of the token that API Gateway would have verified, where a request is not signed
_MEMBERS = {
    "rights": {"read log register promote administer": [MEMBER]},
    "subjects": {_ISSUER: {MEMBER: MEMBER}},
}
_VARIABLES = {"LEDGER_TABLE": TABLE, "ARTIFACT_BUCKET": BUCKET, "TEAM": TEAM, "MEMBERS": json.dumps(_MEMBERS)}
_AWS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")


class PortTaken(LabcycleError):
    """Another process listens on the port."""


class LocalApi:
    """A context, one at a time: from its start to its end it takes the AWS variables and boto3 of this process for itself.

    Parameters
    ----------
    port
        On 127.0.0.1; 0 for any that is free.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._ending = ExitStack()
        self._functions: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        """Raises `PortTaken`."""
        try:
            return self._start()
        except BaseException:
            self._ending.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    @property
    def address(self) -> str:
        """Of the API: MLflow's tracking URI."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def endpoint(self) -> str:
        """Where S3 is."""
        return f"http://{HOST}:{self._aws.get_host_and_port()[1]}"

    def environment(self) -> dict[str, str]:
        """What a client sets: the two variables of MLflow's client, and where AWS is, with credentials that are worth nothing."""
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_TRACKING_AUTH": "labcycle",
            **client_environment(self.endpoint, DEFAULT_REGION, CREDENTIALS),
        }

    def reset(self) -> None:
        """Empty the ledger and the bucket."""
        mock_aws().reset()
        _make_stores()
        for function in self._functions.values():
            _start_cold(function)

    def answer(self, asked: signature.SentRequest) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body. A signed request must be signed right. An unsigned one is taken for one with the member's token, who has no
        credentials of AWS: its artifacts go through addresses that the function signs. A web page of somebody else is refused."""
        port = self._server.server_address[1]
        own = (f"{HOST}:{port}", f"localhost:{port}")
        if asked.header("host") not in own or (asked.header("origin") or "").removeprefix("http://") not in ("", *own):
            return _said(403, f"This is for programs of this machine, which call it http://{own[0]} or http://{own[1]}")
        if asked.path == RESET:
            if asked.method != "POST":
                return _said(405, f"{RESET} takes POST")
            self.reset()
            return _said(200)
        if asked.path == OPENAPI:
            return 200, {"content-type": "application/json"}, json.dumps(document()).encode()
        if asked.header("authorization"):
            try:
                claim = signature.read(asked)
                if claim.access_key != CREDENTIALS.access_key:
                    raise signature.SignatureRefused(
                        "UnrecognizedClientException",
                        f"The access key is not {CREDENTIALS.access_key}: set the AWS variables that the local API printed, "
                        f"or unset MLFLOW_TRACKING_AUTH",
                    )
                signature.verify(asked, claim, secret=CREDENTIALS.secret, region=DEFAULT_REGION, now=datetime.now(UTC))
            except signature.SignatureRefused as refused:
                return _said(403, str(refused), {"x-amzn-errortype": refused.fault})
        event = _event(asked)
        if len(asked.body) > LAMBDA_BYTES or len(json.dumps(event)) > LAMBDA_BYTES:
            return _said(413, "Request Entity Too Large")
        prefix = next(prefix for prefix in _FUNCTIONS if event["rawPath"].startswith(prefix) or prefix == "/")
        said = self._functions[_FUNCTIONS[prefix]].handle(event, None)
        if len(json.dumps(said)) > LAMBDA_BYTES:
            return _said(500, "Internal Server Error")  # what API Gateway makes of an answer that Lambda refuses
        body = str(said.get("body") or "")
        return said["statusCode"], said.get("headers") or {}, _decoded(body, bool(said.get("isBase64Encoded")))

    def _start(self) -> Self:
        try:
            self._server = _Server((HOST, self._port), _handler(self.answer))
        except OSError as error:
            raise PortTaken(
                f"labcycle local api: port {self._port} of {HOST} cannot be had ({error.strerror}). Name another one with "
                f"--port, or --port 0 for any that is free"
            ) from None
        self._ending.callback(self._server.server_close)
        self._ending.enter_context(mock.patch.dict(os.environ))
        for name in _AWS:
            os.environ.pop(name, None)
        os.environ.update(_VARIABLES)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for each object
        self._ending.enter_context(mock_aws(config=cast(Any, {"core": {"mock_credentials": False}})))
        responses_mock.stop(allow_assert=False)  # whose copies of bodies `requests` cannot send again after a redirect
        _one_call_at_a_time(self._ending)
        self._aws = ThreadedMotoServer(HOST, 0, verbose=False)
        self._aws.start()
        self._ending.callback(self._aws.stop)
        os.environ.update(client_environment(self.endpoint, DEFAULT_REGION, CREDENTIALS))
        del os.environ["AWS_ENDPOINT_URL"]  # DynamoDB is in this process: a call costs no connection
        _make_stores()
        for folder in _FUNCTIONS.values():
            self._functions[folder] = importlib.import_module(f"labcycle_lambdas.{folder}.handler")
            _start_cold(self._functions[folder])
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        self._ending.callback(thread.join)
        self._ending.callback(self._server.shutdown)
        return self


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a client's pool connects all at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that went away is no news
            super().handle_error(request, client_address)


def _handler(
    answer: Callable[[signature.SentRequest], tuple[int, Mapping[str, str], bytes]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            try:
                body = _body(self)
            except ValueError:
                self.close_connection = True
                return self.send_error(400)
            path, _, query = self.path.partition("?")
            asked = signature.SentRequest(self.command, path, query, tuple(self.headers.items()), body)
            status, headers, content = answer(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, format: str, *arguments: object) -> None: ...

    return Handler


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """What a request brings along, in chunks or not. Raises `ValueError`."""
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        length = request.headers.get("Content-Length") or "0"
        if not length.isdigit():
            raise ValueError(length)
        return request.rfile.read(int(length))
    parts = []
    while size := int(request.rfile.readline().partition(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():  # trailers
        pass
    return b"".join(parts)


def _event(asked: signature.SentRequest) -> dict[str, Any]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html"""
    headers: dict[str, str] = {}
    for name, value in asked.headers:
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    path = unquote(asked.path)
    signed = "authorization" in headers
    iam = {"accessKey": CREDENTIALS.access_key, "accountId": DEFAULT_ACCOUNT, "userArn": CREDENTIALS.arn}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": asked.query,
        "headers": headers,
        "requestContext": {
            "accountId": DEFAULT_ACCOUNT,
            "apiId": "local",
            "authorizer": {"iam": iam}
            if signed
            else {"jwt": {"claims": {"iss": _ISSUER, "sub": MEMBER}, "scopes": None}},
            "domainName": headers.get("host", HOST),
            "http": {
                "method": asked.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": HOST,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if asked.body:
        text = _text(asked.body) if headers.get("content-type", "").startswith("application/json") else None
        event["body"] = base64.b64encode(asked.body).decode() if text is None else text
        event["isBase64Encoded"] = text is None
    return event


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _decoded(body: str, in_base64: bool) -> bytes:
    return base64.b64decode(body) if in_base64 else body.encode()


def _said(
    status: int, message: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"message": message} if message else {}).encode()
    return status, {"content-type": "application/json", **(headers or {})}, body


def _make_stores() -> None:
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=cast(Any, {"LocationConstraint": DEFAULT_REGION}))
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def _start_cold(function: ModuleType) -> None:
    """Forget what the function made once a sandbox."""
    for value in vars(function).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def _one_call_at_a_time(ending: ExitStack) -> None:
    """moto's transactions are all or nothing only while nobody else calls."""
    lock, call = threading.Lock(), BotocoreStubber.__call__

    def locked(stubber: Any, event_name: str, request: Any, **rest: Any) -> Any:
        with lock:
            return call(stubber, event_name, request, **rest)

    ending.enter_context(mock.patch.object(BotocoreStubber, "__call__", locked))
