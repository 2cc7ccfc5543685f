"""A point that is written upon what the sandbox wrote last: unread, and never over what others changed meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import LEDGER
from tests.unit.ledger.conftest import Faults


class Standing:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


class Sandbox:
    """The ledger as one sandbox has it."""

    def __init__(self, table: Table, now: Standing) -> None:
        self.experiments = Experiments(table, "s3://bucket/experiments", now)
        self.runs = Runs(table, now, self.experiments)

    def log(self, run_id: str, *steps: int, key: str = "m") -> None:
        self.runs.log_batch(run_id, [Metric(key, float(step), 1, step) for step in steps])

    def steps(self, run_id: str, key: str = "m") -> list[int]:
        return [point.step for point in self.runs.history(run_id, key)]


@pytest.fixture
def now() -> Standing:
    return Standing()


@pytest.fixture
def sandbox(table: Table, now: Standing) -> Sandbox:
    return Sandbox(table, now)


@pytest.fixture
def other(table: Table, now: Standing) -> Sandbox:
    return Sandbox(table, now)


@pytest.fixture
def calls(client: DynamoDBClient) -> list[str]:
    found: list[str] = []

    def note(model: Any, **_: Any) -> None:
        found.append(model.name)

    client.meta.events.register("before-call.dynamodb", note)
    return found


def new_run(sandbox: Sandbox) -> str:
    return sandbox.runs.create(experiment_id="0", user_id="u").run_id


def test_the_next_point_of_a_run_is_one_call(sandbox: Sandbox, now: Standing, calls: list[str]) -> None:
    run_id, another = new_run(sandbox), new_run(sandbox)
    sandbox.log(run_id, 1)
    calls.clear()
    sandbox.log(run_id, 2)
    assert calls == ["PutItem"]
    sandbox.log(run_id, 2)
    assert calls[1:] == ["BatchGetItem"], "what would write nothing is answered from what was read"
    sandbox.log(run_id, 3)
    sandbox.log(another, 1)
    calls.clear()
    sandbox.log(run_id, 4)
    assert "BatchGetItem" in calls, "one run is kept, the last"
    now.at += timedelta(seconds=1)
    calls.clear()
    sandbox.log(run_id, 5)
    assert calls == ["BatchGetItem", "PutItem"], "a second later all is looked at again"
    now.at -= timedelta(hours=1)
    calls.clear()
    sandbox.log(run_id, 6)
    assert calls == ["BatchGetItem", "PutItem"], "a clock that was put back"
    assert sandbox.steps(run_id) == [1, 2, 3, 4, 5, 6]


def test_a_long_run_of_single_points_and_batches(sandbox: Sandbox, calls: list[str]) -> None:
    run_id = new_run(sandbox)
    sandbox.log(run_id, 0)
    calls.clear()
    for step in range(1, 1000, 50):
        sandbox.log(run_id, step)
        sandbox.log(run_id, *range(step + 1, step + 50))
    assert "BatchGetItem" not in calls
    assert sandbox.steps(run_id) == list(range(1001))
    assert sandbox.runs.get(run_id).metrics == {"m": 1000.0}


def test_two_sandboxes_lose_none_of_each_others_points(sandbox: Sandbox, other: Sandbox) -> None:
    run_id = new_run(sandbox)
    for step in range(40):
        (sandbox if step % 3 else other).log(run_id, step)
    assert sandbox.steps(run_id) == list(range(40))
    other.runs.log_batch(run_id, params={"p": "1"}, tags={"mlflow.runName": "renamed"})
    sandbox.log(run_id, 40)
    run = other.runs.get(run_id)
    assert (run.name, run.params, run.metrics) == ("renamed", {"p": "1"}, {"m": 40.0})


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_run_that_was_deleted_takes_nothing(sandbox: Sandbox, other: Sandbox, where: str) -> None:
    run_id = new_run(sandbox)
    sandbox.log(run_id, 1)
    (sandbox if where == "here" else other).runs.delete(run_id)
    for step in (1, 2):
        with pytest.raises(Refused, match="must be in the 'active' state"):
            sandbox.log(run_id, step)
    other.runs.restore(run_id)
    assert sandbox.steps(run_id) == [1]


def test_a_run_that_is_being_erased_takes_nothing(sandbox: Sandbox, other: Sandbox) -> None:
    run_id = new_run(sandbox)
    sandbox.log(run_id, 1)
    other.runs.begin_erasure(run_id, LEDGER, {})
    for step in (1, 2):
        with pytest.raises(Refused, match="is being erased"):
            sandbox.log(run_id, step)
    assert sandbox.steps(run_id) == []


def test_an_experiment_that_was_deleted_here(sandbox: Sandbox) -> None:
    experiment = sandbox.experiments.create("e").experiment_id
    run_id = sandbox.runs.create(experiment_id=experiment, user_id="u").run_id
    sandbox.log(run_id, 1)
    sandbox.experiments.delete(experiment)
    with pytest.raises(Refused, match="must be in the 'active' state"):
        sandbox.log(run_id, 2)
    sandbox.experiments.restore(experiment)
    sandbox.log(run_id, 3)
    assert sandbox.steps(run_id) == [1, 3]


def test_an_experiment_that_was_deleted_elsewhere_is_seen_within_a_second(
    sandbox: Sandbox, other: Sandbox, now: Standing
) -> None:
    experiment = sandbox.experiments.create("e").experiment_id
    run_id = sandbox.runs.create(experiment_id=experiment, user_id="u").run_id
    sandbox.log(run_id, 1)
    for step in (2, 3):  # what was read is not made younger by what is written
        now.at += timedelta(seconds=0.4)
        sandbox.log(run_id, step)
    other.experiments.delete(experiment)
    now.at += timedelta(seconds=0.3)
    with pytest.raises(Refused, match="must be in the 'active' state"):
        sandbox.log(run_id, 4)


def test_a_run_that_was_packed_elsewhere_is_found_by_searches(sandbox: Sandbox, other: Sandbox) -> None:
    run_ids = [new_run(sandbox) for _ in range(32)]
    for run_id in run_ids:
        sandbox.runs.update(run_id, status="FINISHED")
    sandbox.log(run_ids[-1], 1)
    other.runs.pack("0", near="")
    sandbox.log(run_ids[-1], 2)
    found = {run.run_id: run.metrics for run in other.runs.of_experiment("0")}
    assert found[run_ids[-1]] == {"m": 2.0}


def test_a_lost_answer(sandbox: Sandbox, faults: Faults, calls: list[str]) -> None:
    run_id = new_run(sandbox)
    sandbox.log(run_id, 1)
    faults.lose_answer("PutItem", 0)
    calls.clear()
    sandbox.log(run_id, 2)
    assert faults.struck == ["PutItem"]
    sandbox.log(run_id, 3)
    assert calls == ["PutItem", "PutItem"]
    assert sandbox.steps(run_id) == [1, 2, 3]
