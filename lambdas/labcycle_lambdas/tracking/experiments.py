"""Experiments in MLflow's protocol."""

from __future__ import annotations

from functools import partial

from labcycle_lambdas.ledger.experiments import Experiment
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.arguments import Arguments
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
from labcycle_lambdas.tracking.limits import (
    EXPERIMENT_NAME_CHARACTERS,
    EXPERIMENT_TAG_CHARACTERS,
    KEY_CHARACTERS,
    check_experiment_id,
    check_tag_key,
    refused_location,
    tags,
)
from labcycle_lambdas.tracking.paging import Key, limit, offset, page, parse_order, sort
from labcycle_lambdas.tracking.shapes import Doc

VIEWS = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
MOST = 50_000
MOST_SEARCHED, MOST_SUMMARIES = 20, 1_000  # of a search for data sets
_KINDS = {"attribute": ("", "attribute"), "tag": ("tag", "tags")}
_NUMBERS = ("creation_time", "last_update_time")


def create(call: Call) -> Doc:
    arguments = call.arguments
    name = arguments.required_text("name", longest=EXPERIMENT_NAME_CHARACTERS)
    location = call.ledgers.artifacts.stored(arguments.text("artifact_location").rstrip("/"))
    if location and not call.ledgers.artifacts.holds(location):
        raise refused_location(location, call.ledgers.artifacts.root)
    found = tags(arguments, longest=EXPERIMENT_TAG_CHARACTERS)
    return {"experiment_id": call.ledgers.experiments.create(name, location, found, call.who).experiment_id}


def get(call: Call) -> Doc:
    return {"experiment": shapes.experiment(call.ledgers.experiments.get(_id(call.arguments)))}


def get_by_name(call: Call) -> Doc:
    name = call.arguments.required_text("experiment_name")
    return {"experiment": shapes.experiment(call.ledgers.experiments.get_by_name(name))}


def search_datasets(call: Call) -> Doc:
    """The data sets that runs of some experiments used, each once for every context."""
    asked = call.arguments.ids("experiment_ids")
    if not asked:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(asked) > MOST_SEARCHED:
        raise invalid(
            f"SearchDatasets request cannot specify more than {MOST_SEARCHED} experiment_ids. Received {len(asked)} "
            "experiment_ids."
        )
    found = [
        shapes.filled(experiment_id=experiment_id, name=name, digest=digest, context=context or None)
        for experiment_id in dict.fromkeys(map(check_experiment_id, asked))
        for name, digest, context in call.ledgers.runs.dataset_uses(experiment_id)
    ]
    return shapes.filled(dataset_summaries=found[:MOST_SUMMARIES])


def delete(call: Call) -> Doc:
    call.ledgers.experiments.delete(_id(call.arguments), call.who)
    return {}


def restore(call: Call) -> Doc:
    call.ledgers.experiments.restore(_id(call.arguments), call.who)
    return {}


def update(call: Call) -> Doc:
    experiment_id = _id(call.arguments)
    name = call.arguments.required_text("new_name", longest=EXPERIMENT_NAME_CHARACTERS)
    call.ledgers.experiments.rename(experiment_id, name, call.who)
    return {}


def set_tag(call: Call) -> Doc:
    key = call.arguments.required_text("key", longest=KEY_CHARACTERS)
    value = call.arguments.text("value", longest=EXPERIMENT_TAG_CHARACTERS)
    call.ledgers.experiments.set_tag(_id(call.arguments), check_tag_key(key), value)
    return {}


def delete_tag(call: Call) -> Doc:
    call.ledgers.experiments.delete_tag(_id(call.arguments), call.arguments.required_text("key"))
    return {}


def search(call: Call) -> Doc:
    arguments = call.arguments
    most = limit(arguments, None, MOST)
    start = offset(arguments)
    wanted = [_checked(comparison) for comparison in parse(arguments.text("filter"))]
    orders = parse_order(arguments.texts("order_by"))
    for order in orders:
        if kind_of(order.prefix, _KINDS) != "attribute" or order.key not in ("name", "experiment_id", *_NUMBERS):
            raise invalid(
                f"Invalid order_by key '{order.key[:100]}': experiments are ordered by name, experiment_id, {', '.join(_NUMBERS)}."
            )
    view = arguments.choice("view_type", VIEWS, VIEWS[0])
    found = [
        item
        for item in call.ledgers.experiments.all()
        if in_view(item.lifecycle_stage, view) and all(c.matches(_value(item, c.prefix, c.key)) for c in wanted)
    ]
    keys: list[Key[Experiment]] = [(partial(_attribute, order.key), order.descending) for order in orders]
    if not orders:
        keys.append((lambda e: e.creation_time, True))
    keys.append((lambda e: e.experiment_id, bool(orders)))
    return page("experiments", sort(found, keys), shapes.experiment, start, most)


def in_view(stage: str, view: str) -> bool:
    return view == "ALL" or (stage == "active") == (view == "ACTIVE_ONLY")


def _id(arguments: Arguments) -> str:
    return check_experiment_id(arguments.required_text("experiment_id"))


def _checked(comparison: Comparison) -> Comparison:
    if kind_of(comparison.prefix, _KINDS) == "tag":
        check_text(comparison, "tag", *NULLNESS)
    elif comparison.key in _NUMBERS:
        check_number(comparison, "attribute")
    elif comparison.key in ("name", "experiment_id"):
        check_text(comparison, "attribute", *(MEMBERSHIP if comparison.key == "experiment_id" else ()))
    else:
        raise invalid(
            f"Invalid attribute key '{comparison.key[:100]}' specified. Valid keys are name, experiment_id, {', '.join(_NUMBERS)}."
        )
    return comparison


def _value(item: Experiment, prefix: str, key: str) -> Value:
    return item.tags.get(key) if kind_of(prefix, _KINDS) == "tag" else _attribute(key, item)


def _attribute(key: str, item: Experiment) -> Value:
    match key:
        case "name":
            return item.name
        case "experiment_id":
            return item.experiment_id
        case "creation_time":
            return item.creation_time
        case _:
            return item.last_update_time
