"""runs/search: over the headers, latest metrics, params and tags of an experiment's runs; never over metric points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.runs import DATASET_CONTEXT_TAG, DatasetInput, Run
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.experiments import VIEWS, in_view
from labcycle_lambdas.tracking.filters import (
    MEMBERSHIP,
    NULLNESS,
    Comparison,
    Value,
    check_number,
    check_text,
    kind_of,
    parse,
)
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import check_experiment_id
from labcycle_lambdas.tracking.paging import Key, limit, offset, page, parse_order, sort
from labcycle_lambdas.tracking.shapes import Doc

MOST = 50_000
_KINDS = {
    "attribute": ("", "attribute", "attributes", "attr", "run"),
    "metric": ("metric", "metrics"),
    "parameter": ("parameter", "parameters", "param", "params"),
    "tag": ("tag", "tags"),
    "dataset": ("dataset", "datasets"),
}
_ALIASES = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
}
_NUMBERS = ("start_time", "end_time")
_TEXTS = ("run_id", "run_name", "status", "user_id", "artifact_uri")
_DATASET_KEYS = ("name", "digest", "context")


def search(call: Call) -> Doc:
    arguments = call.arguments
    most = limit(arguments, 1000, MOST)
    start = offset(arguments)
    wanted = [_checked(comparison) for comparison in parse(arguments.text("filter"))]
    orders = parse_order(arguments.texts("order_by"))
    for order in orders:
        kind = kind_of(order.prefix, _KINDS)
        if kind == "dataset" or (kind == "attribute" and _attribute_name(order.key) not in _NUMBERS + _TEXTS):
            raise invalid(
                f"Invalid order_by key '{order.key[:100]}' specified. Valid keys are {', '.join(_NUMBERS + _TEXTS)}."
            )
    view = arguments.choice("run_view_type", VIEWS, VIEWS[0])
    seen: dict[str, Dataset] = {}
    runs = call.ledgers.runs
    found = [
        run
        for experiment_id in dict.fromkeys(check_experiment_id(i) for i in arguments.ids("experiment_ids"))
        for run in runs.of_experiment(experiment_id)
        if in_view(run.lifecycle_stage, view)
        and all(_matches(run, c) for c in wanted if kind_of(c.prefix, _KINDS) != "dataset")
    ]
    if of_datasets := [c for c in wanted if kind_of(c.prefix, _KINDS) == "dataset"]:
        found = [run for run in found if _datasets_match(runs.datasets(run, seen), of_datasets)]
    keys: list[Key[Run]] = [(partial(_value, order.prefix, order.key), order.descending) for order in orders]
    if not any(_attribute_name(o.key) == "start_time" and kind_of(o.prefix, _KINDS) == "attribute" for o in orders):
        keys.append((lambda run: run.start_time, True))
    keys.append((lambda run: run.run_id, False))
    return page(
        "runs", sort(found, keys), lambda run: shapes.run(run, runs.datasets(run, seen), whole=False), start, most
    )


def _checked(comparison: Comparison) -> Comparison:
    kind, key = kind_of(comparison.prefix, _KINDS), comparison.key
    if kind == "metric":
        check_number(comparison, "metric")
    elif kind in ("parameter", "tag"):
        check_text(comparison, kind, *NULLNESS)
    elif kind == "dataset":
        if key not in _DATASET_KEYS:
            raise invalid(f"Invalid dataset key '{key[:100]}' specified. Valid keys are {', '.join(_DATASET_KEYS)}.")
        check_text(comparison, "dataset attribute", *MEMBERSHIP)
    elif _attribute_name(key) in _NUMBERS:
        check_number(comparison, "attribute")
    elif _attribute_name(key) in _TEXTS:
        check_text(comparison, "attribute", *(MEMBERSHIP if key == "run_id" else ()))
    else:
        raise invalid(f"Invalid attribute key '{key[:100]}' specified. Valid keys are {', '.join(_NUMBERS + _TEXTS)}.")
    return comparison


def _matches(run: Run, comparison: Comparison) -> bool:
    return comparison.matches(_value(comparison.prefix, comparison.key, run))


def _value(prefix: str, key: str, run: Run) -> Value:
    match kind_of(prefix, _KINDS):
        case "metric":
            return run.metrics.get(key)
        case "parameter":
            return run.params.get(key)
        case "tag":
            return run.tags.get(key)
        case _:
            name = _attribute_name(key)
            value: Value = run.name if name == "run_name" else getattr(run, name)
            return value


def _attribute_name(key: str) -> str:
    return _ALIASES.get(key, key)


def _datasets_match(inputs: Sequence[DatasetInput], wanted: Sequence[Comparison]) -> bool:
    """Each comparison by some input, not all by the same one."""
    return all(
        any(comparison.matches(_dataset_value(item, comparison.key)) for item in inputs) for comparison in wanted
    )


def _dataset_value(item: DatasetInput, key: str) -> Value:
    match key:
        case "name":
            return item.dataset.name
        case "digest":
            return item.dataset.digest
        case _:
            return item.tags.get(DATASET_CONTEXT_TAG)
