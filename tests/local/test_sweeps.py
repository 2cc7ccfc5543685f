"""Sweeps on the local cloud: the team's own stacks, jobs as processes, the ledger's API, a member's own rights."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.config import names
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.runs_client import Run, RunsClient
from labcycle.local.cloud import LocalCloud
from labcycle.sweeps import cli, tags
from labcycle.sweeps.jobs import Jobs, JobView
from labcycle.sweeps.lane import INTERRUPTED
from labcycle.sweeps.store import Store
from labcycle.sweeps.sweep import Sweeps
from tests.local.conftest import free_port, until
from tests.one_team import synthesized

ACCOUNT, REGION, TEAM = "123456789012", "eu-west-1", "lab"
TARGET_FILE = {
    "target": "eu-lab",
    "account": ACCOUNT,
    "region": REGION,
    "zones": [f"{REGION}a", f"{REGION}b"],
    "network": {"name": "lab", "egress": "nat"},
}
TEAM_FILE = {
    "team": TEAM,
    "owner": "lab@example.com",
    "cost_centre": "cc-1",
    "target": "eu-lab",
    "stage": "sandbox",
    "members": [
        {"name": name, "principal": {"iam_user": name}, "roles": ["data_scientist"]} for name in ("ada", "bob")
    ],
    "compute": {"image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/experiments:1"},
}
TREES = """
import argparse, json, pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--max_depth", type=int)
parser.add_argument("--criterion")
parser.add_argument("--min_samples_leaf", type=int)
parser.add_argument("--folder", type=pathlib.Path)
given = parser.parse_args()
if given.max_depth == 7:
    (given.folder / "late.csv").read_text()

from sklearn.tree import DecisionTreeClassifier

rows = [[x / 10, y / 10] for x in range(-10, 11) for y in range(-10, 11)]
labels = [int(x * x + y * y < 0.5) for x, y in rows]
model = DecisionTreeClassifier(
    max_depth=given.max_depth, criterion=given.criterion, min_samples_leaf=given.min_samples_leaf, random_state=0
)
model.fit(rows[::2], labels[::2])
pathlib.Path("metrics.json").write_text(json.dumps({"accuracy": model.score(rows[1::2], labels[1::2])}))
"""
SQUARE = """
import json, os, pathlib, time

x = float(os.environ["PARAM_X"])
hold = pathlib.Path(os.environ["PARAM_FOLDER"]) / "hold"
while hold.exists():
    time.sleep(0.05)
