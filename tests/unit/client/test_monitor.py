"""`labcycle monitor`: status, report, check, react and orphans, over HTTP."""

from __future__ import annotations

import json
import time
import webbrowser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import monitor
from labcycle.client.api import ApiError
from labcycle.client.monitor import MonitorClient
from labcycle.client.monitor_view import plan, spark, worst
from labcycle.client.own_rights import OwnRights
from labcycle_lambdas.lifecycle import monitoring
from tests.unit.lifecycle.watched import START, Evaluated
from tests.unit.lineage.conftest import Team
from tests.unit.lineage.test_explanation import MODEL, register
from tests.unit.serving.workshop import reference_table

EVIL = "better [bold] [/mnt/data]"
DECLARED = {
    "business_owner": EVIL,
    "monitor": {"drift": {"every_minutes": 60, "minimum_rows": 100}},
    "react": [{"on": ["drift"], "do": "roll_back", "schedule": None, "time_zone": "Etc/UTC"}],
}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def watched(team: Team) -> Evaluated:
    """A live model with a stack."""
    run_id = team.api.run(run_name="first")
    team.artifact(run_id, "reference.json", reference_table())
    register(team, run_id)
    team.promote(MODEL, 1)
    object.__setattr__(team.lifecycle.preflight, "declared", lambda model: DECLARED if model == MODEL else None)
    return Evaluated(team.table, MODEL)


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["monitor", *words])


