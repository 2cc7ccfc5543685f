"""One lane, with the ledger's API from memory and scripts that really run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcycle.client.api import ApiError
from labcycle.lineage.runs_client import Run, RunsClient
from labcycle.local.api import CREDENTIALS, LocalApi
from labcycle.local.settings import DEFAULT_REGION
from labcycle.sweeps import lane as lanes
from labcycle.sweeps import tags
from labcycle.sweeps.lane import INTERRUPTED, STOPPED_CODE, Lane, PatientRuns
from labcycle.sweeps.plan import SweepFile, as_document
from labcycle.sweeps.store import Manifest, Submission


@pytest.fixture(scope="module")
def served() -> Iterator[LocalApi]:
    with LocalApi() as api:
        yield api


@pytest.fixture
def runs(served: LocalApi, monkeypatch: pytest.MonkeyPatch) -> RunsClient:
    served.reset()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret)
    monkeypatch.setenv("AWS_REGION", DEFAULT_REGION)
    return RunsClient(served.address)


class Bench:
    """A sweep of points 0, 1, 2, ... with parameter `x` each."""

    def __init__(self, runs: RunsClient, folder: Path, script: str, *, points: int = 2, **file: Any) -> None:
        self.runs, self.folder = runs, folder
        self.script = folder / "script.py"
        self.script.write_text(script)
        experiment = runs.experiment("tuning")
        sweep = SweepFile.model_validate(
            {
                "experiment": "tuning",
                "script": "script.py",
                "parameters": {"x": {"choices": [1]}},
                "method": "grid",
                "metric": "m",
                "mode": "max",
                **file,
            }
        )
        self.manifest = Manifest(
            sweep=runs.create(experiment, {tags.SWEEP: "s"}, name="s"),
            name="s",
            experiment_id=experiment,
            member="ada",
            file=as_document(sweep),
            script_sha256="0" * 64,
            script_name="script.py",
            points=[{"x": x} for x in range(points)],
            usd_hour=1.0,
            code={"mlflow.source.git.commit": "c0ffee"},
        )
        self.submission = Submission(1, list(range(points)), 1, None, "labcycle-x-1", 0)

    def lane(self, number: int = 0, **more: Any) -> Lane:
        return Lane(self.runs, self.manifest, self.submission, number, self.folder, self.script, **more)

    def children(self) -> list[Run]:
        found = self.runs.search([self.manifest.experiment_id], f"tags.`{tags.PARENT}` = '{self.manifest.sweep}'")
        return sorted(found, key=lambda run: (int(run.tags[tags.POINT]), int(run.tags[tags.ATTEMPT])))


def test_a_point_is_a_run_with_all_that_belongs_to_it(runs: RunsClient, tmp_path: Path) -> None:
    script = "import json, os, sys; json.dump({'m': float(sys.argv[2]) + float(os.environ['PARAM_X'])}, open('metrics.json', 'w'))"
    bench = Bench(runs, tmp_path, script)
    assert bench.lane().run([]) == "done"
    zero, one = bench.children()
    assert (zero.status, one.status, one.metrics, one.params) == ("FINISHED", "FINISHED", {"m": 2.0}, {"x": "1"})
    assert one.tags[tags.POINT] == "1" and one.tags[tags.EXIT_CODE] == "0" and tags.REASON not in one.tags
    assert one.tags["mlflow.source.git.commit"] == "c0ffee" and one.tags["lineage.python"]
    assert one.name == "s-1" and one.end_time >= one.start_time


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("import sys; print('no rows', file=sys.stderr); sys.exit(3)", "3", "exit code 3: no rows"),
        ("import os; os.kill(os.getpid(), 9)", "137", "exit code 137"),
        ("open('metrics.json', 'w').write('[1]')", "0", "metrics.json is no JSON object of numbers"),
        ("open('metrics.json', 'w').write('{\"m\": \"much\"}')", "0", "metrics.json is no JSON object of numbers"),
    ],
)
def test_a_failure_is_kept_with_its_reason(
    script: str, code: str, reason: str, runs: RunsClient, tmp_path: Path
) -> None:
    bench = Bench(runs, tmp_path, script, points=1, retries=1)
    assert bench.lane().run([]) == "done"
    first, second = bench.children()
    for run in (first, second):
        assert (run.status, run.tags[tags.EXIT_CODE]) == ("FAILED", code)
        assert run.tags[tags.REASON].startswith(reason)
    assert (first.tags[tags.ATTEMPT], second.tags[tags.ATTEMPT]) == ("1", "2")


def test_what_one_point_measured_is_not_the_next_ones(runs: RunsClient, tmp_path: Path) -> None:
    script = "import json, os; os.environ['PARAM_X'] == '0' and json.dump({'m': 1}, open('metrics.json', 'w'))"
    bench = Bench(runs, tmp_path, script)
    bench.lane().run([])
    assert [run.metrics for run in bench.children()] == [{"m": 1.0}, {}]


def test_after_an_interruption_only_what_has_no_end_is_done_again(runs: RunsClient, tmp_path: Path) -> None:
    bench = Bench(runs, tmp_path, "", points=4)
    bench.lane().run([])  # as far as point 3
    done = bench.children()
    common = {tags.PARENT: bench.manifest.sweep, tags.LANE: "0", tags.SUBMISSION: "1"}
    lost = runs.create(bench.manifest.experiment_id, {**common, tags.POINT: "2", tags.ATTEMPT: "1"})
    earlier = [run for run in done if run.tags[tags.POINT] in ("0", "1")] + [runs.run(lost)]
    assert bench.lane().run(earlier) == "done"
    assert runs.run(lost).status == "KILLED" and runs.run(lost).tags[tags.REASON] == INTERRUPTED
    again = {run.run_id for run in bench.children()} - {run.run_id for run in done} - {lost}
    assert {(runs.run(run).tags[tags.POINT], runs.run(run).tags[tags.ATTEMPT]) for run in again} == {
        ("2", "2"),
        ("3", "1"),
    }


def test_a_point_that_failed_often_enough_before_is_left_alone(runs: RunsClient, tmp_path: Path) -> None:
    bench = Bench(runs, tmp_path, "raise SystemExit(1)", points=1, retries=1)
    bench.lane().run([])
    before = bench.children()
    assert bench.lane().run(before) == "done"
    assert bench.children() == before


def test_a_lane_ends_with_its_share_of_the_budget(runs: RunsClient, tmp_path: Path) -> None:
    bench = Bench(runs, tmp_path, "", points=3)
    bench.manifest = replace(bench.manifest, usd_hour=3600.0)  # a second a dollar
    bench.submission = replace(bench.submission, budget_usd=2.0)
    assert bench.lane(monotonic=lambda: len(bench.children())).run([]) == "budget", "each run takes a second"
    first, second = bench.children()
    spent = [replace(first, end_time=first.start_time + 2_000), second]
    assert bench.lane(monotonic=lambda: 0.0).run(spent) == "budget", "also where an earlier attempt spent it"
    assert len(bench.children()) == 2


def test_a_stop_ends_the_script_and_its_run(runs: RunsClient, tmp_path: Path) -> None:
    bench = Bench(runs, tmp_path, "import pathlib, time; pathlib.Path('begun').touch(); time.sleep(60)")
    lane = bench.lane()

    def stop() -> None:
        while not (tmp_path / "begun").exists():
            threading.Event().wait(0.02)
        lane.stop(15, None)

    threading.Thread(target=stop, daemon=True).start()
    assert lane.run([]) == "stopped"
    (run,) = bench.children()
    assert (run.status, run.tags[tags.EXIT_CODE]) == ("KILLED", str(STOPPED_CODE))


def test_a_script_that_runs_too_long_fails(runs: RunsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MINUTE_SECONDS", 0.3)
    bench = Bench(runs, tmp_path, "import time; time.sleep(60)", points=1, timeout_minutes=1)
    assert bench.lane().run([]) == "done"
    (run,) = bench.children()
    assert run.status == "FAILED" and "ran longer than 1 minutes" in run.tags[tags.REASON]


def test_a_lane_waits_where_the_api_asks_for_patience(runs: RunsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.experiment("tuning")
    waited: list[float] = []
    patient = PatientRuns(runs.address, sleep=waited.append)
    answers = iter([429, 0, 503, 200])
    call = RunsClient.call

    def busy(self: RunsClient, *asked: Any, **how: Any) -> dict[str, Any]:
        status = next(answers)
        if status != 200:
            raise ApiError("later", status=status)
        return call(self, *asked, **how)

    monkeypatch.setattr(RunsClient, "call", busy)
    assert patient.experiment("tuning")
    assert len(waited) == 3 and 2.5 <= waited[0] <= 7.5 < waited[2] <= 30
    answers = iter([403])
    with pytest.raises(ApiError, match="later"):
        patient.experiment("tuning")
