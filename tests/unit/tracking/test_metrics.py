"""Histories of metrics: of many runs at once, and sampled as MLflow's own server samples."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.ledger.points import Metric, sampled
from labcycle_lambdas.tracking import metrics
from tests.unit.tracking.conftest import Api

BULK, INTERVAL = "metrics/get-history-bulk", "metrics/get-history-bulk-interval"


def log(api: Api, run_id: str, *points: tuple[Any, int, int], key: str = "loss") -> None:
    body = [{"key": key, "value": value, "timestamp": timestamp, "step": step} for value, timestamp, step in points]
    api.ok("POST", "runs/log-batch", {"run_id": run_id, "metrics": body})


def steps(doc: dict[str, Any]) -> list[tuple[str, int]]:
    return [(point["run_id"], point["step"]) for point in doc.get("metrics", [])]


def test_all_points_of_several_runs_come_run_by_run_in_the_order_of_time(api: Api) -> None:
    one, other = sorted((api.run(), api.run()))
    log(api, other, (1, 5, 0), ("NaN", 4, 1))
    log(api, one, (2, 9, 0), (3, 8, 1))
    log(api, one, (0, 1, 0), key="accuracy")
    asked = {"run_id": [other, one, other], "metric_key": "loss"}
    found = api.ok("GET", f"/ajax-api/2.0/mlflow/{BULK}", asked)
    assert steps(found) == [(one, 1), (one, 0), (other, 1), (other, 0)]
    assert found["metrics"][2] == {"run_id": other, "key": "loss", "value": "NaN", "timestamp": 4, "step": 1}
    assert steps(api.ok("GET", BULK, {**asked, "max_results": 3})) == [(one, 1), (one, 0), (other, 1)]
    assert api.ok("GET", BULK, {"run_id": "unknown", "metric_key": "loss"}) == {"metrics": []}


def test_points_of_an_interval_are_sampled_run_by_run(api: Api) -> None:
    one, other = api.run(), api.run()
    log(api, one, *((n / 10, 1, n) for n in range(10)))
    log(api, other, (1, 1, 3))
    asked: dict[str, Any] = {"run_ids": [other, one], "metric_key": "loss"}
    whole = api.ok("GET", INTERVAL, asked)
    assert steps(whole) == [(other, 3), *((one, n) for n in range(10))]
    assert whole["metrics"][-1] == {"run_id": one, "key": "loss", "value": 0.9, "timestamp": 1, "step": 9}
    assert steps(api.ok("GET", INTERVAL, {**asked, "max_results": 3})) == [(other, 3), (one, 0), (one, 4), (one, 9)]
    within = {**asked, "start_step": 4, "end_step": 5}
    assert steps(api.ok("GET", f"/ajax-api/2.0/mlflow/{INTERVAL}", within)) == [(one, 4), (one, 5)]
    assert api.ok("GET", INTERVAL, {"run_ids": "unknown", "metric_key": "loss"}) == {}


def test_an_answer_too_large_for_lambda_is_sampled_thinner(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run_ids = [api.run() for _ in range(2)]
    for run_id in run_ids:
        log(api, run_id, *((0.1, 1_700_000_000_000, n) for n in range(40)))
    monkeypatch.setattr(metrics, "PAGE_BYTES", 3_000)
    found = api.ok("GET", INTERVAL, {"run_ids": run_ids, "metric_key": "loss"})
    assert len(json.dumps(found, separators=(",", ":"))) < 3_000
    for run_id in run_ids:
        mine = [step for of, step in steps(found) if of == run_id]
        assert len(mine) > 2 and (mine[0], mine[-1]) == (0, 39)


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        (BULK, {"metric_key": "m"}, "GetMetricHistoryBulk request must specify at least one run_id."),
        (BULK, {"run_id": "r"}, "GetMetricHistoryBulk request must specify a metric_key."),
        (
            BULK,
            {"run_id": ["r"] * 101, "metric_key": "m"},
            "cannot specify more than 100 run_ids. Received 101 run_ids.",
        ),
        (BULK, {"run_id": ["r", "x" * 3_000], "metric_key": "m"}, "for parameter 'run_id' supplied."),
        (BULK, {"run_id": "r", "metric_key": "m", "max_results": "many"}, "max_results"),
        (BULK, {"run_id": "r", "metric_key": "m", "max_results": 0}, "must be a positive integer"),
        (INTERVAL, {"metric_key": "m"}, "Missing value for required parameter 'run_ids'."),
        (INTERVAL, {"run_ids": "x" * 3_000, "metric_key": "m"}, "for parameter 'run_ids' supplied."),
        (INTERVAL, {"run_ids": "r"}, "Missing value for required parameter 'metric_key'."),
        (INTERVAL, {"run_ids": ["r"] * 101, "metric_key": "m"}, "Received 101 run_ids."),
        (INTERVAL, {"run_ids": "r", "metric_key": "m", "max_results": 2501}, "max_results must be between 1 and 2500."),
        (INTERVAL, {"run_ids": "r", "metric_key": "m", "start_step": 1}, "both must be specified."),
        (INTERVAL, {"run_ids": "r", "metric_key": "m", "start_step": 2, "end_step": 1}, "end_step must be greater"),
        (INTERVAL, {"run_ids": "r", "metric_key": "m", "start_step": 2**31, "end_step": 2**31}, "more than 32 bits"),
    ],
)
def test_a_users_mistake_is_told(api: Api, path: str, asked: dict[str, Any], said: str) -> None:
    status, code, message = api.fails("GET", path, asked)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert said in message


POINTS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, -1.0, math.nan]), st.integers(0, 3), st.integers(-2, 6)), max_size=30
)


# What MLflow's server asks of its database: the first point of each bucket (sqlalchemy_store.py, 3.17).
NTILE = """
with bucketed as (select *, ntile(?) over (order by step, time, value, nan) as bucket from points),
ranked as (select *, row_number() over (partition by bucket order by step, time, value, nan) as rank from bucketed)
select step, time, value, nan from ranked where rank = 1 order by step, time, value, nan
"""


@given(points=POINTS, most=st.integers(1, 12))
def test_samples_are_those_of_mlflows_own_server(points: list[tuple[float, int, int]], most: int) -> None:
    given_points = [Metric("m", *point) for point in points]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table points (step, time, value, nan)")
        database.executemany("insert into points values (?, ?, ?, ?)", map(row, given_points))
        expected = database.execute(NTILE, [most]).fetchall()
    last = max(map(row, given_points), default=None)
    if last and expected[-1] != last:
        expected[-1] = last
    assert [row(point) for point in sampled(given_points, most)] == expected


def row(point: Metric) -> tuple[int, int, float, bool]:
    nan = math.isnan(point.value)
    return (point.step, point.timestamp, 0.0 if nan else point.value, nan)
