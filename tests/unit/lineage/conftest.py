"""A team's whole API on this machine: tracking and life cycle over one ledger, as API Gateway routes them."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow
import pytest

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.tracking.routes import answer
from tests.unit.ledger.conftest import NAME
from tests.unit.tracking.conftest import BUCKET, Api, api  # noqa: F401 - a fixture
from tests.unit.tracking.server import event, member

REVIEWER = Who("reviewer-1", "labcycle-fraud-reviewer-1", "reviewer-1")


@dataclass
class Team:
    """The API of team `fraud` at `address`, called as `caller`."""

    api: Api
    lifecycle: Lifecycle
    address: str = ""
    caller: str = field(default_factory=member)

    @property
    def table(self) -> Table:
        return self.lifecycle.table

    def artifact(self, run_id: str, path: str, content: bytes = b"x") -> None:
        root = self.api.ledgers.runs.get(run_id).artifact_uri.removeprefix(f"s3://{BUCKET}/")
        self.api.file(f"{root}/{path}", content)

    def get(self, path: str) -> Any:
        """The life cycle API's document below /labcycle/1.0."""
        made = event("GET", *_split(f"/labcycle/1.0/{path}"), arn=self.caller)
        said = self.lifecycle.answer(Request.from_event(made))
        assert said.status == 200, said.body
        return said.body

    def promote(self, model: str, version: int) -> None:
        prepared = self.lifecycle.preflight.prepare(model, version)
        Deployments(self.table).promote(model, prepared, REVIEWER)

    def tags(self, run_id: str) -> dict[str, str]:
        return self.api.ledgers.runs.get(run_id).tags


def _split(path: str) -> tuple[str, str]:
    parts = urlsplit(path)
    return unquote(parts.path), parts.query


@pytest.fixture
def team(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Team]:  # noqa: F811
    """The stock client is pointed at it."""
    table = Table(api.dynamodb, NAME)
    made = Team(api, Lifecycle(table, Preflight(table, api.s3, BUCKET), Members("fraud")))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            path, query = _split(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request.from_event(event(self.command, path, query, body, made.caller, headers))
            is_lifecycle = path.startswith("/labcycle/")
            said = (made.lifecycle.answer(request) if is_lifecycle else answer(api.ledgers, request)).to_event()
            content = base64.b64decode(said["body"]) if said["isBase64Encoded"] else said["body"].encode()
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
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(made.address)
    mlflow.set_registry_uri(made.address)
    try:
        yield made
    finally:
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        server.shutdown()
        server.server_close()
        thread.join()
