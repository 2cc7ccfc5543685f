"""Freshness: ages of training and traffic beside their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.monitoring.metrics import publish
from tests.unit.monitoring.traffic import START, WHO, Metrics, Traffic
from tests.unit.serving.workshop import MODEL, World


def fresh(evaluation: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in evaluation["judgements"] if one["subject"] == "freshness"]
    assert isinstance(found, dict)
    return found


def test_a_version_is_stale_when_its_training_is_older_than_its_limit(world: World) -> None:
    traffic, metrics = Traffic(world, freshness={"training_days": 10}), Metrics()
    assert traffic.live and traffic.live.source_run
    ended = int((START - timedelta(days=9)).timestamp() * 1000)
    Runs(world.table).update(traffic.live.source_run, status="FINISHED", end_time=ended, who=WHO)
    young = fresh(traffic.judged(23))
    assert (young["verdict"], young["figures"]["training_hours"]) == ("good", 9 * 24 + 23)
    assert young["reason"] == "version 1 was trained on 2026-02-20, 9 days ago, of 10 allowed"
    assert traffic.events("data_stale") == []
    for hour in (24.1, 25, 26):
        old = traffic.judged(hour)
    assert fresh(old)["verdict"] == "failed"
    publish(metrics.client, "fraud", old)
    assert metrics.values("DataStale", days=3) == [1.0]
    [event] = traffic.events("data_stale")
    assert event["version"] == 1 and event["why"].startswith("version 1 was trained on 2026-02-20, 10 days ago")


def test_a_run_that_has_no_end_is_as_old_as_its_begin_and_no_run_has_no_age(world: World) -> None:
    traffic = Traffic(world, freshness={"training_days": 1})
    assert traffic.live and traffic.live.source_run
    header = world.table.get(f"RUN#{traffic.live.source_run}", "HEADER")
    assert header and header.doc["end_time"] is None
    traffic.promoted = START.fromtimestamp(header.doc["start_time"] / 1000, START.tzinfo)
    assert fresh(traffic.judged(23))["verdict"] == "good"
    assert fresh(traffic.judged(25))["verdict"] == "failed"
    traffic.promote(run=False)
    unknown = fresh(traffic.judged(50))
    assert (unknown["verdict"], unknown["reason"]) == ("not_enough_data", "no run tells when version 2 was trained")


def test_a_model_that_nobody_asks_any_more_is_stale_and_fresh_again_with_traffic(world: World) -> None:
    traffic = Traffic(world, freshness={"traffic_hours": 2})
    assert fresh(traffic.judged(1))["verdict"] == "good"
    silent = fresh(traffic.judged(2.5))
    assert silent["verdict"] == "failed"
    assert silent["reason"] == "version 1 went live, and was asked nothing since, 2.5 hours ago, of 2 allowed"
    traffic.flows(3, rows=1)
    assert fresh(traffic.judged(4))["reason"] == "the last prediction was 1.0 hours ago, of 2 allowed"
    assert fresh(traffic.judged(5.5))["verdict"] == "failed"
    assert len(traffic.events("data_stale")) == 2


def test_a_paused_model_misses_no_traffic(world: World) -> None:
    traffic = Traffic(world, freshness={"traffic_hours": 2})
    traffic.pause()
    assert fresh(traffic.judged(9))["reason"] == "the model is paused, so that no prediction is missed"


def test_what_is_not_known_of_a_version_hides_nothing_that_is(world: World) -> None:
    without = Traffic(world, reference=False, freshness={"traffic_hours": 2, "training_days": 3650})
    found = fresh(without.judged(9))
    assert found["verdict"] == "good" and "without which its predictions are not counted" in found["reason"]


def test_the_window_that_started_last_is_found_among_many(world: World) -> None:
    traffic = Traffic(world)
    assert traffic.live
    for hour in (2, 9, 4):
        traffic.flows(hour, rows=1)
    for hour in range(10, 25):
        traffic.flows(hour, rows=0, asked=3)  # somebody looked at the page, and asked for no prediction
    last = Profiles(world.table).last(MODEL, traffic.live.version)
    assert last and last.window_start == START + timedelta(hours=9)
    assert Profiles(world.table).last(MODEL, 99) is None
