"""Load a version beside the live one, and let it answer, in a process of its own: whatever it does there, it does to nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.model_server.loading import fetch_packages
from labcycle_lambdas.model_server.model_files import example_of, loaded_files
from labcycle_lambdas.model_server.runnable import Unusable
from labcycle_lambdas.variables import without_credentials

LONGEST_SECONDS = 600.0
_STDERR_CHARACTERS = 500


@dataclass(frozen=True)
class Probing:
    """`memory_mb` and `timeout_seconds` are those of the model's server; `longest_seconds` is what a probe may take."""

    preflight: Preflight
    memory_mb: int
    timeout_seconds: int
    longest_seconds: float = LONGEST_SECONDS

    def __call__(self, model: str, deployed: Deployed, live: Deployed | None) -> dict[str, Any]:
        """What was measured: `peak_mb` with both loaded, seconds to load, milliseconds of answers to one row, and from where the
        rows came.

        Raises
        ------
        Refused
            If the version cannot be loaded, or not answer, or not in the memory and time of its server; with the figures.
        Throttled
            If S3 asks for patience.
        """
        label = f"Version {deployed.version} of {model}"
        measured = self._run(label, deployed, live)
        if problem := measured.get("problem"):
            raise Refused(f"{label} was loaded and tried: {problem}")
        peak = measured["peak_mb"]
        if peak > self.memory_mb:
            beside = f"beside version {live.version} " if live else ""
            raise Refused(
                f"{label} took {peak} MB of memory when it was loaded {beside}and answered; its server has {self.memory_mb} MB. "
                f"Raise memory_mb of the model, deploy, and promote again."
            )
        slowest = measured["load_seconds"] + measured["slowest_ms"] / 1000
        if slowest > self.timeout_seconds:
            raise Refused(
                f"{label} took {measured['load_seconds']:.1f} s to load and up to {measured['slowest_ms']:.0f} ms for an answer; "
                f"its server has {self.timeout_seconds} s for both. Raise timeout_seconds or memory_mb, or make the model smaller."
            )
        return {**measured, "memory_mb": self.memory_mb, "timeout_seconds": self.timeout_seconds}

    def _run(self, label: str, deployed: Deployed, live: Deployed | None) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            self._fetch(Path(folder), deployed)
            try:
                if live:
                    self._fetch(Path(folder), live)
            except Refused:  # a server that starts now cannot load it either
                live = None
            given = {
                "folder": folder,
                "memory_mb": self.memory_mb,
                "candidate": asdict(deployed),
                "live": asdict(live) if live else None,
            }
            return self._ask(label, given)

    def _fetch(self, folder: Path, version: Deployed) -> None:
        try:
            fetch_packages(version, self.preflight.s3)
        except Unusable as error:
            raise Refused(f"Version {version.version} cannot be loaded: {error}") from None
        example = example_of(version)
        for file in [*loaded_files(version), *([example] if example else [])]:
            if not (folder / file.sha256).exists():
                try:
                    self.preflight.download(file, folder / file.sha256)
                except Refused:
                    (folder / file.sha256).unlink(missing_ok=True)
                    raise

    def _ask(self, label: str, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            # The module is found where this one was, on Lambda as anywhere. It gets no credentials: it needs none.
            run = subprocess.run(
                [sys.executable, "-m", "labcycle_lambdas.promotion.probe"],
                input=json.dumps(given),
                capture_output=True,
                text=True,
                check=False,
                timeout=self.longest_seconds,
                env={
                    **without_credentials(os.environ),
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
            )
        except subprocess.TimeoutExpired:
            raise Refused(
                f"{label} did not load and answer within {self.longest_seconds:g} s: it hangs, or is far too slow. It was stopped."
            ) from None
        if run.returncode == -signal.SIGKILL:
            raise Refused(
                f"{label} needs more memory than the {self.memory_mb} MB of its server: it was stopped while it was loaded or "
                f"answered. Raise memory_mb of the model, deploy, and promote again."
            )
        if run.returncode != 0:
            how = f"signal {-run.returncode}" if run.returncode < 0 else f"exit code {run.returncode}"
            raise Refused(
                f"{label} took its process down when it was loaded and tried ({how}): "
                f"{run.stderr.strip()[-_STDERR_CHARACTERS:] or 'it said nothing'}"
            )
        measured: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return measured
