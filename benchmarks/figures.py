"""What the benchmarks share: the table of figures, what is measured by turns, and MLflow's own servers as processes."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TURNS = 3


@dataclass(frozen=True)
class Figure:
    """`limit` is a number, or a share of what the peer takes."""

    name: str
    ours: float
    unit: str
    limit: float
    peer: float | None = None
    note: str = ""

    @property
    def most(self) -> float:
        return self.limit if self.peer is None else self.limit * self.peer

    def line(self) -> str:
        theirs = "" if self.peer is None else f"{self.peer:.3f}"
        share = "" if self.peer is None else f"1/{self.peer / self.ours:.1f}"
        verdict = "" if self.ours <= self.most else "  OVER"
        return f"{self.name:<46}{self.ours:>10.4g} {self.unit:<7}{self.most:>9.4g}{theirs:>10}{share:>8}{verdict}{self.note}"


def report(figures: Iterable[Figure], peer: str) -> int:
    """Print the figures as they come; 1 where one is over its limit."""
    print(f"{'figure':<46}{'ours':>10} {'':<7}{'limit':>9}{peer:>10}{'share':>8}", flush=True)
    well = True
    for figure in figures:
        print(figure.line(), flush=True)
        well = well and figure.ours <= figure.most
    return 0 if well else 1


def by_turns(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """The medians of both: the machine may be slower at one time than at another, so that they are measured by turns."""
    found = [(ours(), theirs()) for _ in range(TURNS)]
    return statistics.median(one for one, _ in found), statistics.median(other for _, other in found)


def package_mb(function: str) -> float:
    """What Lambda would unpack."""
    from labcycle._assets import stage

    return sum(path.stat().st_size for path in stage(function).rglob("*") if path.is_file()) / 1e6


def in_process(*arguments: str, environment: Mapping[str, str], folder: Path | None = None) -> dict[str, Any]:
    """What a process of Python says in its last line."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


class Peer:
    """A server on 127.0.0.1 in a process of its own, asked over one connection."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, path: str, body: Any) -> Any:
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        said = self._connection.getresponse()
        text = said.read()
        assert said.status == 200, text[:500]
        return json.loads(text)

    def reconnect(self) -> None:
        """With the next request: the server closes a connection that rests."""
        self._connection.close()

    def seconds(self, work: Callable[[], object]) -> float:
        """CPU of the server, with all its children, while `work` is done."""
        self.reconnect()
        begin = _cpu_seconds(self._process.pid)
        work()
        return _cpu_seconds(self._process.pid) - begin


@contextmanager
def mlflow(words: Sequence[str], folder: Path, **environment: str) -> Iterator[Peer]:
    """`mlflow` with these words, on a free port with one worker; its log is in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", *words, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(port, process, folder / "log")
            yield Peer(process, port)
        finally:
            for pid in (*_below(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, 15)
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1_500):
        if process.poll() is not None:
            raise RuntimeError(f"mlflow has ended: {log.read_text()[-1000:]}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"mlflow does not answer: {log.read_text()[-1000:]}")


def _below(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for below in child.read_text().split():
            found += [*_below(int(below)), int(below)]
    return found


def _cpu_seconds(pid: int) -> float:
    ticks = 0
    for process in (pid, *_below(pid)):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
