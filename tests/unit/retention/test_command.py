"""The command over the function's own answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.client.api import ApiError
from labcycle.client.retention import RetentionClient
from tests.unit.retention.test_retention import Keeper, api, keeper, logged, register, versions
from tests.unit.tracking.conftest import Api

__all__ = ["api", "keeper"]


@pytest.fixture(autouse=True)
def connected(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")

    def call(client: Any, method: str, path: str, *, body: Any = None, query: Any = None) -> Any:
        asked = "&".join(f"{key}={value}" for key, value in (query or {}).items())
        status, said = keeper.call(method, path.rpartition("/")[2], body, asked)
        if status != 200:
            raise ApiError(said["message"], status=status, code=said["error_code"])
        return said

    monkeypatch.setattr(RetentionClient, "call", call)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["retention", *arguments])


def test_a_dry_run_is_the_default(api: Api, keeper: Keeper) -> None:
    gone, kept = logged(api), logged(api)
    register(api, kept)
    said = run()
    assert said.exit_code == 0 and "1 runs would go, nothing was changed" in said.stdout
    assert versions(api, gone) == 4
    document = json.loads(run("--json").stdout)
    assert {r["run_id"]: r["kept_for"] for r in document["runs"]} == {gone: None, kept: "m version 1"}
    assert document["erased"] == []


def test_apply_lets_go_what_the_plan_names(api: Api, keeper: Keeper) -> None:
    gone, kept = logged(api), logged(api)
    register(api, kept)
    said = run("--apply")
    assert said.exit_code == 0 and "1 runs were let go" in said.stdout
    assert versions(api, gone) == 0 and versions(api, kept) == 4
    assert "nothing would go" in run().stdout


def test_what_changed_since_the_plan_stays_and_is_told(
    api: Api, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = logged(api)
    plan = RetentionClient.plan

    def then_register(client: RetentionClient) -> Any:
        planned = plan(client)
        register(api, run_id)
        return planned

    monkeypatch.setattr(RetentionClient, "plan", then_register)
    said = run("--apply")
    assert said.exit_code == 1 and f"{run_id} was not let go" in said.output and "m version 1" in said.output
    assert versions(api, run_id) == 4


@pytest.mark.parametrize("status", [0, 403, 503])
def test_what_went_is_told_where_the_api_refuses_on_the_way(
    api: Api, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    for _ in range(6):
        logged(api)
    erase, asked = RetentionClient.erase, []

    def refused_at_every_second(client: RetentionClient, run_id: str) -> None:
        asked.append(run_id)
        if len(asked) % 2 == 0:
            raise ApiError("no more for you", status=status)
        erase(client, run_id)

    monkeypatch.setattr(RetentionClient, "erase", refused_at_every_second)
    said = run("--apply")
    assert said.exit_code == 1 and "1 runs were let go" in said.output
    assert f"{asked[1]} was not let go: no more for you" in said.output
    assert "stopped there: 4 more runs were not tried" in said.output
    told = run("--apply", "--json")
    document = json.loads(told.stdout)
    assert (told.exit_code, document["erased"], document["refused"]) == (1, [asked[2]], {asked[3]: "no more for you"})


def test_a_name_with_brackets_is_shown_as_it_is(api: Api, keeper: Keeper) -> None:
    run_id = logged(api)
    api.ok("POST", "runs/update", {"run_id": run_id, "run_name": "[/a]"})
    said = run("--apply")
    assert said.exit_code == 0 and "[/a]" in said.stdout and "1 runs were let go" in said.stdout


def test_a_team_without_rules_is_told_how_to_have_some(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise ApiError("No endpoint", status=404, code="ENDPOINT_NOT_FOUND")

    monkeypatch.setattr(RetentionClient, "call", missing)
    said = run()
    assert said.exit_code == 2 and "retention: [{status: deleted, days: 30}]" in said.output
