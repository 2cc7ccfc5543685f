"""Runs: what is logged stays, once, whoever repeats it, in whatever order it arrives."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.points import Metric, latest, rank
from labcycle_lambdas.ledger.run_record import DatasetInput
from labcycle_lambdas.ledger.runs import ParamChanged, Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from tests.unit.ledger.conftest import NAME, Clock, Faults

NAN = float("nan")


@pytest.fixture
def runs(table: Table, clock: Clock) -> Runs:
    return Runs(table, clock, Experiments(table, "s3://bucket/experiments", clock))


@pytest.fixture
def run_id(runs: Runs) -> str:
    return runs.create(experiment_id="0", user_id="scientist-1", run_name="first", start_time=5, tags={"t": "1"}).run_id


def points(runs: Runs, run_id: str, key: str = "m") -> list[tuple[int, int, float]]:
    return [(m.timestamp, m.step, m.value) for m in runs.history(run_id, key)]


def test_a_new_run(runs: Runs, run_id: str) -> None:
    run = runs.get(run_id)
    assert (run.name, run.status, run.start_time, run.end_time, run.user_id) == (
        "first",
        "RUNNING",
        5,
        None,
        "scientist-1",
    )
    assert run.artifact_uri == f"s3://bucket/experiments/0/{run_id}/artifacts"
    assert run.tags == {"t": "1", "mlflow.runName": "first"}
    assert [r.run_id for r in runs.of_experiment("0")] == [run_id]
    for unknown in ("f" * 32, "", "../x", "ü"):
        with pytest.raises(NotFound):
            runs.get(unknown)
    with pytest.raises(NotFound):
        runs.create(experiment_id="9", user_id="u")
    assert list(runs.of_experiment("9")) == []


def test_the_same_id_again_is_the_same_run(runs: Runs) -> None:
    first = runs.create(experiment_id="0", user_id="u", run_id="a" * 32, run_name="one")
    assert runs.create(experiment_id="0", user_id="u", run_id="a" * 32, run_name="two") == first
    assert len(list(runs.of_experiment("0"))) == 1


def test_status_and_name(runs: Runs, run_id: str) -> None:
    runs.update(run_id, status="FINISHED", end_time=9)
    runs.update(run_id, run_name="second")
    run = runs.get(run_id)
    assert (run.status, run.end_time, run.name, run.tags["mlflow.runName"]) == ("FINISHED", 9, "second", "second")
    runs.log_batch(run_id, tags={"mlflow.runName": "third"})
    assert runs.get(run_id).name == "third"
    with pytest.raises(Refused, match="Invalid run status"):
        runs.update(run_id, status="DONE")


def test_what_ends_a_run_or_hides_it_is_an_event(runs: Runs, run_id: str, table: Table, client: DynamoDBClient) -> None:
    ada = Who("ada", "labcycle-fraud-ada", "ada")

    def events() -> list[tuple[str, str | None, str | None]]:
        return [(e.action, e.who["member"], e.detail.get("status")) for e in Custody(table).events(f"run/{run_id}")]

    runs.update(run_id, status="RUNNING")
    runs.update(run_id, run_name="other", who=ada)
    runs.restore(run_id)
    assert events() == []
    runs.update(run_id, status="FINISHED", end_time=9, who=ada)
    runs.update(run_id, status="FINISHED", end_time=10)
    runs.update(run_id, status="FAILED")
    runs.update(run_id, status="RUNNING")
    runs.delete(run_id, ada)
    runs.delete(run_id)
    runs.restore(run_id)
    assert events() == [
        ("finished", "ada", "FINISHED"),
        ("finished", None, "FAILED"),
        ("resumed", None, "RUNNING"),
        ("deleted", "ada", None),
        ("restored", None, None),
    ]
    assert Custody(table).verify(f"run/{run_id}") == []


@pytest.mark.parametrize("call", range(3))
def test_a_lost_answer_makes_no_second_event(runs: Runs, run_id: str, table: Table, faults: Faults, call: int) -> None:
    faults.lose_answer("TransactWriteItems", call)
    runs.update(run_id, status="FINISHED")
    runs.delete(run_id)
    runs.restore(run_id)
    assert faults.struck
    assert [e.action for e in Custody(table).events(f"run/{run_id}")] == ["finished", "deleted", "restored"]
    assert Custody(table).verify(f"run/{run_id}") == []


def test_a_call_repeated_changes_nothing(runs: Runs, run_id: str, client: DynamoDBClient) -> None:
    call: dict[str, Any] = {
        "metrics": [Metric("m", 1.0, 10, 1), Metric("m", NAN, 11, 2), Metric("n", math.inf, 10)],
        "params": {"p": "1"},
        "tags": {"q": "x"},
    }
    runs.log_batch(run_id, **call)

    def stored() -> list[Any]:
        return [{k: v for k, v in item.items() if k != "token"} for item in client.scan(TableName=NAME)["Items"]]

    before = stored()
    runs.log_batch(run_id, **call)
    assert stored() == before
    assert len(points(runs, run_id)) == 2
    runs.log_batch(run_id, metrics=call["metrics"][:1])  # in another chunk: one point all the same
    assert len(points(runs, run_id)) == 2


@pytest.mark.parametrize("operation", ["PutItem", "TransactWriteItems"])
@pytest.mark.parametrize("call", range(5))
def test_lost_answers_change_nothing(runs: Runs, run_id: str, faults: Faults, operation: str, call: int) -> None:
    faults.lose_answer(operation, call)
    for step in range(2):
        runs.log_batch(run_id, [Metric("m", float(step), step, step)], {f"p{step}": "v"}, {f"t{step}": "v"})
    run = runs.get(run_id)
    assert run.metrics == {"m": 1.0}
    assert run.params == {"p0": "v", "p1": "v"}
    assert {"t0", "t1"} <= set(run.tags)
    assert points(runs, run_id) == [(0, 0, 0.0), (1, 1, 1.0)]


def test_a_chunk_is_one_item_whatever_it_holds(runs: Runs, run_id: str, client: DynamoDBClient) -> None:
    def chunks() -> int:
        return sum(item["pk"]["S"].startswith("POINTS#") for item in client.scan(TableName=NAME)["Items"])

    runs.log_batch(run_id, [Metric(f"m{n % 7}", float(n), n, n) for n in range(1000)])
    assert chunks() == 1
    runs.log_batch(run_id, [Metric("長" * 80 + f"{n}" * 20, float(n), n, n) for n in range(1000)])
    assert chunks() > 2  # too large for one item: several, and none lost
    assert len(runs.get(run_id).metrics) == 1007


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        ((1.0, 0, 0), (0.5, 0, 1), 0.5),  # the higher step
        ((1.0, 5, 1), (0.5, 6, 1), 0.5),  # then the later time
        ((1.0, 5, 1), (2.0, 5, 1), 2.0),  # then the greater value
        ((NAN, 5, 1), (6.0, 5, 1), 6.0),  # NaN is ranked as 0
        ((NAN, 5, 1), (-1.0, 5, 1), NAN),
        ((1.0, 9, -3), (0.5, 0, -2), 0.5),  # steps may be negative
    ],
)
def test_the_latest_point(runs: Runs, run_id: str, first: Any, second: Any, wins: float) -> None:
    for pair in ((first, second), (second, first)):
        key = f"k{pair[0]}"[:30].translate({ord(c): "_" for c in "(), "})
        for value, timestamp, step in pair:
            runs.log_batch(run_id, [Metric(key, value, timestamp, step)])
        found = runs.get(run_id).metrics[key]
        assert found == wins or (math.isnan(found) and math.isnan(wins))


@given(
    st.lists(st.tuples(st.sampled_from([NAN, -1.0, 0.5, math.inf]), st.integers(0, 3), st.integers(-2, 2)), min_size=1)
)
def test_the_latest_of_a_batch_is_the_greatest(entries: list[tuple[float, int, int]]) -> None:
    found = latest([Metric("m", *entry) for entry in entries])["m"]
    assert rank(found) == max((s, t, 0.0 if math.isnan(v) else v) for v, t, s in entries)


def test_metrics_for_which_the_header_has_no_room(runs: Runs, run_id: str) -> None:
    keys = [f"a metric with a name that is as long as names in trainings become {number}" for number in range(60)]
    for step in (1, 2):
        for key in keys:
            runs.log_batch(run_id, [Metric(key, float(step), 1, step)])
    assert runs.get(run_id).metrics == dict.fromkeys(keys, 2.0)
    assert next(runs.of_experiment("0")).metrics == dict.fromkeys(keys, 2.0)


def test_history_is_in_mlflows_order(runs: Runs, run_id: str) -> None:
    logged = [(3, 1, 5.0), (1, 9, 2.0), (1, 2, NAN), (1, 2, -1.0), (1, 2, 1.0)]
    for timestamp, step, value in logged:
        runs.log_batch(run_id, [Metric("m", value, timestamp, step)])
    assert [str(p) for p in points(runs, run_id)] == [
        str(p) for p in [(1, 2, -1.0), (1, 2, NAN), (1, 2, 1.0), (1, 9, 2.0), (3, 1, 5.0)]
    ]
    assert points(runs, run_id, "none") == []
    assert points(runs, "f" * 32) == []


def test_params_are_immutable(runs: Runs, run_id: str) -> None:
    runs.log_batch(run_id, params={"p": "1", "q": "2"})
    runs.log_batch(run_id, params={"p": "1"})
    with pytest.raises(ParamChanged) as refused:
        runs.log_batch(run_id, [Metric("m", 1.0, 1)], {"new": "x", "p": "9"}, {"tag": "x"})
    assert refused.value.conflicts == [("p", "1", "9")]
    run = runs.get(run_id)
    assert (run.params, run.metrics) == ({"p": "1", "q": "2"}, {})


def test_of_two_values_of_one_param_one_wins_and_the_other_is_told(runs: Runs, run_id: str) -> None:
    def log(number: int) -> bool:
        try:
            runs.log_batch(run_id, params={"p": str(number), f"own{number}": "x" * 3000})
        except ParamChanged:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = [number for number, was in enumerate(pool.map(log, range(6))) if was]
    assert len(won) == 1
    assert runs.get(run_id).params["p"] == str(won[0])


def test_many_large_params_and_tags(runs: Runs, run_id: str) -> None:
    params = {f"p{n:03d}": "ü" * 6000 for n in range(100)}
    runs.log_batch(run_id, params=params, tags={f"t{n:03d}": "y" * 8000 for n in range(100)})
    run = runs.get(run_id)
    assert run.params == params
    assert len(run.tags) == 102


def test_writers_of_different_things_do_not_lose_each_others(runs: Runs, run_id: str) -> None:
    def log(number: int) -> None:
        runs.log_batch(run_id, [Metric(f"m{number}", 1.0, 1)], {f"p{number}": "1"}, {f"t{number}": "1"})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(log, range(8)))
    run = runs.get(run_id)
    assert len(run.metrics) == len(run.params) == 8
    assert len(run.tags) == 10


def test_a_deleted_run_takes_nothing_and_loses_nothing(runs: Runs, run_id: str) -> None:
    runs.log_batch(run_id, params={"p": "1"})
    runs.delete(run_id)
    runs.delete(run_id)
    for refused in (
        lambda: runs.log_batch(run_id, params={"q": "1"}),
        lambda: runs.update(run_id, status="FINISHED"),
        lambda: runs.delete_tag(run_id, "t"),
        lambda: runs.log_inputs(run_id, models=["m-1"]),
    ):
        with pytest.raises(Refused, match="must be in the 'active' state"):
            refused()
    assert runs.get(run_id).params == {"p": "1"}
    runs.restore(run_id)
    runs.log_batch(run_id, params={"q": "1"})


def test_tags_can_be_changed_and_deleted(runs: Runs, run_id: str) -> None:
    runs.log_batch(run_id, tags={"t": "2"})
    assert runs.get(run_id).tags["t"] == "2"
    runs.delete_tag(run_id, "t")
    assert "t" not in runs.get(run_id).tags
    with pytest.raises(NotFound, match="No tag with name: t"):
        runs.delete_tag(run_id, "t")


def test_the_first_description_and_the_first_tags_of_a_dataset_stay(runs: Runs, run_id: str) -> None:
    long = "x" * 200_000
    runs.log_inputs(
        run_id, [DatasetInput(Dataset("cards", "d1", "s3", "here", long, "ü" * 100_000), {"context": "train"})]
    )
    runs.log_inputs(run_id, [DatasetInput(Dataset("cards", "d1", "s3", "there"), {"context": "test"})], ["m-1"])
    runs.log_inputs(run_id, models=["m-1"])
    run = runs.get(run_id)
    (found,) = runs.datasets(run)
    assert (found.dataset.source, found.dataset.schema, found.dataset.profile) == ("here", long, "ü" * 100_000)
    assert found.tags == {"context": "train"}
    assert run.model_inputs == ["m-1"]


def test_outputs_repeated_are_the_same(runs: Runs, run_id: str) -> None:
    runs.log_outputs(run_id, [("m-1", 0), ("m-1", 3)])
    runs.log_outputs(run_id, [("m-1", 0)])
    assert runs.get(run_id).model_outputs == [("m-1", 0), ("m-1", 3)]
