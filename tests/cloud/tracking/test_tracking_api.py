"""MLflow's protocol, answered by the deployed function behind the deployed API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cloud.team import Member, Team

NOW = 1_750_000_000_000


@pytest.fixture
def scientist(growth: Team) -> Member:
    return growth.member("scientist-1")


def start_run(member: Member, experiment: str, **more: Any) -> dict[str, Any]:
    info: dict[str, Any] = member.post("runs/create", experiment_id=experiment, start_time=NOW, **more)["run"]["info"]
    return info


def test_a_session_from_experiment_to_alias(scientist: Member) -> None:
    experiment = scientist.post("experiments/create", name="churn é")["experiment_id"]
    found = scientist.get("experiments/get-by-name", ("experiment_name", "churn é"))["experiment"]
    assert found["experiment_id"] == experiment
    run = start_run(scientist, experiment, run_name="first")
    metrics = [{"key": "auc", "value": v, "timestamp": NOW + i, "step": i} for i, v in enumerate((0.5, 0.75))]
    scientist.post("runs/log-batch", run_id=run["run_id"], metrics=metrics, params=[{"key": "depth", "value": "3"}])
    scientist.post("runs/update", run_id=run["run_id"], status="FINISHED", end_time=NOW + 5)
    read = scientist.get("runs/get", ("run_id", run["run_id"]))["run"]
    assert read["info"]["status"] == "FINISHED"
    assert {m["key"]: m["value"] for m in read["data"]["metrics"]} == {"auc": 0.75}
    assert {p["key"]: p["value"] for p in read["data"]["params"]} == {"depth": "3"}
    asked = {"experiment_ids": [experiment], "filter": "metrics.auc > 0.7", "max_results": 10}
    assert [r["info"]["run_id"] for r in scientist.post("runs/search", **asked)["runs"]] == [run["run_id"]]
    scientist.put(run["artifact_uri"], "model/MLmodel", b"flavors: {}\n")
    listed = scientist.get("artifacts/list", ("run_id", run["run_id"]), ("path", "model"))
    assert [(f["path"], int(f["file_size"])) for f in listed["files"]] == [("model/MLmodel", 12)]
    scientist.post("registered-models/create", name="churn")
    source = f"{run['artifact_uri']}/model"
    version = scientist.post("model-versions/create", name="churn", source=source, run_id=run["run_id"])
    assert version["model_version"]["version"] == "1"
    scientist.post("registered-models/alias", name="churn", alias="candidate", version="1")
    by_alias = scientist.get("registered-models/alias", ("name", "churn"), ("alias", "candidate"))["model_version"]
    assert (by_alias["version"], by_alias["source"]) == ("1", source)


def test_a_run_belongs_to_the_member_who_signed(scientist: Member) -> None:
    """The caller is read from the event that API Gateway makes, whatever the request says."""
    experiment = scientist.post("experiments/create", name="whose")["experiment_id"]
    run = start_run(scientist, experiment, user_id="somebody-else")
    assert run["user_id"] == "scientist-1"


def test_who_may_not_call_gets_no_answer_from_the_function(growth: Team) -> None:
    api, lead = growth.tracking, growth.member("lead-1")
    assert api.call("GET", "/api/2.0/mlflow/experiments/search").status == 403
    assert lead.call("POST", "/api/2.0/mlflow/experiments/create", body={"name": "lead"}).status == 403
    assert lead.call("POST", "/api/2.0/mlflow/experiments/search", body={"max_results": 10}).status == 200
    assert (
        growth.member("scientist-1").call("POST", "/labcycle/1.0/models/m/promote", body={"version": "1"}).status == 403
    )


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("runs/create", b"{not json", "BAD_REQUEST INVALID_PARAMETER_VALUE MALFORMED_REQUEST"),
        ("experiments/create", {"name": 7}, "INVALID_PARAMETER_VALUE"),
        ("runs/update", {"run_id": "0" * 32, "status": "FINISHED"}, "RESOURCE_DOES_NOT_EXIST"),
        ("runs/log-parameter", {"run_id": "0" * 32, "key": "k" * 9_000, "value": "v"}, "INVALID_PARAMETER_VALUE"),
        ("no-such-thing", {}, "ENDPOINT_NOT_FOUND NOT_IMPLEMENTED"),
    ],
)
def test_mistakes_of_the_caller_are_told_in_mlflows_shape(scientist: Member, path: str, body: Any, code: str) -> None:
    answer = scientist.call("POST", f"/api/2.0/mlflow/{path}", body=body, headers={"content-type": "application/json"})
    assert set(answer.json()) == {"error_code", "message"}
    assert answer.json()["error_code"] in code.split()
    assert answer.status < 500 or (answer.status, path) == (501, "no-such-thing")


def test_a_busy_table_is_a_429_that_says_when_to_come_back(scientist: Member, growth: Team) -> None:
    faults = [
        growth.cloud.faults.throttle(f"dynamodb.{op}", times=99) for op in ("GetItem", "PutItem", "TransactWriteItems")
    ]
    answer = scientist.call("POST", "/api/2.0/mlflow/experiments/create", body={"name": "busy"})
    assert sum(fault.struck for fault in faults) > 1, "the SDK repeats before it gives up"
    assert (answer.status, answer.json()["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert int(answer.headers["retry-after"]) == 1
    growth.cloud.faults.clear()
    assert scientist.post("experiments/create", name="busy")["experiment_id"]


def test_a_short_throttle_is_not_noticed(scientist: Member, growth: Team) -> None:
    fault = growth.cloud.faults.throttle("dynamodb.TransactWriteItems", times=2)
    assert scientist.post("experiments/create", name="bumpy")["experiment_id"]
    assert fault.struck == 2


@pytest.mark.parametrize("operation", ["PutItem", "TransactWriteItems"])
def test_a_lost_answer_does_not_double_what_was_written(scientist: Member, growth: Team, operation: str) -> None:
    experiment = scientist.post("experiments/create", name="lossy")["experiment_id"]
    struck = 0
    for position in range(2):
        fault = growth.cloud.faults.lose_answer(f"dynamodb.{operation}", skip=position)
        run = start_run(scientist, experiment)
        scientist.post("runs/log-batch", run_id=run["run_id"], params=[{"key": "p", "value": str(position)}])
        struck += fault.struck
        growth.cloud.faults.clear()
        read = scientist.get("runs/get", ("run_id", run["run_id"]))["run"]
        assert read["data"]["params"] == [{"key": "p", "value": str(position)}]
    assert struck, f"no {operation} was sent"
    assert len(scientist.post("runs/search", experiment_ids=[experiment])["runs"]) == 2


def test_two_teams_share_nothing(growth: Team, fraud: Team) -> None:
    ours, theirs = growth.member("scientist-1"), fraud.member("scientist-1")
    assert (growth.table, growth.bucket) != (fraud.table, fraud.bucket)
    experiment = ours.post("experiments/create", name="secret")["experiment_id"]
    run = start_run(ours, experiment)
    ours.put(run["artifact_uri"], "notes.txt", b"ours")
    assert theirs.call("GET", "/api/2.0/mlflow/runs/get", query=[("run_id", run["run_id"])]).status == 404
    assert (
        growth.tracking.call("GET", "/api/2.0/mlflow/runs/get", theirs.caller, query=[("run_id", run["run_id"])]).status
        == 403
    )
    with pytest.raises(Exception, match="AccessDenied"):
        theirs.s3.get_object(Bucket=growth.bucket, Key="experiments/x")
    with pytest.raises(Exception, match="AccessDenied"):
        theirs.put(run["artifact_uri"], "notes.txt", b"theirs")
    growth.cloud.guard.refused.clear()


def test_functions_are_told_of_their_own_team_only(growth: Team, fraud: Team) -> None:
    lambda_ = growth.place.client("lambda")
    for team, other in ((growth, fraud), (fraud, growth)):
        configurations = [
            f for f in lambda_.list_functions()["Functions"] if f["FunctionName"].startswith(f"labcycle-{team.name}-")
        ]
        assert configurations
        for configuration in configurations:
            told = json.dumps(configuration["Environment"]["Variables"])
            assert team.table in told
            assert f"labcycle-{other.name}" not in told
