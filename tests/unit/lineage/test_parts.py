"""Six parts of a run: what is told of a record, and of what the stock client really leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from labcycle_lambdas.lineage.parts import PARTS, Input, Model, Record, complete, location, parts
from tests.unit.lineage.conftest import Team

NOTHING = Record("RUNNING", {}, [], {}, [], [], recipe=False)
SNAPSHOT = {
    "mlflow.source.git.commit": "c" * 40,
    "lineage.uncommitted": "none",
    "lineage.requirements": "a" * 64,
    "lineage.python": "3.11.7",
    "lineage.platform": "Linux-6.1-x86_64",
}
WHOLE = Record(
    "FINISHED",
    {"C": "0.1"},
    ["accuracy"],
    SNAPSHOT,
    [Input("baseline", "0a1b2c3d", "s3", "s3://bucket/data.csv", "training")],
    [Model("m-1", requirements=True, python="3.11.7")],
    recipe=False,
)


def states(record: Record) -> dict[str, str]:
    return {part.name: part.state for part in parts(record)}


def test_all_six_are_told_of_any_run() -> None:
    assert tuple(states(NOTHING)) == PARTS
    assert set(states(NOTHING).values()) == {"missing"}
    assert set(states(WHOLE).values()) == {"found"}
    assert complete(parts(WHOLE))
    assert not complete(parts(NOTHING))


def test_what_lacks_says_how_to_supply_it_and_what_does_not_says_nothing() -> None:
    assert all(part.lacking and part.supply for part in parts(NOTHING))
    assert all(part.evidence and not part.lacking and not part.supply for part in parts(WHOLE))


@pytest.mark.parametrize(
    ("change", "part", "state", "says"),
    [
        ({"tags": {"mlflow.source.git.commit": "c" * 40}}, "code", "partial", "not committed"),
        ({"tags": {"mlflow.source.git.commit": "c", "lineage.uncommitted": "9f"}}, "code", "found", ""),
        ({"tags": SNAPSHOT | {"lineage.left_out": "1 file: .env"}}, "code", "partial", ".env"),
        ({"tags": {"mlflow.source.name": "/home/ada/train.py"}}, "code", "missing", "nothing says which code"),
        ({"tags": {}, "recipe": True}, "code", "found", ""),
        ({"inputs": [Input("d", "", "s3", "s3://b/k", "")]}, "data", "missing", "digest"),
        ({"inputs": [Input("d", "0a", "code", "", "train")]}, "data", "partial", "where the data lies"),
        ({"inputs": [Input("d", "0a", "code", "", ""), WHOLE.inputs[0]]}, "data", "found", ""),
        ({"inputs": [], "tags": {"labcycle.trainingData": "s3://b/data/m/"}}, "data", "partial", "digest"),
        ({"tags": {"labcycle.trainingJob": "j"}, "models": []}, "environment", "partial", "platform"),
        ({"params": {}}, "parameters", "missing", "no parameter"),
        ({"tags": {}}, "environment", "partial", "platform"),
        ({"tags": {"mlflow.docker.image.id": "sha256:1"}}, "environment", "found", ""),
        ({"tags": {}, "models": [Model("m", requirements=True, python="")]}, "environment", "missing", "Python"),
        ({"tags": {}}, "libraries", "partial", "the model names only"),
        ({"tags": {}, "models": []}, "libraries", "missing", "packages"),
        ({"metrics": []}, "results", "partial", "no metric"),
        ({"metrics": [], "models": []}, "results", "missing", "no metric"),
        ({"status": "RUNNING"}, "results", "partial", "not ended"),
    ],
)
def test_a_part_by_itself(change: dict[str, Any], part: str, state: str, says: str) -> None:
    found = next(p for p in parts(replace(WHOLE, **change)) if p.name == part)
    assert found.state == state
    assert says in " ".join(found.lacking)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ('{"uri": "s3://b/k"}', "s3://b/k"),
        ('{"url": "https://example.com/x.csv"}', "https://example.com/x.csv"),
        ('{"tags": {"mlflow.user": "ada"}}', ""),
        ('{"uri": 3}', ""),
        ("[1]", ""),
        ("{", ""),
        ("", ""),
        ("[" * 100_000, ""),
    ],
)
def test_where_a_data_set_lies(source: str, place: str) -> None:
    assert location(source) == place


def test_a_stock_session_with_autologging_names_what_it_lacks(team: Team) -> None:
    features = np.random.default_rng(7).normal(size=(40, 2))
    labels = (features.sum(axis=1) > 0).astype(int)
    mlflow.set_experiment("größer/kleiner")
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        with mlflow.start_run(run_name="läufe/1") as run:
            model = LogisticRegression().fit(features, labels)
            mlflow.sklearn.log_model(
                model, name="model", pip_requirements=["scikit-learn"], serialization_format="skops"
            )
    finally:
        mlflow.sklearn.autolog(disable=True)
    said = team.get(f"runs/{run.info.run_id}/completeness")
    found = {part["name"]: part for part in said["parts"]}
    assert said["complete"] is False
    assert {name: part["state"] for name, part in found.items()} == {
        "code": "missing",
        "data": "partial",
        "parameters": "found",
        "environment": "partial",
        "libraries": "partial",
        "results": "found",
    }
    assert "Python 3." in found["environment"]["evidence"][0]
    assert "snapshot()" in found["libraries"]["supply"]

    team.artifact(run.info.run_id, "recipe/train.py")
    frame = pd.DataFrame(features, columns=["a", "b"])
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_input(mlflow.data.from_pandas(frame, source="s3://elsewhere/data.csv", name="b"), "training")
    found = {part["name"]: part for part in team.get(f"runs/{run.info.run_id}/completeness")["parts"]}
    assert (found["code"]["state"], found["data"]["state"]) == ("found", "found")
    assert "s3://elsewhere/data.csv" in json.dumps(found["data"]["evidence"])


def test_models_of_clients_before_mlflow_3_count(team: Team) -> None:
    run_id = team.api.run()
    described = {"artifact_path": "model", "run_id": run_id, "utc_time_created": "t", "flavors": {}, "model_uuid": "u1"}
    team.api.ok("POST", "runs/log-model", {"run_id": run_id, "model_json": json.dumps(described)})
    team.artifact(run_id, "model/requirements.txt", b"numpy")
    team.artifact(run_id, "model/python_env.yaml", b"python: 3.12.1\nbuild_dependencies: []\n")
    found = {part["name"]: part for part in team.get(f"runs/{run_id}/completeness")["parts"]}
    assert found["environment"]["evidence"] == ["Python 3.12.1"]
    assert found["libraries"]["evidence"] == ["requirements.txt of the model u1"]


def test_a_run_whose_artifacts_are_gone_is_still_told(team: Team) -> None:
    run_id = team.api.run(tags=[{"key": "mlflow.log-model.history", "value": "no list"}])
    assert {part["state"] for part in team.get(f"runs/{run_id}/completeness")["parts"]} == {"missing"}
