"""What a job of a sweep runs: the points of one lane, one after the other, each as a process and a run of its own.

Started as `python -m labcycle.sweeps.lane`, by the job definition. Which sweep, submission and lane it is, is in the environment, the
lane from AWS Batch. It exits with 0 when each of its points had its turn, also where they failed: that is in the ledger. After an
interruption Batch starts it again, and it goes on with the points that have no end yet.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import random
from types import FrameType
from typing import Any

import boto3

from labcycle.client.api import ApiError
from labcycle.client.record import IMAGE, PLATFORM, PYTHON
from labcycle.client.surroundings import surroundings
from labcycle.lineage.runs_client import Run, RunsClient
from labcycle.sweeps import tags
from labcycle.sweeps.plan import arguments_of, text_of, variables_of
from labcycle.sweeps.store import Manifest, Store, Submission

METRICS = "metrics.json"
STOPPED_CODE = 143  # as a shell tells of SIGTERM
INTERRUPTED = "interrupted: its machine was taken back, or broke"
_REASON_CHARACTERS, _LAST_LINES = 1_000, 12
MINUTE_SECONDS = 60.0
PATIENCE_SECONDS = (5, 10, 20, 40, 80, 160)
_PASSING = (0, 429, 502, 503, 504)
_GRACE_SECONDS = 20  # Batch gives 30


@dataclass(frozen=True)
class Ended:
    """How one try of a point ended."""

    status: str
    reason: str
    code: int


class PatientRuns(RunsClient):
    """Waits where the API asks for patience for longer than a person would: the lanes of a sweep may be too many for it."""

    def call(self, *asked: Any, **how: Any) -> dict[str, Any]:
        for seconds in PATIENCE_SECONDS:
            try:
                return super().call(*asked, **how)
            except ApiError as error:
                if error.status not in _PASSING:
                    raise
                self._sleep(seconds * (0.5 + random()))
        return super().call(*asked, **how)


class Lane:
    """One lane of one submission; `script` is run in `folder`."""

    def __init__(
        self,
        runs: RunsClient,
        manifest: Manifest,
        submission: Submission,
        lane: int,
        folder: Path,
        script: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs, self._manifest, self._submission, self._lane = runs, manifest, submission, lane
        self._sweep = manifest.plan
        self._folder, self._script = folder, script
        self._monotonic = monotonic
        self._began = monotonic()
        self._spent_before = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        around = surroundings()
        self._around = {PYTHON: around["python"], PLATFORM: around["platform"], IMAGE: around["image"]}

    def run(self, earlier: list[Run]) -> str:
        """Why it ended: `done`, `budget` or `stopped`. `earlier` are the runs that this lane made before it was interrupted."""
        tried = self._close(earlier)
        for point in self._submission.of_lane(self._lane):
            before = tried.get(point, [])
            failed = sum(run.status == "FAILED" for run in before)
            if failed > self._sweep.retries or any(run.status == "FINISHED" for run in before):
                continue
            attempt = len(before)
            while failed <= self._sweep.retries:
                if self._stopping:
                    return "stopped"
                if self._is_spent():
                    return "budget"
                attempt += 1
                ended = self._try(point, attempt)
                if ended.status != "FAILED":
                    break
                failed += 1
        return "stopped" if self._stopping else "done"

    def stop(self, number: int, frame: FrameType | None) -> None:
        """The machine goes away, or somebody stopped the job."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            timer = threading.Timer(_GRACE_SECONDS, self._process.kill)
            timer.daemon = True
            timer.start()

    def _is_spent(self) -> bool:
        """Each lane has its share of the budget, so that none has to know of the others."""
        budget = self._submission.budget_usd
        hours = (self._monotonic() - self._began) / 3600
        return (
            budget is not None
            and self._spent_before + hours * self._manifest.usd_hour >= budget / self._submission.lanes
        )

    def _close(self, earlier: list[Run]) -> dict[int, list[Run]]:
        """By point, its runs; those without an end get one, since their process is no more."""
        tried: dict[int, list[Run]] = {}
        for run in earlier:
            if run.status in ("RUNNING", "SCHEDULED"):
                self._runs.log(run.run_id, tags={tags.REASON: INTERRUPTED})
                self._runs.set_status(run.run_id, "KILLED")
            else:
                self._spent_before += max(run.end_time - run.start_time, 0) / 3_600_000 * self._manifest.usd_hour
            tried.setdefault(int(run.tags[tags.POINT]), []).append(run)
        return tried

    def _try(self, point: int, attempt: int) -> Ended:
        manifest, values = self._manifest, self._manifest.points[point]
        run_id = self._runs.create(
            manifest.experiment_id,
            {
                tags.PARENT: manifest.sweep,
                tags.SWEEP: manifest.sweep,
                tags.POINT: str(point),
                tags.ATTEMPT: str(attempt),
                tags.LANE: str(self._lane),
                tags.SUBMISSION: str(self._submission.number),
                tags.SCRIPT: manifest.script_sha256,
                **{key: value for key, value in {**self._around, **manifest.code}.items() if value},
            },
            name=f"{manifest.name}-{point}",
        )
        (self._folder / METRICS).unlink(missing_ok=True)
        said: deque[str] = deque(maxlen=_LAST_LINES)
        began = self._start(run_id, point, values, said)
        params = {name: text_of(value) for name, value in values.items()}
        try:
            self._runs.log(run_id, params=params)  # while the script begins
        except BaseException:
            if self._process is not None:
                self._process.kill()
            raise
        ended = began if began else self._wait(said)
        metrics = _metrics(self._folder / METRICS) if ended.status == "FINISHED" else {}
        if isinstance(metrics, str):
            ended, metrics = Ended("FAILED", metrics, ended.code), {}
        told = {tags.EXIT_CODE: str(ended.code), **({tags.REASON: ended.reason} if ended.reason else {})}
        self._runs.log(run_id, metrics=metrics, tags=told)
        self._runs.set_status(run_id, ended.status)
        print(f"point {point}, try {attempt}: {ended.status} {ended.reason}".strip(), flush=True)
        return ended

    def _start(self, run_id: str, point: int, values: Mapping[str, Any], said: deque[str]) -> Ended | None:
        """None once it runs; else why it does not."""
        environment = {
            **os.environ,
            **variables_of(values),
            "MLFLOW_RUN_ID": run_id,
            "MLFLOW_EXPERIMENT_ID": self._manifest.experiment_id,
            "LABCYCLE_SWEEP_POINT": str(point),
        }
        command = [sys.executable, str(self._script), *arguments_of(values)]
        try:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            return Ended("FAILED", f"the script cannot be started: {error}", 127)
        if self._stopping:
            self._process.terminate()
        self._reader = threading.Thread(target=_pass_on, args=(self._process, said), daemon=True)
        self._reader.start()
        return None

    def _wait(self, said: deque[str]) -> Ended:
        assert self._process is not None
        try:
            code = self._process.wait(self._sweep.timeout_minutes * MINUTE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return Ended("FAILED", f"it ran longer than {self._sweep.timeout_minutes} minutes (timeout_minutes)", 124)
        self._reader.join(5)
        if self._stopping:
            return Ended("KILLED", "stopped before its end", STOPPED_CODE)
        if code == 0:
            return Ended("FINISHED", "", 0)
        code = 128 - code if code < 0 else code
        last = "\n".join(said).strip()[-_REASON_CHARACTERS:]
        return Ended("FAILED", f"exit code {code}: {last}" if last else f"exit code {code}", code)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Exit code of the process."""
    sweep, number = environment["LABCYCLE_SWEEP"], int(environment["LABCYCLE_SUBMISSION"])
    job, _, _ = environment["AWS_BATCH_JOB_ID"].partition(":")
    lane = int(environment.get("AWS_BATCH_JOB_ARRAY_INDEX", "0"))
    store = Store(boto3.client("s3"), environment["LABCYCLE_BUCKET"])
    first = store.claim(sweep, number, job)
    if first != job:
        print(f"submission {number} of the sweep {sweep} is the job {first}; this one does nothing", flush=True)
        return 0
    manifest, submission = store.manifest(sweep), store.submission(sweep, number)
    if manifest is None or submission is None:
        print(f"the sweep {sweep} has no manifest, or no submission {number}", file=sys.stderr, flush=True)
        return 2
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:  # where the image may have none that can be written
        return _run(store, manifest, submission, lane, Path(folder), int(environment.get("AWS_BATCH_JOB_ATTEMPT", "1")))


def _run(store: Store, manifest: Manifest, submission: Submission, lane: int, folder: Path, attempt: int) -> int:
    script = folder / manifest.script_name
    script.write_bytes(store.script(manifest.script_sha256))
    runs = PatientRuns()
    found = Lane(runs, manifest, submission, lane, folder, script)
    signal.signal(signal.SIGTERM, found.stop)
    earlier: list[Run] = []
    if attempt > 1:
        mine = f"tags.`{tags.SUBMISSION}` = '{submission.number}' AND tags.`{tags.LANE}` = '{lane}'"
        earlier = runs.search([manifest.experiment_id], f"tags.`{tags.PARENT}` = '{manifest.sweep}' AND {mine}")
    why = found.run(earlier)
    if why == "budget":
        store.note_lane(manifest.sweep, submission.number, lane, why)
        print(f"lane {lane} has spent its share of the budget", flush=True)
    return STOPPED_CODE if why == "stopped" else 0


def _pass_on(process: subprocess.Popen[bytes], said: deque[str]) -> None:
    """What the script tells on its standard error, to the log of the job and to whoever asks why it failed."""
    assert process.stderr is not None
    for line in process.stderr:
        text = line.decode(errors="replace").rstrip("\n")
        said.append(text)
        print(text, file=sys.stderr, flush=True)


def _metrics(file: Path) -> dict[str, float] | str:
    """What a script without MLflow's client measured; what is wrong with it, where something is."""
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): float(value) for key, value in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        return f"{METRICS} is no JSON object of numbers: {error}"


if __name__ == "__main__":
    sys.exit(main())
