"""Histories of metrics in MLflow's protocol: of one run in pages, and of many runs for a chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.points import Metric, Position, history_order
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.filters import Value
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import check_run_id, check_run_ids
from labcycle_lambdas.tracking.paging import PAGE_BYTES, limit, page, position, scope_of, to_json, token_at
from labcycle_lambdas.tracking.shapes import Doc

MOST_POINTS = 25_000
MOST_RUNS = 100
MOST_SAMPLES = 2_500


def get_history(call: Call) -> Response:
    run_id, key = check_run_id(call.arguments), call.arguments.required_text("metric_key")
    most, scope = _most_points(call.arguments), scope_of(run_id, key)
    after = position(call.arguments, scope, [False] * 4)
    points = call.ledgers.runs.history(run_id, key, _position(after) if after else None)
    shown: list[str] = []
    size = 0
    last: Metric | None = None
    for point in points:
        if len(shown) == most or size > PAGE_BYTES:
            assert last
            token = to_json(token_at(history_order(last), scope))
            return Response(body=f'{{"metrics":[{",".join(shown)}],"next_page_token":{token}}}')
        shown.append(to_json(shapes.metric(point)))
        size += len(shown[-1])
        last = point
    return Response(body=f'{{"metrics":[{",".join(shown)}]}}' if shown else "{}")


def get_history_bulk(call: Call) -> Doc:
    """All points of the runs, one run after the other, up to a number over all of them together."""
    arguments = call.arguments
    run_ids = _runs(arguments, "run_id", "GetMetricHistoryBulk")
    if not arguments.has("metric_key"):
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    most = _most_points(arguments)
    points: list[tuple[str, Metric]] = []
    for run_id in sorted(set(run_ids)):
        history = call.ledgers.runs.history(run_id, arguments.text("metric_key"))
        points += ((run_id, point) for point in islice(history, most - len(points)))
        if len(points) >= most:
            break
    return {"metrics": page("metrics", points, _point, 0, most).get("metrics", [])}


def get_history_bulk_interval(call: Call) -> Doc:
    """Points of each run, evenly over its steps; fewer than asked for where the answer would be too large for Lambda."""
    arguments = call.arguments
    if not arguments.has("run_ids"):
        raise arguments.missing("run_ids")
    run_ids = _runs(arguments, "run_ids", "GetMetricHistoryBulkInterval")
    key = arguments.required_text("metric_key")
    most = arguments.integer("max_results", MOST_SAMPLES, bits=32)
    if not 1 <= most <= MOST_SAMPLES:
        raise invalid(f"max_results must be between 1 and {MOST_SAMPLES}.")
    steps = _interval(arguments)
    widest = len(json.dumps(_point(("x" * 32, Metric(key, -1.7976931348623157e308, 10**13, 10**9)))))
    most = min(most, max(1, PAGE_BYTES // widest // len(run_ids)))
    found = []
    for run_id in run_ids:
        found += [_point((run_id, point)) for point in call.ledgers.runs.samples(run_id, key, steps, most)]
    return shapes.filled(metrics=found)


def _position(values: Sequence[Value]) -> Position:
    timestamp, step, value, nan = values
    assert isinstance(timestamp, int) and isinstance(step, int) and isinstance(value, float | int)
    return timestamp, step, float(value), bool(nan)


def _most_points(arguments: Arguments) -> int:
    return min(limit(arguments, MOST_POINTS, 2**31), MOST_POINTS)


def _runs(arguments: Arguments, name: str, request: str) -> list[str]:
    run_ids = arguments.texts(name)
    if not run_ids:
        raise invalid(f"{request} request must specify at least one {name}.")
    if len(run_ids) > MOST_RUNS:
        raise invalid(
            f"{request} request cannot specify more than {MOST_RUNS} run_ids. Received {len(run_ids)} run_ids."
        )
    return check_run_ids(run_ids, name)


def _interval(arguments: Arguments) -> range | None:
    """The steps that are asked for; None for all."""
    if arguments.has("start_step") != arguments.has("end_step"):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if not arguments.has("start_step"):
        return None
    start, end = arguments.integer("start_step", bits=32), arguments.integer("end_step", bits=32)
    if start > end:
        raise invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    return range(start, end + 1)


def _point(of_run: tuple[str, Metric]) -> Doc:
    run_id, point = of_run
    return shapes.metric(point) | {"run_id": run_id}
