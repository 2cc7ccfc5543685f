"""Run a version with packages that this process does not have, in a process of its own: `python -m labcycle_lambdas.model_server.apart`.

That process sees the packages of one folder, the standard library, and nothing else that is installed; it gets no credentials. It asks
for the files of the version over its standard output, so that they are fetched and held against their digests where all others are,
and lie on no disk.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.mlflow_error import INTERNAL_ERROR, TEMPORARILY_UNAVAILABLE, MlflowError
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.flavours import load_here
from labcycle_lambdas.model_server.frames import read_frame, read_json, write_frame, write_json
from labcycle_lambdas.model_server.runnable import CannotCompute, Chances, Runnable, Unusable
from labcycle_lambdas.model_server.schema import Schema
from labcycle_lambdas.variables import without_credentials

LOAD_SECONDS = 120.0
_END_SECONDS = 1.0
Read = Callable[[DeployedFile], bytes]


class Apart:
    """A version in a process of its own, as `Runnable`; it answers one request after the other. Where the process ends or hangs, the
    request fails, and the next one begins another process. It is ended when nobody holds this object any more."""

    def __init__(
        self,
        deployed: Deployed,
        read: Read,
        packages: Path,
        *,
        answer_seconds: float,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        """Raises `Unusable` where it cannot be run, and what `read` raises."""
        self.schema = Schema.of(deployed.signature)
        self.chances: Chances = "none"
        self._deployed, self._read, self._packages = deployed, read, packages
        self._load_seconds, self._answer_seconds = load_seconds, answer_seconds
        self._one = threading.Lock()
        self._child: _Child | None = None
        self._begin()

    def predict(self, data: Table | Tensors, *, all_outputs: bool = False) -> list[Any]:
        """As `Runnable.predict`."""
        asked = {"data": _told(data), "all_outputs": all_outputs}
        with self._one:
            child = self._child or self._begun_again()
            try:
                with child.within(self._answer_seconds):
                    write_json(child.requests, asked)
                    said = read_json(child.answers)
            except (OSError, EOFError, ValueError):
                self._child = None
                raise CannotCompute(INTERNAL_ERROR, f"The model's process {child.ended()} when it was asked.") from None
        return _answer(said)

    @property
    def peak_mb(self) -> int:
        """The most memory that its process had so far, in MB."""
        return self._child.peak_mb if self._child else 0

    def _begin(self) -> _Child:
        child = _Child(self._packages)
        try:
            with child.within(self._load_seconds):
                self._load(child)
        except (OSError, EOFError, ValueError):
            raise Unusable(f"its process {child.ended()} when it was loaded") from None
        except BaseException:
            child.end()
            raise
        self._child = child
        weakref.finalize(self, child.end)
        return child

    def _begun_again(self) -> _Child:
        try:
            return self._begin()
        except Exception as error:  # noqa: BLE001 - it cannot be run, or S3 asks for patience
            raise CannotCompute(TEMPORARILY_UNAVAILABLE, f"The model cannot be loaded again: {error}") from None

    def _load(self, child: _Child) -> None:
        write_json(child.requests, asdict(self._deployed))
        while "loaded" not in (said := read_json(child.answers)):
            if "unusable" in said:
                raise Unusable(str(said["unusable"]))
            write_frame(child.requests, self._read(self._deployed.files[int(said["read"])]))
        self.chances = said["loaded"]


class _Child:
    """The process. `requests` and `answers` are its pipes."""

    def __init__(self, packages: Path) -> None:
        if not packages.is_dir():
            raise Unusable(f"the packages of its runtime are not there ({packages.name})")
        self._process = subprocess.Popen(
            # Without the packages of this process, and without the folder in which it happens to be.
            [sys.executable, "-S", "-P", "-m", "labcycle_lambdas.model_server.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**without_credentials(os.environ), "PYTHONPATH": str(packages)},
        )
        self._hung = False
        assert self._process.stdin and self._process.stdout
        self.requests: IO[bytes] = self._process.stdin
        self.answers: IO[bytes] = self._process.stdout

    def within(self, seconds: float) -> _Limit:
        """Where the block takes longer, the process is killed, which ends all waiting for it."""
        return _Limit(seconds, self._kill)

    @property
    def peak_mb(self) -> int:
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) >> 10
        return 0

    def ended(self) -> str:
        """End it, and tell how it ended."""
        code = self.end()
        if self._hung:
            return "hung, and was stopped"
        return f"was ended by the signal {-code}" if code < 0 else f"ended with the exit code {code}"

    def end(self) -> int:
        """Its exit code. It ends when its pipes do, and is killed where it goes on."""
        for pipe in (self.requests, self.answers):
            with suppress(OSError):
                pipe.close()
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _kill(self) -> None:
        self._hung = True
        self._process.kill()


class _Limit:
    def __init__(self, seconds: float, stop: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, stop)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *how: object) -> None:
        self._timer.cancel()


def _told(data: Table | Tensors) -> dict[str, Any]:
    if isinstance(data, Table):
        return {"columns": data.columns, "rows": data.rows}
    return {"tensors": list(data.values.items())}


def _given(told: Mapping[str, Any]) -> Table | Tensors:
    if "tensors" in told:
        return Tensors({name: value for name, value in told["tensors"]})
    return Table(told["columns"], told["rows"])


def _answer(said: Mapping[str, Any]) -> list[Any]:
    if "error" not in said:
        return list(said["predictions"])
    code, message, status, of_model = said["error"]
    raise (CannotCompute if of_model else MlflowError)(code, message, status=status)


# ---- in the process -------------------------------------------------------------------------------------------------


def main() -> None:
    site.setquit()  # which is missing without `site`, and which models may call
    # What a model prints goes to the log, and what it reads is nothing.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError):
        run(requests, answers)


def run(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Load the version that the first request tells of, and answer the others. Raises `EOFError` when there are none any more."""
    told = read_json(requests)
    files = tuple(DeployedFile(**file) for file in told["files"])
    deployed = Deployed(**{**told, "files": files, "model_file": DeployedFile(**told["model_file"])})

    def read(file: DeployedFile) -> bytes:
        write_json(answers, {"read": files.index(file)})
        return read_frame(requests)

    try:
        model = load_here(deployed, read)
    except Unusable as error:
        write_json(answers, {"unusable": str(error)})
        return
    write_json(answers, {"loaded": model.chances})
    while True:
        write_json(answers, _predicted(model, read_json(requests)))


def _predicted(model: Runnable, asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"predictions": model.predict(_given(asked["data"]), all_outputs=asked["all_outputs"])}
    except MlflowError as error:
        return {"error": [error.code, str(error), error.status, isinstance(error, CannotCompute)]}


if __name__ == "__main__":
    main()
