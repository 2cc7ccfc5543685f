"""Calls that come again: done once, and answered as when they were done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest

from labcycle_lambdas.ledger import custody
from labcycle_lambdas.ledger import table as ledger_table
from labcycle_lambdas.ledger.repeats import KEPT
from labcycle_lambdas.ledger.table import EXPIRES
from labcycle_lambdas.tracking.replay import REMEMBERED
from labcycle_lambdas.tracking.routes import ROUTES
from tests.unit.ledger.conftest import NAME, Clock, Faults, faults
from tests.unit.tracking.conftest import BUCKET, Api
from tests.unit.tracking.server import member

__all__ = ["faults"]
START = Clock().at


@dataclass
class Case:
    """A call, what must be there before it, and how a repeat without a key fails (None: it makes a second object)."""

    method: str
    path: str
    body: Callable[[Api], dict[str, Any]]
    fails: int | None = 404


def experiment(api: Api, **more: Any) -> dict[str, Any]:
    return {"experiment_id": api.experiment("cards"), **more}


def hidden(api: Api) -> dict[str, Any]:
    body = experiment(api)
    api.ok("POST", "experiments/delete", body)
    return body


def tagged_experiment(api: Api) -> dict[str, Any]:
    body = experiment(api, key="k")
    api.ok("POST", "experiments/set-experiment-tag", {**body, "value": "v"})
    return body


def tagged_run(api: Api) -> dict[str, Any]:
    return {"run_id": api.run(tags=[{"key": "k", "value": "v"}]), "key": "k"}


def model(api: Api, **more: Any) -> dict[str, Any]:
    api.ok("POST", "registered-models/create", {"name": "cards"})
    return {"name": "cards", **more}


def source(api: Api) -> dict[str, Any]:
    api.file("experiments/0/m/f")
    return model(api, source=f"s3://{BUCKET}/experiments/0/m")


def version(api: Api) -> dict[str, Any]:
    api.ok("POST", "model-versions/create", source(api))
    return {"name": "cards", "version": "1"}


def logged_model(api: Api) -> dict[str, Any]:
    made = {"experiment_id": "0", "tags": [{"key": "k", "value": "v"}]}
    model_id = api.ok("POST", "logged-models", made)["model"]["info"]["model_id"]
    return {"model_id": model_id}


CASES = [
    Case("POST", "experiments/create", lambda api: {"name": "cards"}, fails=400),
    Case("POST", "experiments/delete", experiment),
    Case("POST", "experiments/restore", hidden),
    Case("POST", "experiments/delete-experiment-tag", tagged_experiment),
    Case("POST", "runs/create", lambda api: {"experiment_id": "0", "run_name": "r"}, fails=None),
    Case("POST", "runs/delete-tag", tagged_run),
    Case("POST", "logged-models", lambda api: {"experiment_id": "0", "tags": [{"key": "k", "value": "v"}]}, fails=None),
    Case("DELETE", "logged-models/{model_id}/tags/k", logged_model),
    Case("POST", "registered-models/create", lambda api: {"name": "cards"}, fails=400),
    Case("POST", "registered-models/rename", lambda api: model(api, new_name="new")),
    Case("DELETE", "registered-models/delete", model),
    Case("POST", "model-versions/create", source, fails=None),
    Case("DELETE", "model-versions/delete", version),
]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.path}")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_table, "pause", lambda attempt: None)
    monkeypatch.setattr(custody, "pause", lambda attempt: None)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))


def prepared(api: Api, case: Case) -> tuple[str, dict[str, Any]]:
    """Path and body, with all that the call needs there; the default experiment too, which is written when it is asked for."""
    api.ok("GET", "experiments/get", {"experiment_id": "0"})
    body = case.body(api)
    return case.path.replace("{model_id}", body.get("model_id", "")), body


def marks(api: Api) -> list[Any]:
    items = api.dynamodb.scan(TableName=NAME)["Items"]
    return [item for item in items if item["pk"]["S"].startswith("REQUEST#")]


def state(api: Api) -> list[tuple[str, str, str]]:
    """All that the ledger holds, without the marks."""
    items = api.dynamodb.scan(TableName=NAME)["Items"]
    return sorted(
        (item["pk"]["S"], item["sk"]["S"], item["rev"]["N"])
        for item in items
        if not item["pk"]["S"].startswith("REQUEST#")
    )


def test_every_remembered_call_is_tried_here() -> None:
    named = {(case.method, "/2.0/mlflow/" + case.path.replace("tags/k", "tags/{tag_key...}")) for case in CASES}
    assert {ROUTES[route] for route in named} == set(REMEMBERED)


@EACH
def test_a_call_whose_answer_was_lost_is_done_once_and_answered_again(api: Api, case: Case) -> None:
    path, body = prepared(api, case)
    once = {"Idempotency-Key": "k1"}
    first = api.ok(case.method, path, body, headers=once)
    (mark,) = marks(api)
    assert KEPT <= datetime.fromtimestamp(int(mark[EXPIRES]["N"]), UTC) - START < KEPT * 2
    after = state(api)
    assert api.ok(case.method, path, body, headers=once) == first
    assert state(api) == after, "nothing was written"
    if case.fails:
        assert api.call(case.method, path, body, headers={"Idempotency-Key": "k2"})[0] == case.fails
    else:
        assert api.ok(case.method, path, body, headers={"Idempotency-Key": "k2"}) != first
    # Another body or another endpoint under a used key is a mistake of its sender, whatever it would have done.
    for other_path, other_body in ((path, {**body, "user_id": "x"}), ("experiments/create", {"name": "other"})):
        method = case.method if other_path == path else "POST"
        status, code, message = api.fails(method, other_path, other_body, headers=once)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert "idempotency-key" in message and "another request" in message
    assert api.call("GET", "experiments/get-by-name", {"experiment_name": "other"})[0] == 404


@EACH
def test_what_was_not_written_is_not_remembered_and_of_two_repeats_at_once_one_acts(
    api: Api, case: Case, faults: Faults
) -> None:
    path, body = prepared(api, case)
    before = state(api)
    once = {"Idempotency-Key": "k1"}
    faults.refuse("TransactWriteItems", "ProvisionedThroughputExceededException", *range(20))
    assert api.fails(case.method, path, body, headers=once)[:2] == (429, "REQUEST_LIMIT_EXCEEDED")
    assert "TransactWriteItems" in faults.struck
    assert (marks(api), state(api)) == ([], before)
    faults.clear()
    answers: list[Any] = []
    faults.before("TransactWriteItems", 0, lambda: answers.append(api.ok(case.method, path, body, headers=once)))
    answers.append(api.ok(case.method, path, body, headers=once))
    assert len(answers) == 2 and answers[0] == answers[1]
    assert len(marks(api)) == 1


def test_a_key_belongs_to_its_caller(api: Api) -> None:
    once = {"Idempotency-Key": "k"}
    made = {
        api.ok("POST", "runs/create", {"experiment_id": "0"}, headers=once, arn=arn)["run"]["info"]["run_id"]
        for arn in (member(), member("ada"), "https://issuer.example ada", "https://issuer.example bob", "")
    }
    assert len(made) == 5


def test_a_mistake_can_be_mended_under_the_same_key(api: Api) -> None:
    """An error did nothing: it is not remembered."""
    once = {"Idempotency-Key": "k"}
    assert api.fails("POST", "experiments/create", {"name": ""}, headers=once)[0] == 400
    assert api.ok("POST", "experiments/create", {"name": "e"}, headers=once)


def test_a_key_is_not_endless(api: Api) -> None:
    status, _, message = api.fails(
        "POST", "runs/create", {"experiment_id": "0"}, headers={"Idempotency-Key": "k" * 256}
    )
    assert status == 400 and "at most 255" in message


def test_calls_that_may_come_again_anyway_cost_no_mark(api: Api) -> None:
    once = {"Idempotency-Key": "k"}
    run_id = api.run()
    api.ok("POST", "runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}, headers=once)
    api.ok("POST", "runs/set-tag", {"run_id": run_id, "key": "t", "value": "v"}, headers=once)
    assert marks(api) == []
