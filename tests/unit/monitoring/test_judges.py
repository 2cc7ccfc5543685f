"""Each subject is judged by itself: what one cannot say hides nothing of the others, and is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import jsonschema  # type: ignore[import-untyped]
import pytest

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations, MonitorState, SubjectState
from labcycle_lambdas.ledger.judgement import Judgement, Subject
from labcycle_lambdas.ledger.table import Create
from labcycle_lambdas.monitoring import handler
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.monitoring.evaluation import EVENTS, Evaluator
from labcycle_lambdas.monitoring.judging import Judge, Judged, Moment
from labcycle_lambdas.monitoring.metrics import NAMES, publish
from tests.unit.monitoring.traffic import START, WHO, Metrics, Traffic, variables
from tests.unit.outbox.test_outbox import SCHEMA
from tests.unit.serving.workshop import MODEL, World

ONE = START + timedelta(hours=1)


@dataclass
class Failing:
    """Finds what it is to find, and raises the errors that it has first."""

    subject: Subject
    errors: list[Exception] = field(default_factory=list)
    calls: int = 0

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        assert moment.live
        consecutive = before.consecutive + 1
        figures = {"value": 0.5, "limit": 0.8}
        return Judged(
            Judgement(self.subject, "failed" if consecutive > 1 else "failing", f"{consecutive} in a row", figures),
            SubjectState(consecutive, consecutive > 1),
            told={"why": f"{consecutive} in a row", "figures": figures},
        )


def evaluator(traffic: Traffic, *judges: Judge) -> Evaluator:
    table = traffic.world.table
    return Evaluator(
        traffic.environment, table, Deployments(table), Evaluations(table, Custody(table)), [*traffic.judges(), *judges]
    )


def verdicts(evaluation: dict[str, Any]) -> dict[str, str]:
    return {one["subject"]: one["verdict"] for one in evaluation["judgements"]}


def test_a_subject_that_fails_hides_no_other_and_is_judged_again_alone(world: World) -> None:
    traffic = Traffic(world, persistence=1)
    traffic.flows(0.5, shift=2.0)
    performance, business = Failing("performance"), Failing("business", [ValueError("no such object")])
    judging = evaluator(traffic, performance, business)
    first = judging.evaluate(ONE, WHO)
    assert verdicts(first) == {"drift": "failed", "performance": "failing", "business": "not_enough_data"}
    assert first["errors"] == {"business": "ValueError: no such object"}
    assert first["judgements"][2]["reason"] == "it could not be judged: ValueError: no such object"
    again = judging.evaluate(ONE, WHO)
    assert verdicts(again) == {"drift": "failed", "performance": "failing", "business": "failing"}
    assert again["errors"] == {} and again["features"] == first["features"]
    assert (performance.calls, business.calls) == (1, 2)
    assert judging.evaluate(ONE, WHO) == again
    assert (performance.calls, business.calls) == (1, 2)
    state, _ = Evaluations(world.table, Custody(world.table)).state(MODEL)
    assert state and {subject: one.consecutive for subject, one in state.subjects.items()} == {
        "drift": 1,
        "performance": 1,
        "business": 1,
    }
    assert len(traffic.events()) == 1


def test_drift_that_fails_leaves_a_document_that_says_so(world: World) -> None:
    traffic = Traffic(world)
    traffic.flows(0.5)
    with mock.patch("labcycle_lambdas.monitoring.drift.compare", side_effect=ZeroDivisionError("by what")):
        found = evaluator(traffic, Failing("performance")).evaluate(ONE, WHO)
    assert (found["verdict"], found["features"], found["rows"]) == ("not_enough_data", {}, 0)
    assert "ZeroDivisionError: by what" in found["reason"]
    assert verdicts(found)["performance"] == "failing"


def test_what_could_not_be_judged_is_left_once_a_later_evaluation_was_made(world: World) -> None:
    traffic = Traffic(world)
    business = Failing("business", [ValueError("first")])
    judging = evaluator(traffic, business)
    judging.evaluate(ONE, WHO)
    later = ONE.replace(hour=14)
    judging.evaluate(later, WHO)
    assert judging.evaluate(ONE, WHO)["errors"] == {"business": "ValueError: first"}
    assert business.calls == 2


def test_another_version_that_went_live_meanwhile_is_not_judged_into_it(world: World) -> None:
    traffic = Traffic(world)
    business = Failing("business", [ValueError("first")])
    judging = evaluator(traffic, business)
    judging.evaluate(ONE, WHO)
    traffic.promoted = START + timedelta(minutes=1)
    traffic.promote()
    assert judging.evaluate(ONE, WHO)["version"] == 1 and business.calls == 1


def test_episodes_of_several_subjects_begin_in_one_piece(world: World) -> None:
    traffic = Traffic(world, persistence=2)
    judging = evaluator(traffic, Failing("performance"), Failing("business"))
    for hour in (1, 2, 3):
        traffic.flows(hour - 0.5, shift=2.0)
        judging.evaluate(START.replace(hour=12 + hour), WHO)
    custody = Custody(world.table)
    events = [event for event in custody.events(f"model/{MODEL}") if event.action in EVENTS.values()]
    assert [event.action for event in events] == ["drift_detected", "performance_fell", "value_fell"]
    assert len({event.detail["evaluated_at"] for event in events}) == 1
    assert custody.verify(f"model/{MODEL}") == []
    for event in events:
        sent = {**vars(event), "schema_version": 1, "event_id": event.hash, "team": "fraud"}
        jsonschema.validate(sent, SCHEMA)


@pytest.mark.parametrize("action", EVENTS.values())
def test_the_schema_knows_what_these_events_tell(action: str) -> None:
    at = "2026-03-01T12:00:00.000Z"
    event: dict[str, Any] = {
        "schema_version": 1,
        "event_id": "0" * 64,
        "team": "fraud",
        "subject": f"model/{MODEL}",
        "seq": 1,
    }
    event |= {"at": at, "action": action, "who": WHO.to_doc(), "previous": "0" * 64, "hash": "0" * 64}
    jsonschema.validate({**event, "detail": {"omitted": "too large"}}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**event, "detail": {"version": 1}}, SCHEMA)


def test_each_subject_has_a_metric_and_an_event(world: World) -> None:
    assert set(NAMES) == set(EVENTS) == {"drift", "performance", "business", "freshness"}
    traffic, metrics = Traffic(world), Metrics()
    judging = evaluator(traffic, Failing("performance"), Failing("business", [ValueError("x")]))
    assert publish(metrics.client, "fraud", judging.evaluate(ONE, WHO)) == ["PerformanceFell"]
    assert metrics.values("PerformanceFell") == [0.0]
    judging.evaluate(ONE.replace(hour=14), WHO)
    assert publish(metrics.client, "fraud", judging.evaluate(ONE.replace(hour=14), WHO)) == [
        "PerformanceFell",
        "ValueFell",
    ]
    assert metrics.values("PerformanceFell") == [0.0, 1.0]


def test_a_state_of_drift_alone_is_read_as_it_was_left(world: World) -> None:
    """What an older evaluator wrote: an episode that goes on is no new one."""
    traffic = Traffic(world, persistence=1)
    old = {"generation": 1, "last_key": "", "consecutive": 4, "in_episode": True, "seen": {"z": [3, 9]}}
    world.table.write(Create(f"DRIFT#{MODEL}", "STATE", old))
    traffic.flows(0.5, shift=2.0)
    assert traffic.judged(1)["consecutive"] == 5
    assert traffic.events() == []
    state, _ = Evaluations(world.table, Custody(world.table)).state(MODEL)
    assert state and state.since and MonitorState.from_doc(state.to_doc()) == state


def test_a_canary_or_a_pause_ends_no_episode(world: World) -> None:
    traffic = Traffic(world, persistence=1)
    for hour in (1, 2):
        traffic.flows(hour - 0.5, shift=2.0)
        traffic.judged(hour)
    traffic.try_out(asked=0, hour=2)
    traffic.pause()
    traffic.flows(2.5, shift=2.0)
    assert traffic.judged(3)["consecutive"] == 3
    assert len(traffic.events()) == 1


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (variables(freshness={"training_days": 1}) | {"AWS_DEFAULT_REGION": "eu-west-1"}).items():
        monkeypatch.setenv(name, value)
    handler._client.cache_clear()
    handler.evaluator.cache_clear()
    yield lambda event: handler.handle(event, SimpleNamespace(function_name="evaluator", aws_request_id="request-1"))
    handler._client.cache_clear()
    handler.evaluator.cache_clear()


def test_the_function_fails_after_it_told_what_it_found(world: World, called: Any) -> None:
    Traffic(world).flows(0.5)
    event = {"scheduled_time": "2026-03-01T13:00:00Z"}
    broken = mock.patch("labcycle_lambdas.monitoring.freshness.times", side_effect=OSError("broken"))
    with broken, pytest.raises(handler.NotAllJudged, match="freshness: OSError: broken"):
        called(event)
    assert Metrics().values() == [0.0] and Metrics().values("DataStale") == []
    answer = called(event)
    assert answer["errors"] == {} and Metrics().values("DataStale") != []


def test_the_function_judges_what_its_settings_name() -> None:
    read = Environment.read(variables())
    assert [judge.subject for judge in handler.judges(read, mock.Mock())] == ["drift"]
    requests = '{"namespace": "AWS/ApiGateway", "name": "IntegrationLatency", "statistic": "SampleCount", "dimensions": {"ApiId": "a1b2"}}'
    given = variables(freshness={"traffic_hours": 5}, cohorts=["country"])
    read = Environment.read(given | {"REQUESTS": requests, "AWS_DEFAULT_REGION": "eu-west-1"})
    assert read.requests and read.requests.dimensions == (("ApiId", "a1b2"),)
    assert read.freshness and (read.freshness.training, read.drift.cohorts) == (None, ("country",))
