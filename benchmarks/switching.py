"""A model changes its version under constant load, in the local cloud: by hand, by itself, and back.

    python -m benchmarks.switching [--requests 10000]

Two versions are trained on scikit-learn's breast cancer data; a third fails on three rows in ten. The bad one and the second good
one are promoted in steps while consumers go on asking, then versions are switched at once, in both directions. Every answer is
counted. Exits 1 where a limit is not kept. It needs the local cloud (the extra `local`), and takes about twenty minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
import mlflow.onnx
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

from benchmarks.figures import Figure, report
from labcycle.config import names
from labcycle.demo import data
from labcycle.demo.consumer import call
from labcycle.demo.life_cycle import MODEL, RECIPE, REVIEWER, SCIENTIST, TEAM
from labcycle.local.cloud import LocalCloud
from labcycle.local.settings import DEFAULT_ACCOUNT, DEFAULT_REGION
from tests.failing_model import failing_above

CONSUMERS = 4  # that ask one request after the other
PERCENT = 10
LOOK_SECONDS = 60  # of the state machine
POLICY = f"    promotion: {{canary_percents: [{PERCENT}], step_minutes: 1, complete_runs: false}}\n"
RATES = ("memory_mb: 2048}", "memory_mb: 2048, requests_per_second: 1000, burst: 1000}")  # or the API answers 429
FAILING_SHARE = 0.3
SWITCH_SECONDS = 5.0
SETTLE_SECONDS = 30  # after a switch, in which answers of the other version are looked for
PORT = 4599


@dataclass(frozen=True)
class Answered:
    """When an answer came (seconds of a monotonic clock), its status and the version that gave it."""

    at: float
    status: int
    version: str


@dataclass
class Load:
    """Consumers who ask all the time, each row of the data in turn."""

    url: str
    environment: Mapping[str, str]
    frame: pd.DataFrame
    answers: list[Answered] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        consumers = [threading.Thread(target=self._ask, args=(stop, number)) for number in range(CONSUMERS)]
        for consumer in consumers:
            consumer.start()
        try:
            yield
        finally:
            stop.set()
            for consumer in consumers:
                consumer.join()

    def until(self, count: int) -> None:
        """Wait until so many answers came."""
        while len(self.answers) < count:
            time.sleep(0.05)

    def _ask(self, stop: threading.Event, consumer: int) -> None:
        columns, number = list(self.frame.columns), consumer
        while not stop.is_set():
            row = self.frame.iloc[number % len(self.frame)].tolist()
            body = json.dumps({"dataframe_split": {"columns": columns, "data": [row]}}).encode()
            answer = call("POST", f"{self.url}/invocations", self.environment, body)
            version = answer.headers.get("x-labcycle-model-version", "")
            self.answers.append(Answered(time.monotonic(), answer.status, version))
            number += CONSUMERS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switching-") as folder:
        config = Path(folder) / "config"
        for kind in ("teams", "targets"):
            shutil.copytree(Path("infra") / kind, config / kind)
        team = config / "teams" / f"{TEAM}.yaml"
        entry = f"  - name: {MODEL}\n"
        team.write_text(team.read_text().replace(entry, entry + POLICY).replace(*RATES))
        with LocalCloud.start(DEFAULT_ACCOUNT, DEFAULT_REGION, PORT, folder=Path(folder) / "cloud") as cloud:
            cloud.bootstrap()
            assembly = Path(folder) / "assembly"
            cloud.synth(assembly, context={"config": str(config)})
            cloud.deploy(assembly, [f"{names.target_stage('eu-production')}/*", f"{names.team_stage(TEAM)}/*"])
            return report(Story(cloud).figures(asked.requests), "")


class Story:
    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._outputs = cloud.all_outputs()
        self._frame = data.baseline()
        self._features = self._frame.drop(columns=[data.TARGET])

    def figures(self, requests: int) -> Iterator[Figure]:
        good, bad = self._train("0.05"), self._broken()
        second = self._train("1.0")
        self._labcycle("promote", MODEL, good, "--now")
        url = self._output(names.model_stack(MODEL), "ModelUrl")
        load = Load(url, self._member(SCIENTIST), self._features)
        with load.running():
            load.until(200)
            yield from self._taken_back(load, bad)
            yield from self._made_live(load, second)
            yield from self._switched(load, requests, good, second)
        print(self._labcycle("history", MODEL), file=sys.stderr)

    def _taken_back(self, load: Load, version: str) -> Iterator[Figure]:
        first = len(load.answers)
        said = self._promote(version)
        events = {event["action"]: event["at"] for event in self._events()}
        seconds = _between(events["canary_started"], events["canary_withdrawn"])
        during = load.answers[first:]
        print(
            f"{len(during)} answers meanwhile, by version {dict(Counter(a.version for a in during))}", file=sys.stderr
        )
        assert "was taken back" in said, said
        yield Figure("bad version: in traffic", seconds, "s", 2 * LOOK_SECONDS)
        failed = sum(answer.status != 200 for answer in during)
        yield Figure(
            "bad version: failed answers", 100 * failed / len(during), "%", PERCENT, note=f"  of {len(during)}"
        )

    def _made_live(self, load: Load, version: str) -> Iterator[Figure]:
        first = len(load.answers)
        said = self._promote(version)
        assert "is live" in said, said
        time.sleep(SWITCH_SECONDS)
        last = load.answers[-CONSUMERS:]
        assert {answer.version for answer in last} == {version}, last
        failed = sum(answer.status != 200 for answer in load.answers[first:])
        yield Figure("good version: failed answers", failed, "", 0, note=f"  of {len(load.answers) - first}")

    def _switched(self, load: Load, requests: int, good: str, second: str) -> Iterator[Figure]:
        first = len(load.answers)
        load.until(first + requests // 3)
        yield self._switch(load, "promote without canary: switched", second, "promote", MODEL, good, "--now")
        load.until(first + 2 * requests // 3)
        yield self._switch(load, "rollback: switched", good, "rollback", MODEL)
        load.until(first + requests)
        failed = sum(answer.status != 200 for answer in load.answers[first:])
        yield Figure("both switches: failed answers", failed, "", 0, note=f"  of {len(load.answers) - first}")

    def _switch(self, load: Load, name: str, leaving: str, *command: str) -> Figure:
        """Seconds from the command's end to the last answer of the version that leaves."""
        self._labcycle(*command)
        done = time.monotonic()
        time.sleep(SETTLE_SECONDS)
        last = [answer.at for answer in load.answers if answer.version == leaving][-1]
        return Figure(name, max(0.0, last - done), "s", SWITCH_SECONDS)

    def _promote(self, version: str) -> str:
        """What `--watch` printed; it exits with 1 where the version is not live in the end."""
        done = self._run("promote", MODEL, version, "--watch")
        print(done.stdout + done.stderr, file=sys.stderr)
        return done.stdout

    def _train(self, c: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.csv"
            self._frame.to_csv(path, index=False)
            script = Path(data.__file__).parent / "scientist.py"
            command = [sys.executable, str(script), str(RECIPE), str(path), MODEL, c]
            done = subprocess.run(command, env=self._mlflow(SCIENTIST), capture_output=True, text=True, check=True)
        return str(json.loads(done.stdout.splitlines()[-1])["version"])

    def _broken(self) -> str:
        """A version that fails where the first feature is among its greatest three tenths."""
        bound = float(self._features.iloc[:, 0].quantile(1 - FAILING_SHARE))
        os.environ.update(self._mlflow(SCIENTIST))
        mlflow.set_tracking_uri(self._output("tracking", "TrackingUrl"))
        mlflow.set_experiment(MODEL)
        labels = np.zeros(len(self._features), dtype=np.int64)
        with mlflow.start_run():
            table = self._features.assign(prediction=labels)
            mlflow.log_table(table, "reference.json")
            logged = mlflow.onnx.log_model(
                failing_above(bound, self._features.shape[1]),
                name="model",
                signature=infer_signature(self._features, labels),
                registered_model_name=MODEL,
            )
        return str(logged.registered_model_version)

    def _events(self) -> list[dict[str, Any]]:
        return list(json.loads(self._labcycle("history", MODEL, "--json"))["events"])

    def _labcycle(self, *arguments: str) -> str:
        done = self._run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labcycle.cli", "models", *arguments]
        return subprocess.run(command, env=self._mlflow(REVIEWER), capture_output=True, text=True, check=False)

    def _member(self, member: str) -> dict[str, str]:
        return self._cloud.environment(self._cloud.assume(names.member_role(TEAM, member), member))

    def _mlflow(self, member: str) -> dict[str, str]:
        tracking = {"MLFLOW_TRACKING_URI": self._output("tracking", "TrackingUrl"), "MLFLOW_TRACKING_AUTH": "labcycle"}
        return {**self._member(member), **tracking}

    def _output(self, stack: str, key: str) -> str:
        return self._outputs[f"{names.team_stage(TEAM)}-{stack}"][key]


def _between(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


if __name__ == "__main__":
    raise SystemExit(main())
