"""Performance and value: outcomes that arrived are taken in once an evaluation, and judged beside the others."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.monitoring import handler
from labcycle_lambdas.monitoring.arrivals import AfterTakingIn, Arrivals
from labcycle_lambdas.monitoring.judging import Judge
from labcycle_lambdas.monitoring.metrics import publish
from labcycle_lambdas.monitoring.realised import BusinessJudge, PerformanceJudge
from labcycle_lambdas.outcomes import business, performance
from labcycle_lambdas.outcomes.store import Store
from tests.unit.monitoring.traffic import START, Metrics, Traffic, variables
from tests.unit.serving.workshop import BUCKET, MODEL, World

PERFORMANCE = {"metric": "accuracy", "limit": 0.9, "minimum_rows": 100, "persistence": 2, "window_days": 7}
OUTCOME = {"metric": "saved", "minimum": 1000, "minimum_rows": 50, "persistence": 1, "window_days": 2}


class Answered(Traffic):
    """A model whose predictions are in the log, and come true or not."""

    def __init__(self, world: World, **settings: Any) -> None:
        super().__init__(world, **settings)
        self.arrivals = Arrivals(world.table, Store(world.s3, BUCKET, MODEL), "classes")

    def judges(self) -> list[Judge]:
        table, profiles = self.world.table, Profiles(self.world.table)
        outcomes = Outcomes(table)
        found: list[Judge] = []
        if self.environment.performance:
            found.append(PerformanceJudge(MODEL, self.environment.performance, outcomes, profiles))
        if self.environment.outcome:
            found.append(BusinessJudge(MODEL, self.environment.outcome, outcomes, profiles))
        return [*super().judges(), *(AfterTakingIn(judge, self.arrivals) for judge in found)]

    def came_true(self, hour: float, right: int, wrong: int, value: float | None = None) -> None:
        """Predictions of this hour are in the log, and what became of them arrives; it waits until the log is an hour old."""
        assert self.live
        rows, number = right + wrong, next(self.numbers)
        window = f"{self.promoted + timedelta(hours=hour):%Y%m%dT%H%M%SZ}-a-{number}"
        lines = [{"row": row, "at": "2026-03-01T10:00:07Z", "prediction": 1} for row in range(rows)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        key = f"predictions/{MODEL}/{self.live.version}/{window}.jsonl.gz"
        self.world.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(text.encode()))
        told = [
            {"prediction_id": f"{self.live.version}-{window}-{row}", "truth": int(row < right)}
            | ({} if value is None else {"value": value})
            for row in range(rows)
        ]
        arrived = "".join(json.dumps(row) + "\n" for row in told)
        self.world.s3.put_object(Bucket=BUCKET, Key=f"outcomes/{MODEL}/in/{number}.jsonl", Body=arrived.encode())


def found(evaluation: dict[str, Any], subject: str) -> dict[str, Any]:
    (one,) = [one for one in evaluation["judgements"] if one["subject"] == subject]
    assert isinstance(one, dict)
    return one


def test_performance_falls_when_new_outcomes_say_so_often_enough_and_is_told_once(world: World) -> None:
    model, metrics = Answered(world, performance=PERFORMANCE), Metrics()
    model.came_true(0.2, 95, 5)
    good = model.judged(2)
    assert found(good, "performance")["verdict"] == "good"
    assert (good["outcomes"]["objects"], good["outcomes"]["new"]) == (1, 100)
    model.came_true(2.2, 40, 160)
    assert found(model.judged(4), "performance")["verdict"] == "failing"
    assert found(model.judged(5), "performance")["verdict"] == "failing", "without new outcomes nothing is new"
    model.came_true(5.2, 40, 60)
    fallen = model.judged(7)
    assert found(fallen, "performance")["verdict"] == "failed"
    publish(metrics.client, "fraud", fallen)
    assert metrics.values("PerformanceFell") == [1.0]
    assert found(model.judged(8), "performance")["verdict"] == "failed", "it holds until outcomes say otherwise"
    [event] = model.events("performance_fell")
    assert event["why"] == found(fallen, "performance")["reason"]
    assert event["figures"]["value"] < event["figures"]["limit"] == 0.9


def test_a_new_version_begins_anew(world: World) -> None:
    model = Answered(world, performance=PERFORMANCE | {"persistence": 1})
    model.came_true(0.2, 10, 190)
    assert found(model.judged(2), "performance")["verdict"] == "failed"
    model.promoted += timedelta(hours=3)
    model.promote()
    other = found(model.judged(1), "performance")
    assert (other["verdict"], other["figures"]["consecutive"]) == ("not_enough_data", 0)


def test_value_that_stays_away_is_told(world: World) -> None:
    model = Answered(world, outcome=OUTCOME)
    for day in range(4):
        model.flows(day * 24 + 0.1, rows=100)
        model.came_true(day * 24 + 0.2, 90, 10, value=1.0)
    fallen = model.judged(4 * 24)
    business = found(fallen, "business")
    assert business["verdict"] == "failed" and business["figures"]["value"] == 200
    assert [event["figures"]["limit"] for event in model.events("value_fell")] == [1000]
    assert found(fallen, "drift")["verdict"] != "not_enough_data"


def test_what_arrived_is_taken_in_once_for_both(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Answered(world, performance=PERFORMANCE, outcome=OUTCOME)
    calls: list[Store] = []
    original = Store.incoming

    def incoming(self: Store) -> Any:
        calls.append(self)
        return original(self)

    monkeypatch.setattr(Store, "incoming", incoming)
    model.came_true(0.2, 95, 5, value=20.0)
    judged = model.judged(2)
    assert len(calls) == 1 and judged["outcomes"]["objects"] == 1
    assert {one["subject"] for one in judged["judgements"]} == {"drift", "performance", "business"}
    model.judged(3)
    assert len(calls) == 2


def test_outcomes_that_cannot_be_taken_in_hide_no_drift_and_are_asked_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Answered(world, persistence=1, performance=PERFORMANCE, outcome=OUTCOME)
    model.flows(0.5, shift=2.0)
    model.came_true(0.2, 95, 5)
    with monkeypatch.context() as patched:
        patched.setattr(Store, "incoming", _raise)
        lost = model.judged(2)
    assert (lost["verdict"], set(lost["errors"])) == ("drifted", {"performance", "business"})
    again = model.judged(2)
    assert (again["errors"], found(again, "performance")["verdict"]) == ({}, "good")
    assert len(model.events()) == 1


def _raise(self: Store) -> Any:
    raise Throttled("SlowDown")


def test_late_labels_leave_an_estimate(world: World) -> None:
    model = Answered(world, performance=PERFORMANCE)
    assert model.live and model.live.reference
    model.flows(0.5)
    (stored,) = Profiles(world.table).read(MODEL, model.live.version, START)
    doc = stored.doc | {"confidence": {"sum": 90.0, "rows": 100}}
    Profiles(world.table).write(MODEL, model.live.version, "a", stored.number, stored.window_start, doc)
    performance = found(model.judged(1), "performance")
    assert performance["verdict"] == "not_enough_data"
    assert performance["figures"]["estimate"]["mean_confidence"] == pytest.approx(0.9)


@pytest.fixture
def called(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Any]]:
    settings = variables(performance=PERFORMANCE, outcome=OUTCOME)
    for name, value in (settings | {"AWS_DEFAULT_REGION": "eu-west-1"}).items():
        monkeypatch.setenv(name, value)
    handler._client.cache_clear()
    handler.evaluator.cache_clear()

    hours = count(2)

    def call(milliseconds: int) -> dict[str, Any]:
        context = SimpleNamespace(
            function_name="evaluator", aws_request_id="r", get_remaining_time_in_millis=lambda: milliseconds
        )
        return handler.handle({"scheduled_time": (START + timedelta(hours=next(hours))).isoformat()}, context)

    return call


def test_the_function_takes_in_as_much_as_it_has_time_for(world: World, called: Any) -> None:
    Answered(world).came_true(0.2, 95, 5)
    short, long = called(60_000)["outcomes"], called(600_000)["outcomes"]
    assert (short["waiting"], short["new"]) == (1, 0)
    assert (long["waiting"], long["new"]) == (0, 100)


def test_settings_are_those_of_the_team_file() -> None:
    assert performance.Settings.from_doc(PERFORMANCE).window_days == 7
    assert business.Settings.from_doc(OUTCOME).expected is None
    assert SubjectState().seen == {}
