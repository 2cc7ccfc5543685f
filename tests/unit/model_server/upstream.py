"""A model server over HTTP on 127.0.0.1, as API Gateway would have it, with what came to it; it says whose team it is, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import cast

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.model_server.server import Server
from tests.unit.serving.workshop import TEAM

ROUTES = {"/app", "/openapi.json", "/ping", "/version", "/invocations"}


class Upstream(ThreadingHTTPServer):
    """`routes` are those of the API; `forbidden` refuses as API Gateway does, and so does one that wants a `key`."""

    daemon_threads = True

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.lock = server, Lock()
        self.routes, self.forbidden, self.key = set(ROUTES), False, ""
        self.came: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, request: Request) -> Response:
        with self.lock:  # a sandbox answers one request at a time
            if request.path == "/labcycle/1.0/models":
                return Response(200, {"team": TEAM, "models": [], "next": None})
            self.came.append(request)
            if self.forbidden:
                return Response(403, {"message": "Forbidden"})
            if self.key and request.path == "/invocations" and request.headers.get("x-api-key") != self.key:
                wanted = "This API wants a signature (SigV4) and, for predictions, a key in the header x-api-key."
                return Response(403, {"error_code": "PERMISSION_DENIED", "message": wanted})
            if request.path not in self.routes:
                return Response(404, {"message": "Not Found"})
            return self.model.answer(request)


class _Handler(BaseHTTPRequestHandler):
    def _do(self) -> None:
        upstream = cast("Upstream", self.server)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        number = f"request-{len(upstream.came)}"
        event = upstream.answer(Request(self.command, self.path, [], headers, body, "", number)).to_event()
        self.send_response(event["statusCode"])
        for name, value in event["headers"].items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(event["body"].encode())

    do_GET = do_POST = _do

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    """The server answers within the block."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
