"""A door on 127.0.0.1 to one model's page: a browser cannot sign requests, so this signs them with the caller's credentials.

Only the page's own requests pass. Another site that the same browser shows can send requests to 127.0.0.1, too: one that
comes by another name (DNS rebinding) or from another origin is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from labcycle.client.model_api import ModelAnswer, ModelApi
from labcycle.errors import LabcycleError

PASSED = {"/app": "GET", "/openapi.json": "GET", "/ping": "GET", "/version": "GET", "/invocations": "POST"}
BODY_BYTES = 6_000_000  # what Lambda takes
_SENT = ("content-type", "x-labcycle-key", "x-labcycle-what-if")
_RETURNED = (
    *("content-type", "content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"),
    *("retry-after", "x-request-id", "x-labcycle-model", "x-labcycle-model-version", "x-labcycle-paused"),
)
_PATIENCE_SECONDS = 30


class ModelPage(ThreadingHTTPServer):
    """Serves until `shutdown`. `port` 0 takes one that is free.

    Raises
    ------
    LabcycleError
        If the port is taken.
    """

    daemon_threads = True

    def __init__(self, api: ModelApi, port: int = 0) -> None:
        self.api = api
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise LabcycleError(
                f"port {port} of 127.0.0.1 cannot be had ({error.strerror}): leave --port out for one that is free"
            ) from None

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/app"


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE_SECONDS
    server_version, sys_version = "labcycle", ""

    def handle_one_request(self) -> None:
        self.close_connection = True  # one request each: what was refused was not read
        super().handle_one_request()
        self.close_connection = True

    def _do(self) -> None:
        page = cast("ModelPage", self.server)
        try:
            self._answer(self._asked(page))
        except _Refused as refused:
            self._refuse(refused.status, refused.code, str(refused))
        except LabcycleError as error:
            self._refuse(502, "TEMPORARILY_UNAVAILABLE", str(error))

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _do

    def _asked(self, page: ModelPage) -> ModelAnswer:
        if self.headers.get_all("host", []) not in [[host] for host in page.hosts]:
            raise _Refused(403, "PERMISSION_DENIED", f"This address is {page.url}, and is called by no other name.")
        origins = self.headers.get_all("origin", [])
        if any(origin not in {f"http://{host}" for host in page.hosts} for origin in origins):
            raise _Refused(403, "PERMISSION_DENIED", "Other pages cannot call the model by this address.")
        path = self.path
        if PASSED.get(path) != self.command:
            known = ", ".join(f"{method} {path}" for path, method in PASSED.items())
            raise _Refused(
                404, "ENDPOINT_NOT_FOUND", f"No endpoint {self.command[:20]} {path[:200]}; there are {known}."
            )
        sent = {name: value for name in _SENT if (value := self.headers.get(name)) is not None}
        answer = page.api.ask(self.command, path, headers=sent, body=self._body())
        if answer.status in (403, 404) and "text/html" not in answer.headers.get("content-type", ""):
            said = json.dumps({"message": page.api.refusal(answer, path), **_code(answer)}).encode()
            return ModelAnswer(answer.status, {**answer.headers, "content-type": "application/json"}, said)
        return answer

    def _body(self) -> bytes:
        lengths = self.headers.get_all("content-length", [])
        if "transfer-encoding" in self.headers or len(lengths) > 1:
            raise _Refused(411, "BAD_REQUEST", "The request must say its length, by one content-length.")
        length = lengths[0] if lengths else "0"
        if not re.fullmatch(r"[0-9]{1,15}", length):
            raise _Refused(400, "BAD_REQUEST", "content-length must be a number.")
        if int(length) > BODY_BYTES:
            raise _Refused(
                413,
                "BAD_REQUEST",
                f"The request has {int(length) / 1e6:.1f} MB; a model takes 6 MB: send fewer rows at once.",
            )
        return self.rfile.read(int(length)) if self.command == "POST" else b""

    def _answer(self, answer: ModelAnswer) -> None:
        self._send(
            answer.status, {name: answer.headers[name] for name in _RETURNED if name in answer.headers}, answer.body
        )

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error_code": code, "message": message}).encode()
        self._send(status, {"content-type": "application/json"}, body)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: addresses and bodies are nobody's business."""


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def _code(answer: ModelAnswer) -> dict[str, str]:
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return {"error_code": str(said["error_code"])} if isinstance(said, dict) and "error_code" in said else {}
