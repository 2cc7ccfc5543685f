"""Verdicts: an effect, a sample, persistence; once an episode, once a scheduled time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.monitoring import handler
from labcycle_lambdas.monitoring.drift import DriftJudge
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.monitoring.evaluation import Evaluator
from labcycle_lambdas.monitoring.metrics import publish
from labcycle_lambdas.scheduled import scheduled_time
from tests.unit.monitoring.traffic import START, WHO, Metrics, Traffic, variables
from tests.unit.serving.workshop import FEATURES, MODEL, TABLE, World


def test_the_same_data_is_stable(world: World) -> None:
    traffic = Traffic(world)
    traffic.flows(0.5)
    evaluation = traffic.judged(1)
    assert evaluation["verdict"] == "stable"
    assert (evaluation["rows"], evaluation["new_rows"], evaluation["version"]) == (120, 120, 1)
    assert set(evaluation["features"]) == {*FEATURES, "prediction"}
    assert max(evaluation["features"].values()) == pytest.approx(0, abs=1e-9)
    assert {row["rows"] for row in evaluation["table"]} == {120}
    json.dumps(evaluation, allow_nan=False)


def test_drift_must_persist_and_is_one_event_an_episode(world: World) -> None:
    traffic = Traffic(world)
    verdicts = []
    for hour in range(1, 5):
        traffic.flows(hour - 0.5, shift=2.0)
        verdicts.append(traffic.judged(hour)["verdict"])
    assert verdicts == ["drifting", "drifted", "drifted", "drifted"]
    [event] = traffic.events()
    assert next(iter(event["features"])) == FEATURES[0]
    assert event["version"] == 1 and event["rows"] == 240
    assert Custody(world.table).verify(f"model/{MODEL}") == []


def test_an_evaluation_that_is_stable_ends_the_count_and_the_episode(world: World) -> None:
    traffic = Traffic(world, window_hours=1)
    verdicts = []
    for hour, shift in enumerate([2.0, 0.0, 2.0, 2.0, 0.0, 2.0, 2.0], start=1):
        traffic.flows(hour - 0.5, shift=shift)
        verdicts.append(traffic.judged(hour)["verdict"])
    assert verdicts == ["drifting", "stable", "drifting", "drifted", "stable", "drifting", "drifted"]
    assert len(traffic.events()) == 2


def test_the_same_rows_are_no_new_evidence(world: World) -> None:
    traffic = Traffic(world)
    traffic.flows(0.5, shift=2.0)
    assert traffic.judged(1)["verdict"] == "drifting"
    idle = traffic.judged(2)
    assert (idle["verdict"], idle["new_rows"]) == ("not_enough_data", 0)
    assert "no traffic" in idle["reason"]
    traffic.flows(2.5, shift=2.0, sandbox="b")
    assert traffic.judged(3)["verdict"] == "drifted"


def test_a_profile_that_was_written_again_with_more_rows_counts_once(world: World) -> None:
    traffic = Traffic(world)
    traffic.flows(0.5)
    traffic.judged(1)
    traffic.numbers = count()  # the same number: the answer of the first write was lost
    traffic.flows(0.5, rows=150)
    again = traffic.judged(2)
    assert (again["rows"], again["new_rows"]) == (150, 30)


def test_what_is_kept_of_what_was_counted_is_small_and_forgets_nothing(world: World) -> None:
    """Sandboxes come and go; rows of one that is gone are never new again, and those of one that was frozen are counted once."""
    traffic = Traffic(world, window_hours=744)
    for number in range(30):
        traffic.flows(number * 0.5 + 0.1, rows=10, sandbox=f"s{number}")
    assert traffic.judged(15)["new_rows"] == 300
    state, _ = Evaluations(world.table, Custody(world.table)).state(MODEL)
    assert state and set(state.of("drift").seen["marks"]) == {"s26", "s27", "s28", "s29"}
    assert traffic.judged(15.5)["new_rows"] == 0
    traffic.numbers = count(28)
    traffic.flows(14.1, rows=30, sandbox="s28")  # the same window, with what its sandbox had not written
    traffic.flows(15.7, rows=5, sandbox="s3")
    assert traffic.judged(16)["new_rows"] == 25
    assert (traffic.judged(40)["new_rows"], traffic.judged(41)["new_rows"]) == (0, 0)


def test_few_rows_give_no_verdict(world: World) -> None:
    traffic = Traffic(world)
    traffic.flows(0.5, rows=99, shift=9.0)
    evaluation = traffic.judged(1)
    assert evaluation["verdict"] == "not_enough_data"
    assert evaluation["reason"] == "99 rows of at least 100"
    traffic.flows(0.6, rows=1, shift=9.0)
    assert traffic.judged(2)["verdict"] == "drifting"


def test_only_the_live_version_since_its_promotion_counts(world: World) -> None:
    traffic = Traffic(world)
    for hour in (1, 2):
        traffic.flows(hour - 0.5, shift=2.0)
        traffic.judged(hour)
    assert len(traffic.events()) == 1
    traffic.promoted += timedelta(hours=3)
    traffic.promote()
    assert traffic.judged(1)["rows"] == 0
    traffic.flows(-0.1, shift=2.0)  # of this version, from before its promotion
    assert traffic.judged(1.1)["rows"] == 0
    traffic.flows(1.5, shift=2.0)
    assert traffic.judged(2)["verdict"] == "drifting"  # the count begins anew
    traffic.flows(2.5, shift=2.0)
    assert traffic.judged(3)["verdict"] == "drifted"
    assert [event["version"] for event in traffic.events()] == [1, 2]


def test_without_a_live_version_or_reference_nothing_is_judged(world: World) -> None:
    environment = Environment.read(variables())
    table = world.table
    judge = DriftJudge(MODEL, environment.drift, Profiles(table), None)
    empty = Evaluator(environment, table, Deployments(table), Evaluations(table, Custody(table)), [judge])
    assert empty.evaluate(START, WHO)["reason"] == "no version is live"
    traffic = Traffic(world, reference=False)
    assert "logged no reference.json" in traffic.judged(1)["reason"]


def test_a_scheduled_time_is_judged_once(world: World) -> None:
    traffic = Traffic(world)
    traffic.flows(0.5, shift=2.0)
    first = traffic.judged(1)
    traffic.flows(0.7, shift=2.0)
    assert traffic.judged(1) == first
    assert traffic.judged(2)["verdict"] == "drifted"
    late = traffic.judged(1.5)  # delivered after a later one: it must not count as a third in a row
    assert late["verdict"] == "not_enough_data" and "later evaluation" in late["reason"]
    assert len(traffic.events()) == 1


def test_two_deliveries_at_once_are_one_evaluation(world: World) -> None:
    traffic = Traffic(world, persistence=1)
    traffic.flows(0.5, shift=2.0)
    inner: list[dict[str, Any]] = []
    original = Evaluations.record

    def record(self: Evaluations, *arguments: Any, **named: Any) -> None:
        if not inner:
            inner.append({})
            inner[0] = traffic.judged(1)  # the second delivery overtakes the first
        original(self, *arguments, **named)

    with mock.patch.object(Evaluations, "record", record):
        outer = traffic.judged(1)
    assert outer == inner[0]
    assert len(traffic.events()) == 1


def test_nothing_is_recorded_when_the_ledger_gives_way(world: World) -> None:
    """The next try finds the state as it was: an answer that is lost never counts twice."""
    traffic = Traffic(world)
    traffic.flows(0.5, shift=2.0)

    def refuse(**_: Any) -> None:
        raise ConnectionResetError

    world.dynamodb.meta.events.register_first("before-send.dynamodb.TransactWriteItems", refuse)
    with pytest.raises(ConnectionResetError):
        traffic.judged(1)
    world.dynamodb.meta.events.unregister("before-send.dynamodb.TransactWriteItems", refuse)
    assert traffic.judged(1)["consecutive"] == 1


def test_a_metric_is_published_only_where_there_was_something_to_judge(world: World) -> None:
    traffic, metrics = Traffic(world), Metrics()
    said = []
    for hour, shift in enumerate([0.0, None, 2.0, 2.0], start=1):
        if shift is not None:
            traffic.flows(hour - 0.5, shift=shift, rows=300)
        said.append(publish(metrics.client, "fraud", traffic.judged(hour)))
    assert said == [["DriftDetected"], [], ["DriftDetected"], ["DriftDetected"]]
    assert metrics.values() == [0.0, 0.0, 1.0]


@pytest.fixture
def called(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (variables() | {"AWS_DEFAULT_REGION": "eu-west-1"}).items():
        monkeypatch.setenv(name, value)
    handler._client.cache_clear()
    handler.evaluator.cache_clear()
    context = SimpleNamespace(function_name="evaluator", aws_request_id="request-1")
    yield lambda event: handler.handle(event, context)
    handler._client.cache_clear()
    handler.evaluator.cache_clear()


def test_the_function_answers_with_the_evaluation_and_publishes(world: World, called: Any) -> None:
    traffic = Traffic(world, persistence=1)
    traffic.flows(0.5, shift=2.0)
    at = (START + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    answer = called({"scheduled_time": at})
    assert answer["verdict"] == "drifting" and answer["evaluated_at"].startswith("2026-03-01T13:00:00")
    assert called({"scheduled_time": at}) == answer
    assert Metrics().values() == [0.0]
    assert Table(world.dynamodb, TABLE).get(f"DRIFT#{MODEL}", f"EVALUATION#{answer['evaluated_at']}")


def test_a_time_that_the_scheduler_did_not_fill_in_is_none() -> None:
    assert scheduled_time({"scheduled_time": "<aws.scheduler.scheduled-time>"}) is None
    assert scheduled_time({}) is None
    assert scheduled_time({"scheduled_time": "2026-03-01T13:00:00Z"}) == START + timedelta(hours=1)


def test_missing_settings_are_named() -> None:
    with pytest.raises(RuntimeError, match="MODEL, MONITOR"):
        Environment.read({name: value for name, value in variables().items() if name not in ("MODEL", "MONITOR")})
    with pytest.raises(KeyError, match="window_hours"):
        Environment.read(
            variables()
            | {"MONITOR": '{"drift": {"method": "psi", "threshold": 1, "minimum_rows": 1, "persistence": 1}}'}
        )
