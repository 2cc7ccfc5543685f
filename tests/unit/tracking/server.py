"""A local HTTP server in front of a function: requests become API Gateway events (payload 2.0). And the stock client of it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow
import pytest

from labcycle_lambdas.http import Request, Response

ACCOUNT = "111122223333"
ISSUER = "https://issuer.example"


def member(name: str = "scientist-1", team: str = "fraud") -> str:
    """What API Gateway says of a member's role session."""
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/labcycle-{team}-{name}/{name}"


def subject(name: str = "ada") -> str:
    """Who comes with a token, where the others say their role session."""
    return f"{ISSUER} {name}"


def event(
    method: str, path: str, query: str = "", body: bytes = b"", arn: str = "", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "http": {"method": method, "path": path},
            "authorizer": _authorizer(arn),
            "requestId": "r-1",
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def _authorizer(caller: str) -> dict[str, Any]:
    issuer, _, name = caller.partition(" ")
    return {"jwt": {"claims": {"iss": issuer, "sub": name}}} if name else {"iam": {"userArn": caller}}


class Recorder:
    """What was asked, and how it ended: (method, path, status); what came in, and what went out.

    `lose`: ends of paths; the next call to each is done, and its answer is lost.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.asked: list[bytes] = []
        self.lose: list[str] = []
        self.bodies: list[bytes] = []


@contextmanager
def serving(
    answer: Callable[[Request], Response], caller: Callable[[], str] = member, recorder: Recorder | None = None
) -> Iterator[str]:
    """The address of a server on a free port of 127.0.0.1."""
    record = recorder or Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made = event(self.command, unquote(parts.path), parts.query, body, caller(), headers)
            said = answer(Request.from_event(made)).to_event()
            content = base64.b64decode(said["body"]) if said["isBase64Encoded"] else said["body"].encode()
            record.calls.append((self.command, unquote(parts.path), said["statusCode"]))
            record.asked.append(body)
            record.bodies.append(content)
            if lost := next((end for end in record.lose if parts.path.endswith(end)), None):
                record.lose.remove(lost)
                self.close_connection = True
                return
            self.send_response(said["statusCode"])
            for name, value in said["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def stock_client(address: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """The stock client is pointed at an address, and works in a folder; runs that it left open are ended."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)  # of another test's set_experiment
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    monkeypatch.chdir(folder)
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    try:
        yield
    finally:
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
