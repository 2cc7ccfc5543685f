"""`labcycle models list`, `show` and `pace`, over HTTP, on what the protocol left."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import models
from labcycle.client.api import ApiError
from labcycle.client.model_view import span
from labcycle.client.models import ModelsClient
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.lifecycle import models as endpoint
from labcycle_lambdas.lifecycle import pace
from tests.unit.ledger.conftest import NAME
from tests.unit.lineage.conftest import REVIEWER, Team
from tests.unit.lineage.test_explanation import MODEL, register

EVIL = "better [bold] [/mnt/data]"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["models", *words])


def document(*words: str, code: int = 0) -> Any:
    result = call(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_list_is_a_row_a_model(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no model is registered" in call("list").stdout
    monkeypatch.setattr(endpoint, "MOST_MODELS", 1)
    for name in (MODEL, MODEL, "other"):
        register(team, name=name)
    team.promote(MODEL, 1)
    result = call("list")
    assert result.exit_code == 0, result.output
    (row,) = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines() if MODEL in line]
    assert row[1:3] == [MODEL, "2"]
    assert row[3].startswith("2, ") and row[3].endswith(", scientist-1")
    assert row[4].startswith("1, since ") and row[4].endswith(", reviewer-1")
    said = document("list")
    assert [(model["name"], model["versions"]) for model in said["models"]] == [(MODEL, 2), ("other", 1)]
    assert said["team"] == "fraud"


def test_show_tells_all_that_an_operator_asks(team: Team) -> None:
    run_id = team.api.run(run_name="first")
    for _ in range(2):
        register(team, run_id)
    team.api.ok("PATCH", "registered-models/update", {"name": MODEL, "description": EVIL})
    team.promote(MODEL, 1)
    team.promote(MODEL, 2)
    output = call("show", MODEL).stdout
    assert EVIL in output
    assert "version 2 since" in output and "by reviewer-1, generation 2" in output
    assert "0 rows in 24 hours, 0 rows in 7 days" in output
    assert "was not evaluated yet" in output and "No drift check" in output
    assert "can return  1\n" in output.replace(" \n", "\n")
    assert "lacks code, data, parameters, environment, libraries" in output and run_id in output
    said = document("show", MODEL)
    assert [version["missing"][0] for version in said["versions"]] == ["code", "code"]
    assert [event["action"] for event in said["decisions"]] == ["promoted", "promoted"]


def test_show_tells_a_pause_and_a_version_that_is_tried(team: Team) -> None:
    for _ in range(2):
        register(team)
    team.promote(MODEL, 1)
    deployments = Deployments(team.table)
    deployments.try_out(MODEL, team.lifecycle.preflight.prepare(MODEL, 2), 10, REVIEWER)
    deployments.pause(MODEL, None, REVIEWER, reason=EVIL)
    output = call("show", MODEL).stdout
    assert "version 2 with 10 % since" in output and "│ 2 tried" in output
    assert "paused      since" in output and f"by reviewer-1: {EVIL}" in output


def test_twenty_versions_take_twenty_lines_on_a_narrow_screen(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run_id = team.api.run(run_name="first")
    for _ in range(22):
        register(team, run_id)
    output = call("show", MODEL).stdout
    rows = [line for line in output.splitlines() if (line.startswith("│") and "2023-" in line) or "20" in line[10:40]]
    assert len([row for row in rows if row.startswith("│")]) == 20
    assert "and 2 older versions" in output and "promote one: labcycle models promote" in output
    assert max(len(line) for line in output.splitlines()) <= 80


class Ended(Exception):
    pass


def test_watch_looks_again_until_it_is_ended(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    register(team)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            team.promote(MODEL, 1)
        if len(waited) == 3:
            raise KeyboardInterrupt

    looks: list[str] = []
    real = ModelsClient.missing

    def missing(self: ModelsClient, model: str) -> dict[int, list[str]]:
        looks.append(model)
        return real(self, model)

    monkeypatch.setattr(ModelsClient, "missing", missing)
    monkeypatch.setattr(time, "sleep", sleep)
    result = call("show", MODEL, "--watch")
    assert result.exit_code == 0, result.output
    assert "version 1 since" in result.stdout and waited == [models.WATCH_SECONDS] * 3
    assert looks == [MODEL]  # what runs hold was read once


def test_watch_goes_on_where_a_look_fails(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    register(team)
    answers: list[Any] = [ModelsClient().overview(MODEL), ApiError("the ledger is busy")]

    def overview(self: ModelsClient, model: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(seconds: float) -> None:
        if not answers:
            raise KeyboardInterrupt

    monkeypatch.setattr(ModelsClient, "overview", overview)
    monkeypatch.setattr(time, "sleep", sleep)
    result = call("show", MODEL, "--watch")
    assert result.exit_code == 0, result.output
    assert "not seen anew: the ledger is busy" in result.stdout and MODEL in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "none"], "Registered Model with name=none not found"),
        (["show", "none", "--watch"], "Registered Model with name=none not found"),
        (["pace", "none"], "Registered Model with name=none not found"),
        (["show", "a/b"], "is no name of a registered model"),
        (["show", MODEL, "--watch", "--json"], "got --watch and --json; allowed one of them"),
    ],
)
def test_errors_are_a_paragraph(team: Team, words: list[str], told: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert told in result.stderr and "Traceback" not in result.output


def test_pace_is_told_of_each_model_and_of_all(team: Team) -> None:
    for name in (MODEL, MODEL, MODEL, "other"):
        register(team, name=name)
    for version in (1, 2):
        team.promote(MODEL, version)
    team.promote("other", 1)
    assert CliRunner().invoke(app, ["models", "rollback", MODEL]).exit_code == 0
    said = document("pace", "--days", "3650")
    assert [(one["model"], one["deployments"]) for one in said["models"]] == [(MODEL, 2), ("other", 1)]
    assert (said["together"]["deployments"], said["together"]["rollbacks"]) == (3, 1)
    assert said["together"]["rolled_back_share"] == pytest.approx(1 / 3)
    output = call("pace", "--days", "3650").stdout
    assert [line.split()[1] for line in output.splitlines() if line.startswith("│")] == [MODEL, "other", "all"]
    alone = document("pace", MODEL, "--days", "3650")
    assert (len(alone["models"]), "together" in alone) == (1, False)
    assert "50%" in call("pace", MODEL, "--days", "3650").stdout


def test_models_that_are_not_counted_are_told(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_MODELS", 1)
    for name in (MODEL, "other"):
        register(team, name=name)
    result = call("pace")
    assert result.exit_code == 0 and "only these 1 are counted" in result.stderr
    assert "other" not in result.stdout


def test_pace_of_a_broken_chain_exits_1(team: Team) -> None:
    register(team)
    key = {"pk": {"S": f"CUSTODY#model/{MODEL}"}, "sk": {"S": f"{1:012d}"}}
    team.api.dynamodb.delete_item(TableName=NAME, Key=key)
    result = call("pace")
    assert result.exit_code == 1
    assert f"broken: the chain of custody of {MODEL}" in result.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0 s"), (59, "1 min"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h"), (86_399, "1 d 0 h")],
)
def test_spans(seconds: float | None, text: str) -> None:
    assert span(seconds) == text
