"""Coverage: what the profiles count beside what the API counted, and that neither edge makes it look worse."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from labcycle_lambdas.monitoring.coverage import Counted
from labcycle_lambdas.monitoring.environment import Requests
from labcycle_lambdas.monitoring.window import Window
from tests.unit.monitoring.traffic import START, Api, Traffic
from tests.unit.serving.workshop import World

REQUESTS = Requests("AWS/ApiGateway", "IntegrationLatency", "SampleCount", (("ApiId", "a1b2"),))


def window(at: datetime, asked: int | None) -> Window:
    return Window(at, "a", 1, "reference", 1, asked)


@pytest.mark.usefixtures("world")
def test_what_the_api_passed_on_is_summed_over_whole_minutes_of_both() -> None:
    api = Api()
    for minute, requests in ((4, 9), (5, 30), (12, 40), (39, 30), (40, 7)):
        api.passes_on(START + timedelta(minutes=minute), requests)
    stored = [window(START + timedelta(minutes=minute), 45) for minute in (2, 20, 40)]
    found = Counted(api.client, REQUESTS).coverage(stored, START, START + timedelta(minutes=44))
    assert found
    assert (found.start, found.end) == (START + timedelta(minutes=5), START + timedelta(minutes=40))
    assert (found.asked, found.requests) == (90, 100)
    assert found.to_doc()["share"] == 0.9


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("stored", "minutes"),
    [
        pytest.param([window(START + timedelta(minutes=6), None)], 44, id="profiles that count no requests"),
        pytest.param([], 8, id="too short"),
        pytest.param([window(START + timedelta(minutes=6), 3)], 14, id="nothing that the API knows of"),
    ],
)
def test_it_is_not_known_without_both_counts(stored: list[Window], minutes: int) -> None:
    api = Api()
    api.passes_on(START + timedelta(minutes=30), 50)
    assert Counted(api.client, REQUESTS).coverage(stored, START, START + timedelta(minutes=minutes)) is None


class Minutes:
    """Answers as CloudWatch does, of requests at these seconds after START, and knows each at once, which is the worst for coverage."""

    def __init__(self, seconds: list[int]) -> None:
        self.seconds = seconds

    def get_paginator(self, name: str) -> Minutes:
        assert name == "get_metric_data"
        return self

    def paginate(self, *, MetricDataQueries: Any, StartTime: datetime, EndTime: datetime) -> Any:
        assert StartTime.timestamp() % 300 == EndTime.timestamp() % 300 == 0
        assert MetricDataQueries[0]["MetricStat"]["Period"] == 300
        passed_on = [START + timedelta(seconds=second) for second in self.seconds]
        yield {"MetricDataResults": [{"Values": [sum(StartTime <= at < EndTime for at in passed_on)]}]}


def test_whatever_the_edges_are_a_server_that_loses_nothing_covers_all() -> None:
    """A window begins with a request, counts all of its minute, and is written with its first request and when it is over."""
    draw, known = Random(3), 0

    def near_an_edge() -> int:
        return 300 * draw.randint(2, 6) + draw.randint(-90, 90)

    for _ in range(6000):
        seconds = sorted(near_an_edge() for _ in range(draw.randint(1, 40)))
        since, at = (START + timedelta(seconds=near_an_edge()) for _ in range(2))
        stored: list[Window] = []
        for moment in (START + timedelta(seconds=second) for second in seconds):
            if not stored or moment - stored[-1].start >= timedelta(seconds=60):
                stored.append(window(moment, 1))
            elif stored[-1].start + timedelta(seconds=60) <= at:
                stored[-1] = stored[-1]._replace(asked=(stored[-1].asked or 0) + 1)
        within = [one for one in stored if since <= one.start <= at]
        found = Counted(Minutes(seconds), REQUESTS).coverage(within, since, at)
        known += found is not None
        assert found is None or (found.share == 1.0 and found.asked >= found.requests), (seconds, since, at)
    assert known > 500


def test_under_95_percent_nothing_is_judged(world: World) -> None:
    api = Api()
    traffic = Traffic(world, counted=Counted(api.client, REQUESTS), persistence=1)
    api.passes_on(START + timedelta(minutes=30), 240)
    traffic.flows(0.5, shift=2.0, asked=227)
    lost = traffic.judged(1)
    assert (lost["verdict"], lost["rows"]) == ("not_enough_data", 120)
    assert lost["reason"] == "the profiles tell of 227 of 240 requests (94.6%), of at least 95% needed"
    assert lost["coverage"]["asked"] == 227 and traffic.events() == []
    traffic.flows(0.6, shift=2.0, asked=1)
    assert traffic.judged(1.1)["verdict"] == "drifted"


def test_what_the_canary_was_asked_counts_too(world: World) -> None:
    api = Api()
    traffic = Traffic(world, counted=Counted(api.client, REQUESTS))
    api.passes_on(START + timedelta(minutes=30), 200)
    traffic.flows(0.5, asked=120)
    assert traffic.judged(1)["coverage"]["share"] == 0.6
    traffic.try_out(asked=80, hour=0.5)
    covered = traffic.judged(1.1)
    assert (covered["coverage"]["share"], covered["verdict"], covered["rows"]) == (1.0, "stable", 120)


@pytest.mark.parametrize(("asked", "coverage"), [(0, {"share": 1.0}), (None, None)], ids=["batches", "records"])
def test_a_model_without_an_api_is_covered_by_its_batches(
    world: World, asked: int | None, coverage: dict[str, float] | None
) -> None:
    """Of records nobody knows what they are a share of."""
    traffic = Traffic(world)
    traffic.flows(0.5, asked=asked)
    assert traffic.judged(1)["coverage"] == coverage


def test_servers_that_write_nothing_at_all_are_noticed(world: World) -> None:
    api = Api()
    traffic = Traffic(world, counted=Counted(api.client, REQUESTS))
    api.passes_on(START + timedelta(minutes=30), 200)
    assert traffic.judged(1)["reason"].startswith("the profiles tell of 0 of 200 requests (0.0%)")