def document(*words: str, code: int = 0) -> Any:
    result = call(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_status_of_a_team_is_a_row_a_model(team: Team, watched: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "MOST_MODELS", 1)
    register(team, name="other")
    watched.evaluated(1, "stable", {"a": 0.05})
    watched.evaluated(2, "drifted", {"a": 0.4})
    result = call("status")
    assert result.exit_code == 1, result.output
    rows = {line.split("│")[1].strip(): line for line in result.stdout.splitlines() if line.startswith("│")}
    assert "version 1" in rows[MODEL] and "drift drifted" in rows[MODEL] and "▂█" in rows[MODEL]
    assert "2026-11-20 14:00" in rows[MODEL] and "600" in rows[MODEL]
    assert "none" in rows["other"] and "never judged" in rows["other"]
    said = document("status", code=1)
    assert [one["model"] for one in said["models"]] == [MODEL, "other"]


def test_status_of_a_model_tells_all(watched: Evaluated) -> None:
    good = {"subject": "performance", "verdict": "good", "reason": EVIL, "figures": {"value": 0.95, "limit": 0.9}}
    watched.evaluated(1, "stable", {"a": 0.1}, judgements=[good], coverage={"share": 0.97})
    result = call("status", MODEL)
    assert result.exit_code == 0, result.output
    output = result.stdout
    assert EVIL in output and "version 1 since" in output and "by reviewer-1" in output
    assert "drift        stable since before 2026-11-20 13:00" in output
    assert "0.100 of 0.2" in output and "0.950 of 0.9" in output
    assert "600 rows, the next one at 2026-11-20 14:00" in output
    assert "coverage     97.0% of the requests" in output
    assert "reacts       on drift: roll back" in output
    assert document("status", MODEL)["subjects"][1]["verdict"] == "good"


def test_status_without_anything_says_what_to_do(team: Team) -> None:
    assert "no model is registered" in call("status").stdout
    register(team)
    output = call("status", MODEL).stdout
    assert f"promote one: labcycle models promote {MODEL} VERSION" in output
    assert "nobody is named as business owner" in output and "never; judge now" in output


def test_watch_goes_on_where_a_look_fails(watched: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [MonitorClient().of_model(MODEL), ApiError("the ledger is busy")]

    def look(self: MonitorClient, model: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if not answers:
            raise KeyboardInterrupt

    monkeypatch.setattr(MonitorClient, "of_model", look)
    monkeypatch.setattr(time, "sleep", sleep)
    result = call("status", MODEL, "--watch")
    assert result.exit_code == 0, result.output
    assert "not seen anew: the ledger is busy" in result.stdout and "version 1 since" in result.stdout
    assert waited == [monitor.WATCH_SECONDS] * 2


def test_a_report_is_written_or_opened(watched: Evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    watched.evaluated(1, "stable", {"a": 0.1})
    watched.evaluated(2, "drifted", {"a": 0.9})
    assert call("report", MODEL).stdout == f"wrote {MODEL}-drift.html\n"
    assert "Evaluation of 2026-11-20 14:00 UTC" in (tmp_path / f"{MODEL}-drift.html").read_text()
    result = call("report", MODEL, "--at", "2026-11-20T13:00:00Z", "--out", "page.html")
    assert result.exit_code == 0 and "Evaluation of 2026-11-20 13:00" in (tmp_path / "page.html").read_text()
    opened: list[str] = []

    def open_it(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_it)
    assert call("report", MODEL, "--open").exit_code == 0
    assert Path(opened[0].removeprefix("file://")).read_text().startswith("<!doctype html>")
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert "no browser could be opened" in call("report", MODEL, "--open").stderr


def test_a_check_shows_each_column(watched: Evaluated) -> None:
    now = datetime.now(UTC)  # of what is judged now, the rows are of now
    watched.flows((now - START) / timedelta(hours=1), rows=600, shift=5.0)
    result = call("check", MODEL, "--window", "1")
    assert result.exit_code == 1, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith("│")]
    assert "mean radius" in rows[0] and "█" in rows[0] and "600" in rows[0]
    assert "drifting: " in result.stdout and "600 rows since" in result.stdout
    assert document("check", MODEL, code=1)["columns"][0]["name"] == "mean radius"


def test_a_check_of_too_few_rows_is_no_failure(watched: Evaluated) -> None:
    result = call("check", MODEL)
    assert result.exit_code == 0 and "not enough data: 0 rows of at least 100" in result.stdout


MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:reaction"
PLAN = {
    "machine": MACHINE,
    "policy": 1,
    "do": "retrain",
    "may_begin": True,
    "price_usd": 0.3,
    "why": None,
    "data": {"rows": 5},
}


def test_react_shows_or_starts(watched: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    started: list[dict[str, str]] = []

    def plan_of(self: MonitorClient, model: str, cause: str) -> dict[str, Any]:
        asked.append(cause)
        return PLAN

    class Machine:
        def start_execution(self, **given: str) -> None:
            started.append(given)

    monkeypatch.setattr(MonitorClient, "plan", plan_of)
    monkeypatch.setattr(monitor, "region_of", lambda address: "eu-west-1")
    monkeypatch.setattr(OwnRights, "client", lambda self, service: Machine())
    dry = call("react", MODEL, "--dry-run", "--cause", "drift")
    assert dry.exit_code == 0 and "may begin          yes" in dry.stdout and "data               rows 5" in dry.stdout
    assert not started and document("react", MODEL, "--dry-run") == PLAN
    result = call("react", MODEL)
    assert result.exit_code == 0, result.output
    assert asked == ["drift", "manual", "manual"]
    assert started[0]["stateMachineArn"] == MACHINE
    assert json.loads(started[0]["input"]) == {"policy": 1, "cause": "manual"}
    assert started[0]["name"].startswith("by-hand-") and started[0]["name"] in result.stdout


def test_a_reaction_that_may_not_be_started_is_told(watched: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def start_execution(self, **given: str) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "StartExecution")

    monkeypatch.setattr(MonitorClient, "plan", lambda self, model, cause: PLAN)
    monkeypatch.setattr(monitor, "region_of", lambda address: "eu-west-1")
    monkeypatch.setattr(OwnRights, "client", lambda self, service: Refusing())
    result = call("react", MODEL)
    assert result.exit_code == 2 and "Members who operate may" in result.stderr


def test_orphans_are_listed_with_their_evidence(team: Team, watched: Evaluated) -> None:
    watched.evaluated(1, "stable", {"a": 0.1})
    assert f"{team.lifecycle.members.team}: nothing is found of 1 models" in call("orphans").stdout
    register(team, name="other")
    output = call("orphans", "--days", "7").stdout
    assert "no owner" in output and "no live version" in output and "1 of 2 models" in output
    said = document("orphans")
    assert [one["model"] for one in said["models"]] == ["other"] and said["looked_at"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status", "none"], "Registered Model with name=none not found"),
        (["status", "a/b"], "is no name of a registered model"),
        (["status", "--watch", "--json"], "got --watch and --json; allowed one of them"),
        (["check", MODEL], "has no live version to check"),
        (["report", MODEL], "was not evaluated yet"),
        (["report", MODEL, "--at", "noon"], "must be a time in ISO 8601"),
        (["report", MODEL, "--open", "--out", "x"], "got --open and --out; allowed one of them"),
    ],
)
def test_errors_are_a_paragraph(team: Team, words: list[str], told: str) -> None:
    register(team)
    result = call(*words)
    assert result.exit_code == 2
    assert told in result.stderr and "Traceback" not in result.output


def test_sparks() -> None:
    assert spark([0.0, 0.5, 1.0, None]) == "▁▅█·"
    assert spark([0.1, 0.1], most=0.2) == "▅▅"
    assert spark([]) == "" and spark([0.0, None]) == "▁·"


def test_what_failed_is_looked_at_first() -> None:
    verdicts = ["good", "not_enough_data", "failing", "drifted", "failed"]
    subjects = [{"verdict": verdict} for verdict in verdicts]
    for length, first in enumerate(verdicts[:4], 1):
        found = worst(subjects[:length])
        assert found and found["verdict"] == ("good" if length == 1 else first)
    assert worst([]) is None


def test_a_plan_is_lines() -> None:
    assert list(plan({"a_b": [1, {"c": False}], "d": None})) == [f"{'a b':<18} 1, c no"]
