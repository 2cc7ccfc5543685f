"""Logged models in MLflow's protocol."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from functools import partial

from labcycle_lambdas.ledger.logged_models import STATUSES, LoggedModel
from labcycle_lambdas.ledger.points import Metric, rank
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.filters import (
    MEMBERSHIP,
    Comparison,
    Value,
    check_number,
    check_text,
    kind_of,
    parse,
    split,
)
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import TAG_CHARACTERS, check_experiment_id, tags
from labcycle_lambdas.tracking.paging import Key, limit, offset, page, sort
from labcycle_lambdas.tracking.run_names import readable_name
from labcycle_lambdas.tracking.runs import listing
from labcycle_lambdas.tracking.shapes import Doc

MOST = 1000
_PARAM_CHARACTERS = 6_000
_KINDS = {"attribute": ("", "attributes"), "metric": ("metrics",), "parameter": ("params",), "tag": ("tags",)}
_NUMBERS = {
    "creation_time": "creation_timestamp",
    "creation_timestamp": "creation_timestamp",
    "last_updated_time": "last_updated_timestamp",
    "last_updated_timestamp": "last_updated_timestamp",
}
_TEXTS = ("name", "model_id", "model_type", "status", "source_run_id", "experiment_id")


def create(call: Call) -> Doc:
    arguments = call.arguments
    name = arguments.text("name", longest=500)
    if arguments.has("name") and (not name or re.search(r"[/:.%\"']", name)):
        raise invalid(
            f"Invalid model name ({name!r:.200}) provided. Model name must be a non-empty string and cannot contain the "
            f"following characters: ('/', ':', '.', '%', '\"', \"'\")"
        )
    identifier = uuid.uuid4().hex
    model = call.ledgers.logged_models.create(
        experiment_id=check_experiment_id(arguments.required_text("experiment_id")),
        name=name or readable_name(identifier),
        model_type=arguments.text("model_type", longest=500),
        source_run_id=arguments.text("source_run_id", longest=256),
        params=_params(arguments),
        tags=tags(arguments, longest=TAG_CHARACTERS),
        model_id=f"m-{identifier}",
    )
    return {"model": shapes.logged_model(model)}


def get(call: Call) -> Doc:
    deleted = call.arguments.text("allow_deleted").lower() == "true"
    return {"model": shapes.logged_model(call.ledgers.logged_models.get(call.path["model_id"], deleted=deleted))}


def finalize(call: Call) -> Doc:
    call.arguments.required_text("model_id")
    status = call.arguments.choice("status", STATUSES, "")
    if status == "":
        raise call.arguments.missing("status")
    return {"model": shapes.logged_model(call.ledgers.logged_models.finalize(call.path["model_id"], status))}


def delete(call: Call) -> Doc:
    call.ledgers.logged_models.delete(call.path["model_id"])
    return {}


def set_tags(call: Call) -> Doc:
    call.ledgers.logged_models.set_tags(call.path["model_id"], tags(call.arguments, longest=TAG_CHARACTERS))
    return {}


def delete_tag(call: Call) -> Doc:
    call.ledgers.logged_models.delete_tag(call.path["model_id"], call.path["tag_key"])
    return {}


def log_params(call: Call) -> Doc:
    call.arguments.required_text("model_id")
    call.ledgers.logged_models.log_params(call.path["model_id"], _params(call.arguments))
    return {}


def list_artifacts(call: Call) -> Doc:
    model = call.ledgers.logged_models.get(call.path["model_id"])
    return listing(call, model.artifact_uri, call.arguments.text("artifact_directory_path"))


def search(call: Call) -> Doc:
    arguments = call.arguments
    most = limit(arguments, 50, MOST)
    experiment_ids = [check_experiment_id(i) for i in arguments.texts("experiment_ids")]
    if not experiment_ids:
        raise arguments.missing("experiment_ids")
    orders = arguments.objects("order_by")
    datasets = [(d.text("dataset_name"), d.text("dataset_digest")) for d in arguments.objects("datasets")]
    if not all(name for name, _ in datasets):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    asked: list[object] = [experiment_ids, arguments.text("filter"), datasets]
    asked.append(
        [
            [o.text("field_name"), o.boolean("ascending", True), o.text("dataset_name"), o.text("dataset_digest")]
            for o in orders
        ]
    )
    scope = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    start = offset(arguments, scope)
    wanted = [_checked(comparison) for comparison in parse(arguments.text("filter"))]
    found = [
        model
        for experiment_id in dict.fromkeys(experiment_ids)
        for model in call.ledgers.logged_models.of_experiment(experiment_id)
        if all(_matches(model, comparison, datasets) for comparison in wanted)
        and (not datasets or any(_is_of(point, datasets) for _, point in model.metrics))
    ]
    keys: list[Key[LoggedModel]] = []
    for order in orders:
        prefix, key = split(field := order.required_text("field_name"))
        if prefix not in ("", "metrics") or (not prefix and key not in _NUMBERS and key not in _TEXTS):
            raise invalid(f"Invalid order by field name: {field[:100]}. It must be metrics.<name> or an attribute.")
        only = [(name, order.text("dataset_digest"))] if (name := order.text("dataset_name")) else []
        keys.append((partial(_value, prefix, key, only), not order.boolean("ascending", True)))
    keys.append((lambda m: m.creation_timestamp, True))
    keys.append((lambda m: m.model_id, False))
    return page("models", sort(found, keys), shapes.logged_model, start, most, scope)


def _params(arguments: Arguments) -> dict[str, str]:
    return {
        p.required_text("key", longest=250): p.text("value", longest=_PARAM_CHARACTERS)
        for p in arguments.objects("params")
    }


def _checked(comparison: Comparison) -> Comparison:
    kind, key = kind_of(comparison.prefix, _KINDS), comparison.key
    if kind == "metric" or (kind == "attribute" and key in _NUMBERS):
        check_number(comparison, kind)
    elif kind in ("parameter", "tag") or key in _TEXTS:
        check_text(comparison, kind, *MEMBERSHIP)
    else:
        raise invalid(f"Invalid filter key '{key[:100]}'. Valid keys are {', '.join((*_TEXTS, *_NUMBERS))}.")
    return comparison


def _matches(model: LoggedModel, comparison: Comparison, datasets: list[tuple[str, str]]) -> bool:
    return comparison.matches(_value(comparison.prefix, comparison.key, datasets, model))


def _is_of(point: Metric, datasets: list[tuple[str, str]]) -> bool:
    return any(name == point.dataset_name and digest in ("", point.dataset_digest) for name, digest in datasets)


def _value(prefix: str, key: str, datasets: list[tuple[str, str]], model: LoggedModel) -> Value:
    match kind_of(prefix, _KINDS):
        case "metric":
            points = [
                point for _, point in model.metrics if point.key == key and (not datasets or _is_of(point, datasets))
            ]
            return max(points, key=lambda point: rank(point.entry())).value if points else None
        case "parameter":
            return model.params.get(key)
        case "tag":
            return model.tags.get(key)
        case _:
            value: Value = getattr(model, _NUMBERS.get(key, key))
            return value
