"""Containers of the model server, each as a process of the host's Python, and what keeps them running.

A process sees the variables of its container, the credentials of its role, and nothing of the server's environment. It
imports what its image's lock brings. One that ends, or is not healthy three times in a row, is begun again.
"""

from __future__ import annotations

import contextlib
import contextvars
import http.client
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from socket import socket

from labcycle.local.emulation import lambda_runtime, log_groups, policies
from labcycle.local.settings import HOST, START_ID, Settings, bare_environment, client_environment

START_SECONDS = 120.0  # two processors that do everything else besides
STOP_SECONDS = 10.0
PING_SECONDS = 5.0
FAILURES = 3
_LOOK_SECONDS = 0.2
_SESSION_SECONDS = 30 * 86_400
_MODULE = "labcycle_lambdas.model_server.process"

Headers = Sequence[tuple[str, str]]


class DoesNotStart(Exception):
    """A container is not healthy in time, or ends three times before; the text has the end of its log."""


@dataclass(frozen=True)
class Container:
    """What is run: `arguments` of the process but for address and port; `healthy` are the statuses of GET /ping that are."""

    folder: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    role: str
    session: str
    log_group: str
    log_stream: str
    healthy: Collection[int]


class ModelServer:
    """One container that is kept running, until `stop`."""

    def __init__(self, container: Container, settings: Settings) -> None:
        self._container = container
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._healthy = False
        self._ends = 0  # before it was ever healthy
        self._ending = threading.Event()
        self._last: deque[str] = deque(maxlen=8)
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._keep,), daemon=True, name="model-server")
        self._thread.start()

    @property
    def healthy(self) -> bool:
        process = self._process
        return self._healthy and process is not None and process.poll() is None

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Raises `DoesNotStart`."""
        until = time.monotonic() + seconds
        while not self.healthy:
            if time.monotonic() > until or self._ends >= FAILURES:
                raise DoesNotStart("\n".join(self._last) or "it wrote nothing")
            time.sleep(_LOOK_SECONDS)

    def ask(
        self, method: str, target: str, headers: Headers, body: bytes, seconds: float
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body. Raises `OSError` or `http.client.HTTPException` where there is no answer."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=seconds)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in (
                *headers,
                ("Host", f"{HOST}:{self._port}"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ):
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def stop(self) -> None:
        """Let the process finish what is under way and write what it has counted."""
        self._ending.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def kill(self) -> None:
        self._ending.set()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _keep(self) -> None:
        for attempt in count():
            self._begin()
            self._watch()
            if self._healthy:
                self._healthy = False
            else:
                self._ends += 1
            if self._ending.wait(min(0.2 * 2**attempt, 10.0) if attempt < 10 else 10.0):
                return

    def _begin(self) -> None:
        container, settings = self._container, self._settings
        with socket() as free:
            free.bind((HOST, 0))
            self._port = int(free.getsockname()[1])  # a new one each time: a worker may outlive its parent for a moment
        arguments = [*container.arguments, "--host", HOST, "--port", str(self._port)]
        script = (
            f"{lambda_runtime.isolation(())}import runpy\nsys.path.insert(0, {str(container.folder)!r})\n"
            f"sys.argv[1:] = {arguments!r}\nrunpy.run_module({_MODULE!r}, run_name='__main__', alter_sys=True)\n"
        )
        credentials = policies.session_of(container.role, container.session, _SESSION_SECONDS)
        environment = {
            **bare_environment(),
            **client_environment(settings.endpoint, settings.region, credentials),
            **container.environment,
            "TMPDIR": str(settings.temporary),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            START_ID: settings.start_id,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=container.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if self._ending.is_set():  # it was stopped meanwhile
            self._process.kill()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._log, self._process), daemon=True, name="model-log").start()

    def _log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            self._last.append(text)
            log_groups.append(self._container.log_group, self._container.log_stream, text)

    def _watch(self) -> None:
        """Until the process has ended."""
        assert self._process is not None
        failures, begun, asked = 0, time.monotonic(), 0.0
        while self._process.poll() is None:
            now = time.monotonic()
            if now - asked >= (PING_SECONDS if self._healthy else _LOOK_SECONDS):
                asked = now
                if self._ping():
                    self._healthy, failures = True, 0
                elif self._healthy:
                    failures += 1
                if failures >= FAILURES or (not self._healthy and now - begun > START_SECONDS):
                    self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_SECONDS)

    def _ping(self) -> bool:
        try:
            return self.ask("GET", "/ping", (), b"", PING_SECONDS)[0] in self._container.healthy
        except (OSError, http.client.HTTPException):
            return False


_lock = threading.Lock()
_placed: dict[str, list[ModelServer]] = {}
_turns = count()


def place(key: str, containers: Sequence[Container], settings: Settings) -> None:
    """Run these containers for `key`; what it had is stopped when they are healthy, and stays when they do not become so.

    Raises
    ------
    DoesNotStart
        If one of them does not.
    """
    servers = [ModelServer(container, settings) for container in containers]
    try:
        for server in servers:
            server.wait()
    except DoesNotStart:
        for server in servers:
            server.kill()
        raise
    with _lock:
        former, _placed[key] = _placed.get(key, []), servers
    for server in former:
        server.stop()


def has(key: str) -> bool:
    """Whether containers were placed for `key`, however they are."""
    return key in _placed


def one_of(key: str) -> ModelServer | None:
    """A healthy one, in turn."""
    healthy = [server for server in _placed.get(key, ()) if server.healthy]
    return healthy[next(_turns) % len(healthy)] if healthy else None


def remove(key: str) -> None:
    with _lock:
        former = _placed.pop(key, [])
    for server in former:
        server.stop()


def stop_all() -> None:
    """End every process; the server is going down."""
    for servers in list(_placed.values()):
        for server in servers:
            server.kill()
