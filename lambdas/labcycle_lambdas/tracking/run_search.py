"""runs/search: over the headers, latest metrics, params and tags of an experiment's runs; never over metric points."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Protocol

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.packs import RUNS_A_PACK, Block, Place
from labcycle_lambdas.ledger.run_record import PARAM, TAG, DatasetInput
from labcycle_lambdas.ledger.runs import DATASET_CONTEXT_TAG, RUN_NAME_TAG
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
from labcycle_lambdas.tracking.paging import (
    PAGE_BYTES,
    Order,
    behind,
    limit,
    parse_order,
    position,
    ranking,
    scope_of,
    to_json,
    token_at,
)

MOST = 50_000
_FIRST_RUNS = 100  # read together, while it is not known how large runs are
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


class Named(Protocol):
    """What a comparison or an order is about."""

    @property
    def prefix(self) -> str: ...

    @property
    def key(self) -> str: ...


def search(call: Call) -> Response:
    arguments = call.arguments
    most = limit(arguments, 1000, MOST)
    wanted = [_checked(comparison) for comparison in parse(arguments.text("filter"))]
    orders = _orders(arguments.texts("order_by"))
    view = arguments.choice("run_view_type", VIEWS, VIEWS[0])
    experiment_ids = list(dict.fromkeys(check_experiment_id(i) for i in arguments.ids("experiment_ids")))
    scope = scope_of(experiment_ids, arguments.text("filter"), arguments.texts("order_by"), view)
    after = position(arguments, scope, [_is_text(order) for order in orders])
    runs = call.ledgers.runs
    seen: dict[str, Dataset] = {}
    named: list[Named] = [*wanted, *orders]
    whole = any(map(_is_in_the_rest, named))
    places: list[Place] = []
    values: list[list[Value]] = [[] for _ in orders]
    for experiment_id in experiment_ids:
        blocks = runs.blocks(experiment_id, whole=whole)
        met: set[str] = set()
        for block in blocks:
            rows = [row for row, run_id in enumerate(block.ids) if run_id not in met]
            met.update(block.ids)
            rows = _matching(call, block, rows, wanted, view, seen)
            places += [(block, row) for row in rows]
            for column, order in zip(values, orders, strict=True):
                found = _column(block, order)
                column += [found[row] for row in rows]
        if blocks and not blocks[0].pack and len(blocks[0].ids) >= RUNS_A_PACK:
            runs.pack(experiment_id, near=secrets.token_hex(2))
    ranked = ranking(values, [order.descending for order in orders], len(places))
    columns = [[column[i] for i in ranked] for column in values]
    start = behind(columns, [order.descending for order in orders], after) if after else 0
    shown: list[str] = []
    size = 0
    for text in _texts(call, [places[i] for i in ranked[start : start + most]], seen):
        size += len(text)
        if shown and size > PAGE_BYTES:
            break
        shown.append(text)
    end = start + len(shown)
    parts = [f'"runs":[{",".join(shown)}]'] if shown else []
    if end < len(ranked) and shown:
        parts.append(f'"next_page_token":{to_json(token_at([column[end - 1] for column in columns], scope))}')
    return Response(body="{" + ",".join(parts) + "}")


def _texts(call: Call, places: Sequence[Place], seen: dict[str, Dataset]) -> Iterator[str]:
    """Runs in JSON. As many are read together as a page has room for, by the size of those before."""
    at, size, together = 0, 0, _FIRST_RUNS
    while batch := places[at : at + together]:
        for run in call.ledgers.runs.at(batch):
            text = to_json(call.presented(shapes.run(run, call.ledgers.runs.datasets(run, seen), whole=False)))
            size += len(text)
            yield text
        at += len(batch)
        together = max(1, (PAGE_BYTES - size) * at // size)


def _orders(clauses: Sequence[str]) -> list[Order]:
    """What is asked for; then the newest first, unless the time is asked for; then by id."""
    orders = parse_order(clauses)
    for order in orders:
        kind = _kind(order)
        if kind == "dataset" or (kind == "attribute" and _attribute_name(order.key) not in _NUMBERS + _TEXTS):
            raise invalid(
                f"Invalid order_by key '{order.key[:100]}' specified. Valid keys are {', '.join(_NUMBERS + _TEXTS)}."
            )
    if not any(_kind(order) == "attribute" and _attribute_name(order.key) == "start_time" for order in orders):
        orders.append(Order("", "start_time", True))
    return [*orders, Order("", "run_id", False)]


def _matching(
    call: Call, block: Block, rows: list[int], wanted: Sequence[Comparison], view: str, seen: dict[str, Dataset]
) -> list[int]:
    """Those of the rows that the search asks for."""
    stages = block.stages()
    rows = [row for row in rows if in_view(stages[row], view)]
    of_datasets = [comparison for comparison in wanted if _kind(comparison) == "dataset"]
    for comparison in wanted:
        if _kind(comparison) != "dataset":
            column = _column(block, comparison)
            rows = [row for row in rows if comparison.matches(column[row])]
    if not of_datasets:
        return rows
    runs = call.ledgers.runs
    found = zip(rows, runs.at([(block, row) for row in rows]), strict=True)
    return [row for row, run in found if _datasets_match(runs.datasets(run, seen), of_datasets)]


def _column(block: Block, named: Named) -> Sequence[Value]:
    match _kind(named):
        case "metric":
            return block.metric(named.key)
        case "parameter":
            return block.rest(PARAM + named.key)
        case "tag":
            return block.rest(TAG + named.key)
        case _:
            name = _attribute_name(named.key)
            return block.rest(TAG + RUN_NAME_TAG) if name == "run_name" else block.attribute(name)


def _is_in_the_rest(named: Named) -> bool:
    """Whether it is no column of a pack."""
    kind = _kind(named)
    return kind in ("parameter", "tag") or (kind == "attribute" and _attribute_name(named.key) == "run_name")


def _is_text(order: Order) -> bool:
    kind = _kind(order)
    return kind != "metric" and not (kind == "attribute" and _attribute_name(order.key) in _NUMBERS)


def _kind(named: Named) -> str:
    return kind_of(named.prefix, _KINDS)


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
