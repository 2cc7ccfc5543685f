"""The chain of a version, and the ancestry of a run, as the API tells them."""

from __future__ import annotations

import json
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.lineage.ancestry import MOST_GENERATIONS
from tests.unit.lineage.conftest import REVIEWER, Team
from tests.unit.serving.workshop import classifier, reference_table
from tests.unit.tracking.conftest import BUCKET
from tests.unit.tracking.server import event, member

MODEL = "card-fraud"


def register(team: Team, run_id: str = "", name: str = MODEL) -> int:
    """A version with real files; its number."""
    if team.api.call("GET", "registered-models/get", {"name": name})[0] == 404:
        team.api.ok("POST", "registered-models/create", {"name": name})
    number = len(team.api.ledgers.registry.versions(name)) + 1
    root = f"experiments/0/{name}-{number}"
    for path, body in classifier().files().items():
        team.api.file(f"{root}/{path}", body)
    asked_for = {"name": name, "source": f"s3://{BUCKET}/{root}", "run_id": run_id}
    return int(team.api.ok("POST", "model-versions/create", asked_for)["model_version"]["version"])


def asked(team: Team, path: str, query: str = "") -> tuple[int, Any]:
    made = event("GET", f"/labcycle/1.0/{path}", query, arn=member())
    said = team.lifecycle.answer(Request.from_event(made)).to_event()
    return said["statusCode"], json.loads(said["body"])


def test_from_what_is_live_back_to_the_data(team: Team) -> None:
    old = team.api.run(run_name="first")
    run_id = team.api.run(run_name="second", tags=[{"key": "lineage.derived_from", "value": old}])
    team.artifact(run_id, "reference.json", reference_table())
    metrics = [{"key": "loss", "value": "NaN", "timestamp": 1, "step": 1}]
    team.api.ok(
        "POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": [{"key": "C", "value": "1"}]}
    )
    dataset = {"name": "d", "digest": "0a", "source_type": "s3", "source": '{"uri": "s3://b/k"}'}
    team.api.ok("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": []}]})
    assert register(team, run_id) == 1
    team.promote(MODEL, 1)
    assert register(team) == 2

    said = team.get(f"models/{MODEL}/explanation")
    assert said["deployment"]["live"] is True
    assert said["deployment"]["by"] == "reviewer-1"
    assert said["version"]["version"] == 1
    assert said["version"]["aliases"] == ["champion"]
    assert {len(file["sha256"]) for file in said["files"]} == {64}
    assert said["run"]["run_id"] == run_id
    assert said["run"]["metrics"] == {"loss": "NaN"}
    assert [part["name"] for part in said["run"]["parts"]][:2] == ["code", "data"]
    assert said["run"]["inputs"][0]["location"] == "s3://b/k"
    assert [(a["relation"], a["run_id"], a["name"]) for a in said["run"]["ancestry"]] == [
        ("derived from", old, "first")
    ]
    assert [(e["action"], e["who"]["member"]) for e in said["events"]][1:] == [
        ("registered", "scientist-1"),
        ("promoted", "reviewer-1"),
    ]
    assert said["verified"] is True


def test_a_version_that_is_not_live(team: Team) -> None:
    register(team)
    said = team.get(f"models/{MODEL}/explanation?version=1")
    assert said["deployment"] == {"live": False, "live_version": None, "since": None, "by": None, "generation": 0}
    assert {file["sha256"] for file in said["files"]} == {None}
    assert said["run"] is None
    register(team)
    team.promote(MODEL, 1)
    team.promote(MODEL, 2)
    said = team.get(f"models/{MODEL}/explanation?version=1")
    assert (said["deployment"]["live"], said["deployment"]["live_version"]) == (False, 2)
    assert said["deployment"]["by"] == "reviewer-1"
    assert None not in {file["sha256"] for file in said["files"]}
    assert [event["action"] for event in said["events"]] == ["created", "registered", "promoted", "promoted"]
    assert team.get(f"models/{MODEL}/explanation?alias=champion")["version"]["version"] == 2
    Deployments(team.table).roll_back(MODEL, REVIEWER)
    said = team.get(f"models/{MODEL}/explanation?version=2")
    assert (said["deployment"]["live"], said["deployment"]["by"]) == (False, "reviewer-1")
    said = team.get(f"models/{MODEL}/explanation")
    assert (said["deployment"]["live"], said["events"][-1]["action"]) == (True, "rolled_back")
    assert said["deployment"]["since"] == said["events"][-1]["at"]


