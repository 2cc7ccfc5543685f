"""A team on the local cloud as its members see it: what was deployed for it, and what they do by command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labcycle.demo.checklist import StepFailed
from labcycle.local.cloud import LocalCloud


@dataclass
class DemoTeam:
    """Team `name` with the model `model`; `outputs` are those of its stacks, once they are deployed."""

    cloud: LocalCloud
    name: str
    model: str
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def output(self, stack: str, key: str) -> str:
        return self.outputs[f"labcycle-{self.name}-{stack}"][key]

    def of_model(self, key: str) -> str:
        """An output of the model's stack."""
        return self.output(f"model-{self.model}", key)

    def role(self, member: str) -> tuple[str, str]:
        """Role and session of a member."""
        return f"labcycle-{self.name}-{member}", member

    def member(self, name: str) -> dict[str, str]:
        """The environment of a member who has signed in."""
        return self.cloud.environment(self.cloud.assume(*self.role(name)))

    def labcycle(self, member: str, *arguments: str, well: Sequence[int] = (0,)) -> str:
        """What a command says to a member."""
        mlflow = {"MLFLOW_TRACKING_URI": self.output("tracking", "TrackingUrl")}
        command = [sys.executable, "-m", "labcycle.cli", *arguments]
        return run(command, {**self.member(member), **mlflow}, well)

    def said(self, member: str, *arguments: str) -> Any:
        """The JSON that a command says to a member; also where it says, by exit code 1, that something is wrong with the model."""
        return json.loads(self.labcycle(member, *arguments, "--json", well=(0, 1)))

    def live(self, member: str) -> str | None:
        live = self.said(member, "models", "deployment", self.model)["deployment"]["live"]
        return str(live["version"]) if live else None

    def events(self, member: str) -> list[dict[str, Any]]:
        """What happened to the model, in order."""
        return list(self.said(member, "models", "history", self.model)["events"])

    def log_and_register(self, member: str, recipe: Path, rows: Path, c: str) -> dict[str, Any]:
        """What the script of a data scientist says: it trains by the recipe, logs with MLflow and registers the model."""
        script = Path(__file__).parent / "scientist.py"
        mlflow = {"MLFLOW_TRACKING_URI": self.output("tracking", "TrackingUrl"), "MLFLOW_TRACKING_AUTH": "labcycle"}
        said = run(
            [sys.executable, str(script), str(recipe), str(rows), self.model, c], {**self.member(member), **mlflow}
        )
        made: dict[str, Any] = json.loads(said.splitlines()[-1])
        return made

    def put(self, member: str, key: str, body: bytes) -> str:
        """Put an object into the team's bucket, as a member; its address."""
        bucket = self.output("tracking", "ArtifactBucket")
        s3 = self.cloud.client("s3", self.cloud.assume(*self.role(member)))
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    def invoke(self, function: str) -> dict[str, Any]:
        answer = self.cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise StepFailed(f"{function} failed: {payload}")
        return dict(payload)

    def alarm_state(self, alarm: str) -> str:
        found = self.cloud.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return str(found[0]["StateValue"]) if found else "missing"

    def notice(self, about: str) -> dict[str, Any] | None:
        """The first notice that speaks of something."""
        return next((n for n in self.cloud.notices() if about in n["subject"] + n["text"]), None)


def run(command: list[str], environment: Mapping[str, str], well: Sequence[int] = (0,)) -> str:
    """Standard output of a command. Raises `StepFailed` with what it printed where its exit code is none of `well`."""
    done = subprocess.run(command, env={**environment}, capture_output=True, text=True, check=False)
    if done.returncode not in well:
        raise StepFailed(f"{' '.join(Path(part).name for part in command[:4])} failed: {done.stderr.strip()[-1500:]}")
    return done.stdout


def wait(ask: Callable[[], Any], good: Callable[[Any], bool], seconds: float, what: str) -> Any:
    """Ask again until the answer is good. Raises `StepFailed` after `seconds`."""
    end = time.monotonic() + seconds
    while not good(answer := ask()):
        if time.monotonic() > end:
            raise StepFailed(f"{what} did not come within {seconds:.0f} s; last seen: {answer}")
        time.sleep(0.3)
    return answer
