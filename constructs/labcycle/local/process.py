"""Start, find and stop the server process of a local cloud. Only processes that were started here are ever ended.

The server gets a session of its own and a start id in its environment; functions and training jobs inherit both. What
belongs to a local cloud is therefore known for certain, after a crash of the starter or of the server too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcycle.errors import LabcycleError
from labcycle.local.settings import HOST, KEEP, SETTINGS, START_ID, Settings, bare_environment

STATE_FILE = "local.json"
START_SECONDS = 60.0
STOP_SECONDS = 8.0
FREE_DISK_FLOOR_BYTES = 2 * 1024**3


class LocalCloudError(LabcycleError):
    """The local cloud cannot be started, reached or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Running:
    """A server that was started: its settings, its process, and when that process began (in the system's own unit)."""

    settings: Settings
    pid: int
    began: str

    def alive(self) -> bool:
        return _began(self.pid) == self.began

    def to_text(self) -> str:
        return json.dumps({"settings": json.loads(self.settings.to_text()), "pid": self.pid, "began": self.began})

    @classmethod
    def from_text(cls, text: str) -> Running:
        found = json.loads(text)
        return cls(Settings(**found["settings"]), int(found["pid"]), found["began"])


@dataclass(frozen=True)
class Started:
    """A server and the pipe that ties its life to ours."""

    running: Running
    process: subprocess.Popen[bytes]

    def let_go(self) -> None:
        """From now on the server outlives us."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(KEEP)
            self.process.stdin.flush()
            self.process.stdin.close()


def default_folder() -> Path:
    """Where the working folder keeps its local cloud."""
    return Path.cwd() / ".labcycle"


def find(folder: Path) -> Running | None:
    """The server of this folder, if it runs."""
    running = _recorded(folder)
    return running if running and running.alive() else None


def start(*, port: int, account: str, region: str, folder: Path) -> Started:
    """Start a server and wait until it answers. It ends with us until `Started.let_go`.

    Raises
    ------
    LocalCloudError
        If one runs already, the port is taken, the disk is nearly full, or the server does not come up. Nothing is
        left behind then.
    """
    with _locked(folder):
        found = find(folder)
        if found:
            raise LocalCloudError(
                f"A local cloud of this folder already runs at {found.settings.endpoint} (process {found.pid}). "
                "Use it, or end it with `labcycle local down`."
            )
        crashed = _recorded(folder)
        if crashed:
            _end(crashed)
        _clear(folder)
        _check_disk(folder)
        _check_port(port)
        start_id = secrets.token_hex(8)
        settings = Settings(port, account, region, start_id, str(folder), owner=True)
        environment = {**bare_environment(), SETTINGS: settings.to_text(), START_ID: start_id, "PYTHONUNBUFFERED": "1"}
        with settings.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "labcycle.local.emulation.main"],
                cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        running = Running(settings, process.pid, _began(process.pid) or "")
        _write(folder / STATE_FILE, running.to_text())
        try:
            _await(process, settings)
        except BaseException:
            _end(running)
            with contextlib.suppress(OSError):
                process.wait(timeout=STOP_SECONDS)
            _clear(folder)
            raise
        return Started(running, process)


def stop(folder: Path) -> bool:
    """End the server of this folder and all that it started; True if anything ran.

    Also after a crash: processes that a dead server left behind are found by its start id.
    """
    with _locked(folder):
        running = _recorded(folder)
        if running is None:
            return False
        ended = _end(running)
        _clear(folder)
        return ended


def ask(settings: Settings, path: str, body: dict[str, Any] | None = None, *, seconds: float = 120.0) -> Any:
    """Call the local cloud's own API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{settings.endpoint}/_labcycle/{path}", data=data)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return json.loads(response.read())
    except OSError as error:
        raise LocalCloudError(
            f"The local cloud at {settings.endpoint} does not answer: {error}. See {settings.log}."
        ) from error


def processes_of(start_id: str) -> list[int]:
    """Processes that carry this start id in their environment, by what the system says of them."""
    mark = f"{START_ID}={start_id}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") and _began(int(entry.name)):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def _end(running: Running) -> bool:
    """TERM to the server, which ends its children; then KILL to whatever is left."""
    alive = running.alive()
    if alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
        _wait(lambda: not running.alive(), STOP_SECONDS)
    left = _belonging(running)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: not _belonging(running), STOP_SECONDS)
    return alive or bool(left)


def _belonging(running: Running) -> list[int]:
    if Path("/proc/self/environ").exists():
        return processes_of(running.settings.start_id)
    # No /proc: the server leads its own group, whose number cannot be reused while the leader lives.
    return [running.pid] if running.alive() else []


def _wait(done: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)


def _await(process: subprocess.Popen[bytes], settings: Settings) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LocalCloudError(f"The local cloud ended while it started: {_tail(settings.log)}")
        try:
            with urllib.request.urlopen(f"{settings.endpoint}/_labcycle/status", timeout=2) as response:
                if json.loads(response.read())["start_id"] == settings.start_id:
                    return
        except (OSError, ValueError, KeyError):
            time.sleep(0.1)
    raise LocalCloudError(f"The local cloud did not answer within {START_SECONDS:.0f} s: {_tail(settings.log)}")


def _tail(log: Path) -> str:
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return f"{text[-600:] or 'it wrote nothing'} (log: {log})"


def _check_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise LocalCloudError(f"--port: got {port}; allowed 1024 to 65535.")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise LocalCloudError(
                    f"Port {port} needs rights that you do not have. Choose one from 1024 up with --port."
                ) from None
            raise LocalCloudError(
                f"Port {port} on {HOST} is in use by another program. Choose another with --port, "
                "or end that program; a local cloud of another folder is ended there, with `labcycle local down`."
            ) from None


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < FREE_DISK_FLOOR_BYTES:
        raise LocalCloudError(
            f"Only {free / 1024**3:.1f} GiB are free on the disk of {folder}; the local cloud needs "
            f"{FREE_DISK_FLOOR_BYTES / 1024**3:.0f} GiB for the code of functions and training jobs. Make room, or run it in another folder."
        )


def _recorded(folder: Path) -> Running | None:
    try:
        return Running.from_text((folder / STATE_FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        return None  # half written by a crash: the server that it tells of never answered


def _clear(folder: Path) -> None:
    """Remove what a server that is gone left: its state and its temporary files. The log stays."""
    (folder / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / "run", ignore_errors=True)


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One start or stop at a time in a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise LocalCloudError(
            f"The folder {folder} cannot be written: {error}. Run it in a folder that you may write."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _began(pid: int) -> str | None:
    """When a process began; None if there is none, or only its exit status is left. With its number it is unmistakable."""
    fields = _stat(pid)
    if fields is not None:
        return None if fields[0] == "Z" else fields[19]
    if Path("/proc/self/stat").exists():
        return None
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on: proc_pid_stat(5) counts it as the third."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
