"""Histories of metrics in MLflow's protocol: of one run in pages, and of many runs for a chart."""

from __future__ import annotations

import json

from labcycle_lambdas.ledger.points import Metric, sampled
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import check_run_id, check_run_ids
from labcycle_lambdas.tracking.paging import PAGE_BYTES, limit, offset, page
from labcycle_lambdas.tracking.shapes import Doc

MOST_POINTS = 25_000
MOST_RUNS = 100
MOST_SAMPLES = 2_500


def get_history(call: Call) -> Doc:
    run_id = check_run_id(call.arguments)
    points = call.ledgers.runs.history(run_id, call.arguments.required_text("metric_key"))
    return page("metrics", points, shapes.metric, offset(call.arguments), _most_points(call.arguments))


def get_history_bulk(call: Call) -> Doc:
    """All points of the runs, one run after the other, up to a number over all of them together."""
    arguments = call.arguments
    run_ids = _runs(arguments, "run_id", "GetMetricHistoryBulk")
    if not arguments.has("metric_key"):
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    most = _most_points(arguments)
    points: list[tuple[str, Metric]] = []
    for run_id in sorted(set(run_ids)):
        points += ((run_id, point) for point in call.ledgers.runs.history(run_id, arguments.text("metric_key")))
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
        points = call.ledgers.runs.history(run_id, key)
        inside = [point for point in points if steps is None or point.step in steps]
        found += [_point((run_id, point)) for point in sampled(inside, most)]
    return shapes.filled(metrics=found)


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