pathlib.Path("metrics.json").write_text(json.dumps({"loss": (x - 2) ** 2}))
"""


@dataclass
class Lab:
    """The team's cloud, and its members at the command line."""

    cloud: LocalCloud
    url: str
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)

    def environment(self, member: str) -> dict[str, str]:
        if member not in self.sessions:
            signed_in = self.cloud.assume(names.member_role(TEAM, member), member)
            address = {"MLFLOW_TRACKING_URI": self.url, "MLFLOW_TRACKING_AUTH": "labcycle"}
            self.sessions[member] = {**self.cloud.environment(signed_in), **address}
        return self.sessions[member]

    def command(self, *words: str, member: str = "ada") -> tuple[int, str]:
        boto3.DEFAULT_SESSION = None
        found = CliRunner().invoke(app, ["sweep", *words], env=self.environment(member))
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found.exit_code, found.output

    def document(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.command(*words, "--json")[1])
        return document

    def until(self, sweep: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """As ada, what `labcycle sweep status` shows, once that holds."""
        sweeps = Sweeps()
        for _ in range(1_200):
            status = asdict(sweeps.look(sweep))
            if holds(status):
                return status
            time.sleep(0.5)
        raise AssertionError(status)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    assembly = synthesized(tmp_path_factory.mktemp("team"), TEAM_FILE, TARGET_FILE)
    with LocalCloud.start(ACCOUNT, REGION, free_port(), folder=tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.bootstrap()
        cloud.deploy(assembly.directory)
        yield Lab(cloud, cloud.outputs(f"labcycle-{TEAM}-tracking")["TrackingUrl"])
    boto3.DEFAULT_SESSION = None


@pytest.fixture(autouse=True)
def runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> RunsClient:
    boto3.DEFAULT_SESSION = None
    for key, value in lab.environment("ada").items():
        monkeypatch.setenv(key, value)
    return RunsClient()


def ended(status: dict[str, Any]) -> bool:
    return bool(status["state"] != "under way")


def children(runs: RunsClient, sweep: str) -> list[Run]:
    return runs.search([runs.run(sweep).experiment_id], f"tags.`{tags.PARENT}` = '{sweep}'")


def by_point(found: list[Run], status: str) -> Counter[int]:
    return Counter(int(run.tags[tags.POINT]) for run in found if run.status == status)


def written(folder: Path, script: str = SQUARE, **changed: Any) -> Path:
    """A sweep of three points that wait while `hold` is in the folder, unless it is changed."""
    sweep = {
        "experiment": "squares",
        "script": "script.py",
        "parameters": {"x": {"choices": [1, 2, 3]}, "folder": {"choices": [str(folder)]}},
        "method": "grid",
        "concurrency": 2,
        "metric": "loss",
        "mode": "min",
        **changed,
    }
    (folder / "script.py").write_text(script)
    (folder / "squares.yaml").write_text(yaml.safe_dump(sweep))
    return folder / "squares.yaml"


def test_a_hundred_runs_of_which_ten_fail_and_one_is_interrupted(lab: Lab, runs: RunsClient, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        TREES,
        experiment="trees",
        parameters={
            "max_depth": {"low": 1, "high": 10, "steps": 10},
            "criterion": {"choices": ["gini", "entropy"]},
            "min_samples_leaf": {"choices": [1, 2, 3, 5, 8]},
            "folder": {"choices": [str(tmp_path)]},
        },
        concurrency=4,
        metric="accuracy",
        mode="max",
    )
    sweep = lab.document("run", str(file))["sweep"]
    status = lab.until(sweep, lambda status: status["done"] >= 5 and status["running"] > 0)
    running = next(run for run in children(runs, sweep) if run.status == "RUNNING")
    lab.cloud.interrupt(f"{status['job']}:{running.tags[tags.LANE]}")

    status = lab.until(sweep, ended)
    assert (status["state"], status["done"], status["failed"], status["waiting"]) == ("incomplete", 90, 10, 0)
    assert all("late.csv" in failure["reason"] for failure in status["failures"])
    first = children(runs, sweep)
    interrupted = [run for run in first if run.status == "KILLED"]
    assert [run.tags[tags.REASON] for run in interrupted] == [INTERRUPTED]
    assert by_point(first, "FINISHED")[int(interrupted[0].tags[tags.POINT])] == 1
    assert {run.tags[tags.EXIT_CODE] for run in first if run.status == "FAILED"} == {"1"}
    assert lab.command("status", sweep)[0] == 1
    assert runs.run(sweep).status == "FAILED"

    (tmp_path / "late.csv").write_text("at last")
    assert lab.command("resume", sweep)[0] == 0
    status = lab.until(sweep, ended)
    assert (status["state"], status["done"], status["failed"]) == ("complete", 100, 0)
    group = children(runs, sweep)
    assert by_point(group, "FINISHED") == Counter(range(100))  # each once
    assert Counter(run.status for run in group) == {"FINISHED": 100, "FAILED": 10, "KILLED": 1}
    assert {run.run_id for run in first} < {run.run_id for run in group}
    best = max(run.metrics["accuracy"] for run in group if run.status == "FINISHED")
    named = runs.run(status["best"]["run_id"])
    assert named.metrics["accuracy"] == status["best"]["value"] == best
    assert named.params == {**status["best"]["params"]} and len(named.params) == 4
    parent = runs.run(sweep)
    assert parent.status == "FINISHED" and parent.tags[tags.BEST_RUN] == named.run_id
    assert {run.user_id for run in group} == {"ada"} == {parent.user_id}
    code, said = lab.command("resume", sweep)
    assert code == 2 and "is complete" in said


def test_a_command_that_is_cut_off_leaves_no_doubt(
    lab: Lab, runs: RunsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the job was submitted and before that was noted; before it was submitted; and where it was submitted twice."""
    file = str(written(tmp_path))
    begun: list[str] = []
    with monkeypatch.context() as patched, pytest.raises(CutOff):
        patched.setattr(Store, "claim", lambda self, sweep, number, job: _cut_off(begun, sweep))
        lab.command("run", file)
    assert lab.until(begun[0], ended)["state"] == "complete"
    assert by_point(children(runs, begun[0]), "FINISHED") == Counter(range(3))

    with monkeypatch.context() as patched, pytest.raises(CutOff):
        patched.setattr(Jobs, "submit", lambda *_, **given: _cut_off(begun, given["environment"]["LABCYCLE_SWEEP"]))
        lab.command("run", file)
    assert lab.document("status", begun[1])["state"] == "not submitted"

    submit = Jobs.submit

    def twice(self: Jobs, name: str, **given: Any) -> str:
        submit(self, name, **given)
        return submit(self, name, **given)

    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "submit", twice)
        assert lab.command("resume", begun[1])[0] == 0
    assert lab.until(begun[1], ended)["state"] == "complete"
    jobs = lab.cloud.client("batch").list_jobs(
        jobQueue=names.job_queue(TEAM, "cpu"), filters=[{"name": "JOB_NAME", "values": [f"labcycle-{begun[1]}-1"]}]
    )["jobSummaryList"]
    assert len(jobs) == 2
    assert until(lambda: all(_status(lab, job["jobId"]) == "SUCCEEDED" for job in jobs))
    assert by_point(children(runs, begun[1]), "FINISHED") == Counter(range(3)) == by_point_of_all(runs, begun[1])


def by_point_of_all(runs: RunsClient, sweep: str) -> Counter[int]:
    return Counter(int(run.tags[tags.POINT]) for run in children(runs, sweep))


def _status(lab: Lab, job: str) -> str:
    return str(lab.cloud.client("batch").describe_jobs(jobs=[job])["jobs"][0]["status"])


class CutOff(Exception):
    """The member's machine goes down."""


def _cut_off(begun: list[str], sweep: str) -> str:
    begun.append(sweep)
    raise CutOff


def test_a_job_that_is_not_seen_yet_has_not_ended(
    lab: Lab, runs: RunsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path)
    (tmp_path / "hold").touch()
    sweep = lab.document("run", str(file))["sweep"]
    lab.until(sweep, lambda status: status["running"] > 0)
    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "look", lambda self, *jobs: {job: JobView(job) for job in jobs})
        assert lab.document("status", sweep)["state"] == "under way"
        assert {run.status for run in children(runs, sweep)} == {"RUNNING"} == {runs.run(sweep).status}
    (tmp_path / "hold").unlink()
    assert lab.until(sweep, ended)["state"] == "complete"


def test_a_sweep_is_stopped_and_goes_on_later(lab: Lab, runs: RunsClient, tmp_path: Path) -> None:
    file = written(tmp_path)
    (tmp_path / "hold").touch()
    sweep = lab.document("run", str(file))["sweep"]
    lab.until(sweep, lambda status: status["running"] == 2)
    code, said = lab.command("resume", sweep)
    assert code == 2 and "is under way" in said
    assert lab.command("stop", sweep, member="ada")[0] == 0
    status = lab.until(sweep, ended)
    assert (status["state"], status["done"], status["waiting"]) == ("stopped", 0, 1)
    assert runs.run(sweep).status == "KILLED"
    assert {run.status for run in children(runs, sweep)} == {"KILLED"}
    code, said = lab.command("stop", sweep)
    assert code == 2 and "has ended already" in said
    (tmp_path / "hold").unlink()
    assert lab.command("resume", sweep)[0] == 0
    status = lab.until(sweep, ended)
    assert (status["state"], status["best"]["params"]["x"], status["best"]["value"]) == ("complete", "2", 0.0)


def test_no_point_begins_when_the_budget_is_spent(lab: Lab, runs: RunsClient, tmp_path: Path) -> None:
    slow = SQUARE + "\ntime.sleep(0.5)\n"
    a_second = 0.0425 / 3600
    file = written(tmp_path, slow, concurrency=1, budget_usd=a_second / 4)
    sweep = lab.document("run", str(file))["sweep"]
    status = lab.until(sweep, ended)
    assert (status["state"], status["done"], status["failed"], status["waiting"]) == ("out of budget", 1, 0, 2)
    code, said = lab.command("resume", sweep)
    assert code == 2 and "Give it more: --budget-usd" in said
    assert lab.command("resume", sweep, "--budget-usd", "1")[0] == 0
    assert lab.until(sweep, ended)["state"] == "complete"


def test_points_that_fail_are_tried_again_and_the_reasons_kept(lab: Lab, runs: RunsClient, tmp_path: Path) -> None:
    flaky = """
import os, pathlib, sys
mark = pathlib.Path(os.environ["PARAM_FOLDER"]) / ("tried-" + os.environ["PARAM_X"])
if not mark.exists():
    mark.touch()
    sys.exit("no luck with " + os.environ["PARAM_X"])
"""
    sweep = lab.document("run", str(written(tmp_path, flaky, retries=1)))["sweep"]
    status = lab.until(sweep, ended)
    assert (status["state"], status["without_metric"], status["best"]) == ("complete", 3, None)
    group = children(runs, sweep)
    assert Counter(run.status for run in group) == {"FINISHED": 3, "FAILED": 3}
    assert {run.tags[tags.REASON] for run in group if run.status == "FAILED"} == {
        f"exit code 1: no luck with {x}" for x in (1, 2, 3)
    }


def test_a_job_may_log_and_read_and_nothing_else(lab: Lab, runs: RunsClient, tmp_path: Path) -> None:
    trying = f"""
import json, os, pathlib
import boto3
from botocore.exceptions import ClientError
from labcycle.client.api import ApiError, TeamApi
from labcycle.lineage.artifacts import Artifacts
from labcycle.lineage.runs_client import RunsClient

s3, api, bucket = boto3.client("s3"), TeamApi(), os.environ["LABCYCLE_BUCKET"]
def refused(call):
    try:
        call()
    except ClientError as error:
        return float(error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403"))
    except ApiError as error:
        return float(error.status == 403)
    return 0.0
run = RunsClient().run(os.environ["MLFLOW_RUN_ID"])
Artifacts(api).write(run.artifact_uri, "note.txt", b"hello")
found = {{
    "data": refused(lambda: s3.put_object(Bucket=bucket, Key="data/rows.csv", Body=b"")),
    "manifest": refused(lambda: s3.put_object(Bucket=bucket, Key="data/sweeps/x/manifest.json", Body=b"")),
    "delete": refused(lambda: s3.delete_object(Bucket=bucket, Key="experiments/x")),
    "register": refused(lambda: api.call("POST", "/api/2.0/mlflow/registered-models/create", body={{"name": "m"}})),
    "promote": refused(lambda: api.call("POST", "/labcycle/1.0/models/m/promote", body={{"version": "1"}})),
    "submit": refused(lambda: boto3.client("batch").submit_job(
        jobName="j", jobQueue="labcycle-{TEAM}-cpu", jobDefinition="labcycle-{TEAM}-ada")),
    "table": refused(lambda: boto3.client("dynamodb").scan(TableName="labcycle-{TEAM}-ledger")),
}}
pathlib.Path("metrics.json").write_text(json.dumps(found))
"""
    file = written(tmp_path, trying, parameters={"x": {"choices": [1]}})
    sweep = lab.document("run", str(file))["sweep"]
    assert lab.until(sweep, ended)["state"] == "complete"
    (run,) = children(runs, sweep)
    assert set(run.metrics.values()) == {1.0} and len(run.metrics) == 7


def test_a_script_with_the_stock_client_goes_on_with_its_points_run(lab: Lab, runs: RunsClient, tmp_path: Path) -> None:
    stock = """
import sys
import mlflow
from sklearn.linear_model import LogisticRegression

with mlflow.start_run():
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    mlflow.log_metric("accuracy", 1.0)
    mlflow.log_text("hello", "note.txt")
    mlflow.sklearn.log_model(model, name="model")
"""
    file = written(tmp_path, stock, parameters={"x": {"choices": [1]}}, metric="accuracy", mode="max")
    sweep = lab.document("run", str(file))["sweep"]
    status = lab.until(sweep, ended)
    assert status["state"] == "complete", status["failures"]
    (run,) = children(runs, sweep)
    assert (status["best"]["run_id"], run.metrics, run.params) == (run.run_id, {"accuracy": 1.0}, {"x": "1"})
    assert len(run.models) == 1
    assert Artifacts(runs).read(run.artifact_uri, "note.txt") == b"hello"


def test_jobs_are_refused_as_batch_refuses_them(lab: Lab) -> None:
    ada = lab.cloud.client("batch", lab.cloud.assume(names.member_role(TEAM, "ada"), "ada"))
    asked: dict[str, Any] = {
        "jobName": "j",
        "jobQueue": names.job_queue(TEAM, "cpu"),
        "jobDefinition": names.job_definition(TEAM, "ada"),
    }
    with pytest.raises(ada.exceptions.ClientError, match="AccessDenied"):
        ada.submit_job(**asked)  # without the tags of its owner
    asked["tags"] = {"labcycle:team": TEAM, "labcycle:member": "ada"}
    for wrong, told in (
        ({"jobName": "a b"}, "valid pattern"),
        ({"arrayProperties": {"size": 1}}, "between 2 and 10000"),
        ({"arrayProperties": {"size": 10_001}}, "between 2 and 10000"),
        ({"dependsOn": [{"jobId": "x"}]}, "no dependencies"),
    ):
        with pytest.raises(ada.exceptions.ClientException, match=told):
            ada.submit_job(**{**asked, **wrong})
    missing = lab.cloud.client("batch")
    for wrong in ({"jobQueue": "nowhere"}, {"jobDefinition": "nothing"}):
        with pytest.raises(missing.exceptions.ClientException, match="not found"):
            missing.submit_job(**{**asked, **wrong})


def test_a_job_that_takes_too_long_or_fails_by_itself_is_not_begun_again(lab: Lab) -> None:
    root = lab.cloud.client("batch")
    asked = {
        "jobName": "j",
        "jobQueue": names.job_queue(TEAM, "cpu"),
        "jobDefinition": names.job_definition(TEAM, "ada"),
    }
    slow = {"command": ["python", "-c", "import time; time.sleep(60)"]}
    broken = {"command": ["python", "-c", "raise SystemExit(7)"]}
    jobs = [
        root.submit_job(**asked, containerOverrides=slow, timeout={"attemptDurationSeconds": 1})["jobId"],
        root.submit_job(**asked, containerOverrides=broken)["jobId"],
        root.submit_job(**asked, containerOverrides=broken, retryStrategy={"attempts": 3})["jobId"],
    ]
    assert until(lambda: all(_status(lab, job) == "FAILED" for job in jobs), seconds=60)
    found = {job["jobId"]: job for job in root.describe_jobs(jobs=jobs)["jobs"]}
    timed_out, once, thrice = (found[job] for job in jobs)
    assert timed_out["statusReason"] == "Job attempt duration exceeded timeout"
    assert [len(job["attempts"]) for job in (timed_out, once, thrice)] == [1, 1, 3]
    assert once["container"]["exitCode"] == 7


def test_a_members_jobs_are_nobody_elses(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    sweep = lab.document("run", str(written(tmp_path)))["sweep"]
    status = lab.until(sweep, lambda status: status["running"] > 0)
    code, said = lab.command("stop", sweep, member="bob")
    assert code == 2 and "your role may not" in said
    bob = lab.cloud.client("batch", lab.cloud.assume(names.member_role(TEAM, "bob"), "bob"))
    asked = {
        "jobName": "j",
        "jobQueue": names.job_queue(TEAM, "cpu"),
        "jobDefinition": names.job_definition(TEAM, "ada"),
    }
    own = {"labcycle:team": TEAM, "labcycle:member": "ada"}
    for more in ({}, {"jobDefinition": names.job_definition(TEAM, "bob"), "tags": own}):
        with pytest.raises(bob.exceptions.ClientError, match="AccessDenied"):
            bob.submit_job(**{**asked, **more})
    (tmp_path / "hold").unlink()
    assert lab.until(sweep, ended)["state"] == "complete"
    assert status["job"]


def test_watching_tells_what_is_new(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "LOOK_SECONDS", 0.2)
    code, said = lab.command("run", str(written(tmp_path)), "--watch")
    assert code == 0
    assert "3 of 3 done, 0 failed" in said and "complete" in said and "best run: " in said


@pytest.mark.parametrize(
    ("words", "machine", "told"),
    [
        (["status", "nonsense"], {}, "32 digits and letters"),
        (["resume", "0" * 32], {}, "there is no sweep"),
        (["run"], {"gpus": 1}, "has no machines with GPUs"),
        (["run"], {"vcpus": 128}, "no more than 48 can be had at once"),
    ],
)
def test_what_cannot_be_asked_for_is_told(
    words: list[str], machine: dict[str, int], told: str, lab: Lab, tmp_path: Path
) -> None:
    file = [str(written(tmp_path, machine=machine))] if words == ["run"] else []
    code, said = lab.command(*words, *file)
    assert code == 2 and told in said