def test_without_a_deployment_the_newest_version_is_meant(team: Team) -> None:
    register(team)
    register(team)
    assert team.get(f"models/{MODEL}/explanation")["version"]["version"] == 2


MISTAKES = [
    ("models/none/explanation", "", 404, "none"),
    (f"models/{MODEL}/explanation", "version=9", 404, "version=9"),
    (f"models/{MODEL}/explanation", "alias=nobody", 404, "no alias nobody; its aliases: none"),
    (f"models/{MODEL}/explanation", "version=x", 400, "must be an integer, got 'x'"),
    (f"models/{MODEL}/explanation", "version=%C2%B2", 400, "must be an integer"),
    (f"models/{MODEL}/explanation", "version=1&alias=a", 400, "not both"),
    ("models/empty/explanation", "", 404, "has no version"),
    ("runs/nobody/completeness", "", 404, "Run with id=nobody not found"),
    ("runs/" + "a" * 3000 + "/completeness", "", 404, "not found"),
    ("runs/a/b/ancestry", "", 404, "not found"),
]


def test_mistakes(team: Team) -> None:
    register(team)
    team.api.ok("POST", "registered-models/create", {"name": "empty"})
    for path, query, status, says in MISTAKES:
        got, said = asked(team, path, query)
        assert (got, says in said["message"]) == (status, True), (path, query, said)


def test_a_deleted_run_is_told_and_says_so(team: Team) -> None:
    run_id = team.api.run()
    register(team, run_id)
    team.api.ok("POST", "runs/delete", {"run_id": run_id})
    assert team.get(f"models/{MODEL}/explanation")["run"]["lifecycle_stage"] == "deleted"
    assert team.get(f"runs/{run_id}/completeness")["run_id"] == run_id


def test_a_version_whose_run_is_of_another_ledger(team: Team) -> None:
    register(team, "f" * 32)
    said = team.get(f"models/{MODEL}/explanation")
    assert said["run"] is None
    assert said["version"]["run_id"] == "f" * 32


def test_how_runs_are_related(team: Team) -> None:
    old = team.api.run(run_name="größer/kleiner")
    for tags, relation in (
        ({"lineage.reproduces": old, "lineage.derived_from": "somebody"}, "reproduces"),
        ({"lineage.derived_from": old}, "derived from"),
        ({"mlflow.parentRunId": old}, "child of"),
    ):
        run_id = team.api.run(tags=[{"key": key, "value": value} for key, value in tags.items()])
        found = team.get(f"runs/{run_id}/ancestry")["ancestry"]
        assert [(a["relation"], a["run_id"], a["name"]) for a in found] == [(relation, old, "größer/kleiner")]


def test_what_the_reaction_retrained(team: Team) -> None:
    champion = team.api.run(run_name="champion")
    run = team.api.ledgers.runs.create(
        experiment_id="0",
        user_id=str(REVIEWER),
        tags={"mlflow.parentRunId": champion, "labcycle.execution": "e-1"},
    )
    found = team.get(f"runs/{run.run_id}/ancestry")["ancestry"]
    assert [(a["relation"], a["name"]) for a in found] == [("retrained from", "champion")]


def test_ancestry_ends_in_circles_gaps_and_long_lines(team: Team) -> None:
    link = "lineage.derived_from"
    one = team.api.run()
    two = team.api.run(tags=[{"key": link, "value": one}])
    team.api.ok("POST", "runs/set-tag", {"run_id": one, "key": link, "value": two})
    assert [a["run_id"] for a in team.get(f"runs/{one}/ancestry")["ancestry"]] == [two]
    alone = team.api.run(tags=[{"key": link, "value": "e" * 32}])
    assert [a["name"] for a in team.get(f"runs/{alone}/ancestry")["ancestry"]] == [None]
    last = team.api.run()
    for _ in range(MOST_GENERATIONS + 2):
        last = team.api.run(tags=[{"key": link, "value": last}])
    assert len(team.get(f"runs/{last}/ancestry")["ancestry"]) == MOST_GENERATIONS
