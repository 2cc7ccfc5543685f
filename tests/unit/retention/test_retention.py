"""What a team lets go is what its rules say, never what a model is built from; and it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.retention.erasure import Retention
from labcycle_lambdas.retention.routes import Api as RetentionApi
from labcycle_lambdas.retention.rules import Rule, read_rules
from tests.unit.ledger.conftest import NAME
from tests.unit.tracking.conftest import BUCKET, Api, api
from tests.unit.tracking.server import event, member

__all__ = ["api"]

DAY = 86_400_000
RULES = '[{"status": "deleted", "days": 30}, {"status": "failed", "days": 90}]'


class Keeper:
    """The retention function over the ledger of `api`, a number of days later."""

    def __init__(self, api: Api) -> None:
        self.days = 100
        self.seconds = 0.0
        self.table = Table(api.dynamodb, NAME)
        self.s3 = api.s3
        began = 1_772_323_200_000  # the day of the tests' clock
        self.retention = Retention(
            self.table, lambda: self.s3, BUCKET, read_rules(RULES), lambda: began + self.days * DAY
        )
        self.api = RetentionApi(self.retention, Members("fraud"), lambda: self.seconds)

    def call(self, method: str, path: str, body: Any = None, query: str = "", arn: str | None = None) -> Any:
        raw = json.dumps(body).encode() if body is not None else b""
        made = event(method, f"/labcycle/1.0/retention/{path}", query, raw, member() if arn is None else arn)
        said = self.api.answer(Request.from_event(made)).to_event()
        return said["statusCode"], json.loads(said["body"])

    def plan(self) -> dict[str, Any]:
        """run id -> what is said of it, over all experiments."""
        found: dict[str, Any] = {}
        query = ""
        while True:
            status, said = self.call("GET", "plan", query=query)
            assert status == 200, said
            found |= {run["run_id"]: run for run in said["runs"]}
            if not said["next"]:
                return found
            query = "&".join(f"{key}={value}" for key, value in said["next"].items())

    def erase(self, run_id: str) -> tuple[int, Any]:
        status, said = self.call("POST", "erase", {"run_id": run_id})
        return status, said


@pytest.fixture
def keeper(api: Api) -> Keeper:
    return Keeper(api)


def logged(api: Api, status: str = "FAILED", *, points: int = 60, experiment: str = "0") -> str:
    run_id = api.run(experiment)
    metrics = [{"key": "loss", "value": float(n), "timestamp": n, "step": n} for n in range(points)]
    params = [{"key": "depth", "value": "3"}]
    api.ok("POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": params})
    for name in ("model/MLmodel", "plot.png"):
        api.file(f"experiments/{experiment}/{run_id}/artifacts/{name}", b"1")
        api.file(f"experiments/{experiment}/{run_id}/artifacts/{name}", b"2")
    api.ok("POST", "runs/update", {"run_id": run_id, "status": status, "end_time": 5})
    return run_id


def versions(api: Api, run_id: str) -> int:
    said = api.s3.list_object_versions(Bucket=BUCKET, Prefix=f"experiments/0/{run_id}/")
    return len(said.get("Versions", [])) + len(said.get("DeleteMarkers", []))


def register(api: Api, run_id: str, name: str = "m") -> None:
    api.call("POST", "registered-models/create", {"name": name})
    source = f"s3://{BUCKET}/experiments/0/{run_id}/artifacts/model"
    api.ok("POST", "model-versions/create", {"name": name, "source": source, "run_id": run_id})


def test_the_plan_names_what_the_rules_let_go_and_changes_nothing(api: Api, keeper: Keeper) -> None:
    failed, finished, hidden = logged(api), logged(api, "FINISHED"), logged(api, "FINISHED")
    api.ok("POST", "runs/delete", {"run_id": hidden})
    other = logged(api, experiment=api.experiment("second"))
    plan = keeper.plan()
    assert set(plan) == {failed, hidden, other}
    assert plan[failed]["rule"] == {"status": "failed", "days": 90} and plan[failed]["kept_for"] is None
    assert plan[hidden]["rule"]["status"] == "deleted" and plan[hidden]["idle_days"] >= 99
    keeper.days = 40
    assert set(keeper.plan()) == {hidden}
    keeper.days = 10
    assert keeper.plan() == {}
    assert versions(api, failed) == versions(api, finished) == 4


def test_what_is_erased_are_bytes_and_points_not_what_the_run_was(api: Api, keeper: Keeper) -> None:
    run_id = logged(api)
    assert keeper.erase(run_id) == (200, {"run_id": run_id, "finished": True})
    assert versions(api, run_id) == 0
    assert api.ok("GET", "metrics/get-history", {"run_id": run_id, "metric_key": "loss"}) == {}
    assert list(keeper.table.query(f"POINTS#{run_id}")) == []
    run = api.ok("GET", "runs/get", {"run_id": run_id})["run"]
    assert run["data"]["params"] == [{"key": "depth", "value": "3"}]
    assert run["data"]["metrics"][0]["value"] == 59.0
    assert any(tag["key"] == "labcycle.erased" for tag in run["data"]["tags"])
    erased = [e for e in Custody(keeper.table).events(f"run/{run_id}") if e.action == "erased"]
    assert [(e.who["member"], e.detail) for e in erased] == [
        ("scientist-1", {"rule": {"status": "failed", "days": 90}})
    ]
    assert keeper.plan() == {}
    status, said = keeper.erase(run_id)
    assert status == 409 and "No rule" in said["message"]


@pytest.mark.parametrize("how", ["registered", "parent", "derived", "model", "moved source"])
def test_what_a_version_is_built_from_stays(api: Api, keeper: Keeper, how: str) -> None:
    run_id = logged(api)
    if how in ("registered", "moved source"):
        register(api, run_id)
    elif how == "model":
        body = {"experiment_id": "0", "source_run_id": run_id, "name": "n"}
        info = api.ok("POST", "logged-models", body)["model"]["info"]
        api.file(f"{info['artifact_uri'].removeprefix(f's3://{BUCKET}/')}/MLmodel")
        api.ok("POST", "registered-models/create", {"name": "m"})
        body = {"name": "m", "source": f"models:/{info['model_id']}", "model_id": info["model_id"]}
        api.ok("POST", "model-versions/create", body)
    else:
        tag = {"parent": "mlflow.parentRunId", "derived": "lineage.derived_from"}[how]
        child = logged(api, "FINISHED")
        api.ok("POST", "runs/set-tag", {"run_id": child, "key": tag, "value": run_id})
        register(api, child)
    assert keeper.plan()[run_id]["kept_for"].startswith("m version 1")
    before = versions(api, run_id)
    status, said = keeper.erase(run_id)
    assert (status, said["error_code"]) == (409, "RESOURCE_CONFLICT") and "m version 1" in said["message"]
    assert versions(api, run_id) == before > 0


def test_models_that_a_run_logged_go_with_it(api: Api, keeper: Keeper) -> None:
    run_id = logged(api)
    info = api.ok("POST", "logged-models", {"experiment_id": "0", "source_run_id": run_id})["model"]["info"]
    key = f"{info['artifact_uri'].removeprefix(f's3://{BUCKET}/')}/MLmodel"
    api.file(key)
    other = api.ok("POST", "logged-models", {"experiment_id": "0"})["model"]["info"]
    kept = f"{other['artifact_uri'].removeprefix(f's3://{BUCKET}/')}/MLmodel"
    api.file(kept)
    assert keeper.erase(run_id)[0] == 200
    left = [item["Key"] for item in api.s3.list_object_versions(Bucket=BUCKET).get("Versions", [])]
    assert key not in left and kept in left


def test_an_erasure_that_is_interrupted_goes_on(api: Api, keeper: Keeper) -> None:
    run_id = logged(api, points=900)
    looks = iter([*[0.0] * 2, *[99.0] * 100])
    keeper.api = RetentionApi(keeper.retention, Members("fraud"), lambda: next(looks))
    status, said = keeper.erase(run_id)
    assert (status, said["finished"]) == (200, False)
    status, code, _ = api.fails("POST", "runs/set-tag", {"run_id": run_id, "key": "t", "value": "v"})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    keeper.days = 10
    planned = keeper.plan()[run_id]
    assert (planned["kept_for"], planned["rule"]) == (None, None), (
        "what was begun is finished, whatever the rules say now"
    )
    keeper.api = RetentionApi(keeper.retention, Members("fraud"), lambda: 0.0)
    assert keeper.erase(run_id)[1]["finished"] is True
    assert versions(api, run_id) == 0 and list(keeper.table.query(f"POINTS#{run_id}")) == []
    api.ok("POST", "runs/set-tag", {"run_id": run_id, "key": "t", "value": "v"})


def test_s3_that_is_busy_is_told_and_nothing_is_called_done(api: Api, keeper: Keeper) -> None:
    run_id = logged(api)

    class Busy:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            if name == "delete_objects":
                return lambda **_: {"Errors": [{"Key": "k", "Code": "SlowDown"}]}
            return getattr(api.s3, name)  # type: ignore[no-any-return]

    keeper.s3 = Busy()  # type: ignore[assignment]
    status, said = keeper.erase(run_id)
    assert (status, said["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    keeper.s3 = api.s3
    assert keeper.erase(run_id)[1]["finished"] is True


def test_who_may_and_what_is_asked_wrongly(api: Api, keeper: Keeper) -> None:
    run_id = logged(api, "FINISHED")
    status, said = keeper.erase(run_id)
    assert status == 409 and "finished" in said["message"].lower()
    assert keeper.erase("f" * 32)[0] == 404
    assert keeper.call("POST", "erase", {})[0] == 400
    assert keeper.call("POST", "erase", {"run_id": 7})[0] == 400
    assert keeper.call("GET", "erase")[0] == 404
    stranger = "arn:aws:sts::111122223333:assumed-role/somebody/else"
    assert keeper.call("POST", "erase", {"run_id": run_id}, arn=stranger)[0] == 403
    assert keeper.call("GET", "plan", arn=stranger)[0] == 200


def test_rules() -> None:
    rule = Rule("deleted", 2)
    assert rule.lets_go("RUNNING", "deleted", 0, 2 * DAY) and not rule.lets_go("RUNNING", "deleted", 1, 2 * DAY)
    assert not rule.lets_go("FAILED", "active", 0, 9 * DAY)
    assert Rule("failed", 1).lets_go("FAILED", "active", 0, DAY)
    assert not Rule("failed", 1).lets_go("FAILED", "deleted", 0, DAY)
