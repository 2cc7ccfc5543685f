"""Runs in MLflow's protocol: create, read, change, log."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import lru_cache
from math import inf
from typing import Any
from urllib.parse import unquote

from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.run_record import DatasetInput, Run
from labcycle_lambdas.ledger.runs import RUN_NAME_TAG, STATUSES, ParamChanged
from labcycle_lambdas.mlflow_error import BAD_REQUEST, MlflowError, invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import (
    BATCH,
    PARAM_CHARACTERS,
    TAG_CHARACTERS,
    check_batch,
    check_experiment_id,
    check_key,
    check_run_id,
    check_tag_key,
    run_id_of,
    tags,
)
from labcycle_lambdas.tracking.run_names import readable_name
from labcycle_lambdas.tracking.shapes import Doc

USER_TAG = "mlflow.user"
_INT64 = 2**63


def create(call: Call) -> Doc:
    arguments = call.arguments
    experiment_id = check_experiment_id(arguments.required_text("experiment_id"))
    found = tags(arguments, longest=TAG_CHARACTERS, cut=True)
    name, tagged = arguments.text("run_name", longest=TAG_CHARACTERS), found.get(RUN_NAME_TAG, "")
    if name and tagged and name != tagged:
        call.ledgers.experiments.active(experiment_id)  # the graver mistake first
        raise invalid(
            f"Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='{name[:100]}', "
            f"mlflow.runName='{tagged[:100]}')."
        )
    if len(found) < len(arguments.objects("tags")) or (RUN_NAME_TAG in found and not tagged):
        call.ledgers.experiments.active(experiment_id)
        raise MlflowError(BAD_REQUEST, "Invalid tags of the new run: a tag is there twice, or the run's name is empty.")
    run_id, user_id = uuid.uuid4().hex, arguments.text("user_id", longest=256)
    # Who ran it is what signature or token say; the body's user_id is what any caller may write.
    if call.request.caller:
        found[USER_TAG] = call.user
    run = call.ledgers.runs.create(
        experiment_id=experiment_id,
        user_id=call.user if call.request.caller else user_id,
        run_name=name or tagged or readable_name(run_id),
        start_time=arguments.integer("start_time"),
        tags=found,
        run_id=run_id,
    )
    call.ledgers.runs.keep_pace(run)
    return created(run)


def created(run: Run) -> Doc:
    """The answer to the call that made a run."""
    shown = shapes.run(run)
    del shown["outputs"]  # so does MLflow's server, here alone
    return {"run": shown}


def get(call: Call) -> Doc:
    run = call.ledgers.runs.get(run_id_of(call.arguments))
    return {"run": shapes.run(run, call.ledgers.runs.datasets(run))}


def update(call: Call) -> Doc:
    arguments = call.arguments
    run = call.ledgers.runs.update(
        run_id_of(arguments),
        status=arguments.choice("status", STATUSES, "") or None,
        end_time=arguments.integer("end_time") if arguments.has("end_time") else None,
        run_name=arguments.text("run_name", longest=TAG_CHARACTERS) or None,
        who=call.who,
    )
    return {"run_info": shapes.run_info(run)}


def delete(call: Call) -> Doc:
    call.ledgers.runs.delete(run_id_of(call.arguments), call.who)
    return {}


def restore(call: Call) -> Doc:
    call.ledgers.runs.restore(run_id_of(call.arguments), call.who)
    return {}


def log_metric(call: Call) -> Doc:
    _log(call, check_run_id(call.arguments), metrics=[_metric(call.arguments, "")])
    return {}


def log_parameter(call: Call) -> Doc:
    run_id = run_id_of(call.arguments)
    key, value = _param(call.arguments, "key")
    try:
        _log(call, run_id, params={key: value})
    except ParamChanged as changed:
        _, old, new = changed.conflicts[0]
        raise invalid(
            f"Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' for run "
            f"ID='{run_id}'. Attempted logging new value '{new}'."
        ) from None
    return {}


def set_tag(call: Call) -> Doc:
    run_id = run_id_of(call.arguments)
    key = check_tag_key(call.arguments.required_text("key"))
    _log(call, run_id, tags={key: call.arguments.text("value")[:TAG_CHARACTERS]})
    return {}


def delete_tag(call: Call) -> Doc:
    call.ledgers.runs.delete_tag(run_id_of(call.arguments), call.arguments.required_text("key"))
    return {}


def log_batch(call: Call) -> Doc:
    arguments = call.arguments
    run_id = check_run_id(arguments)
    metrics = [
        _plain_metric(item.values) or _metric(item, f"metrics[{index}].")
        for index, item in enumerate(arguments.objects("metrics"))
    ]
    params = [_param(item, f"params[{index}].key") for index, item in enumerate(arguments.objects("params"))]
    found = tags(arguments, longest=TAG_CHARACTERS, cut=True)
    for what, count in (("metrics", len(metrics)), ("params", len(params)), ("tags", len(arguments.objects("tags")))):
        check_batch(what, count, BATCH[what])
    check_batch("metrics, params, and tags", len(metrics) + len(params) + len(arguments.objects("tags")), 1000)
    twice = [key for index, (key, _) in enumerate(params) if key in [other for other, _ in params[:index]]]
    if twice:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains only one param value "
            f"per param key."
        )
    _log(call, run_id, metrics, dict(params), found)
    return {}


def log_inputs(call: Call) -> Doc:
    arguments = call.arguments
    run_id = check_run_id(arguments)
    datasets = []
    check_batch("datasets", len(arguments.objects("datasets")), 1000)
    for item in arguments.objects("datasets"):
        datasets.append(DatasetInput(_dataset(item.inner("dataset")), _input_tags(item)))
    models = [item.required_text("model_id") for item in arguments.objects("models")]
    for model_id in models:
        call.ledgers.logged_models.get(model_id)
    call.ledgers.runs.log_inputs(run_id, datasets, models)
    return {}


def log_model(call: Call) -> Doc:
    """A model of a client before MLflow 3: its MLmodel file, of which the run's tag keeps what MLflow's server keeps."""
    arguments = call.arguments
    run_id, text = run_id_of(arguments), arguments.required_text("model_json")
    try:
        model = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(f"Malformed model info. \n {text[:1000]} \n is not a valid JSON.") from None
    if not isinstance(model, dict):
        raise invalid("Malformed model info: model_json must be a JSON object.")
    if missing := {"artifact_path", "flavors", "utc_time_created", "run_id"} - model.keys():
        raise invalid(f"Model json is missing mandatory fields: {sorted(missing)}")
    flavors = model["flavors"]
    if not isinstance(flavors, dict):
        raise invalid("Malformed model info: flavors must be a JSON object.")
    kept = {key: model.get(key) for key in ("run_id", "artifact_path", "utc_time_created", "model_uuid")}
    kept["flavors"] = {
        name: {key: value for key, value in flavor.items() if key != "config"} if isinstance(flavor, dict) else flavor
        for name, flavor in flavors.items()
    }
    call.ledgers.runs.log_model(run_id, kept, longest=TAG_CHARACTERS)
    return {}


def log_outputs(call: Call) -> Doc:
    run_id = run_id_of(call.arguments)
    if not call.arguments.has("models"):
        raise call.arguments.missing("models")
    models = [(item.required_text("model_id"), item.integer("step")) for item in call.arguments.objects("models")]
    for model_id, _ in models:
        call.ledgers.logged_models.get(model_id)
    call.ledgers.runs.log_outputs(run_id, models)
    return {}


def list_artifacts(call: Call) -> Doc:
    run = call.ledgers.runs.get(run_id_of(call.arguments))
    return listing(call, run.artifact_uri, call.arguments.text("path"))


def listing(call: Call, root: str, path: str) -> Doc:
    """Files and folders right below `path`."""
    if ".." in unquote(unquote(path)).split("/"):
        raise invalid("Invalid path")
    files, following = call.ledgers.artifacts.listing(root, path, call.arguments.text("page_token"))
    return shapes.filled(root_uri=root, files=files, next_page_token=following or None)


def _log(
    call: Call,
    run_id: str,
    metrics: list[Metric] | None = None,
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    if tags and not tags.get(RUN_NAME_TAG, "named"):
        tags = {key: value for key, value in tags.items() if key != RUN_NAME_TAG}  # an empty name leaves it as it is
    of_models = [metric for metric in metrics or [] if metric.model_id]
    for model_id in {metric.model_id for metric in of_models}:
        try:
            call.ledgers.logged_models.get(model_id, deleted=True)
        except NotFound as missing:
            raise invalid(str(missing)) from None
    models = call.ledgers.logged_models
    call.ledgers.runs.log_batch(
        run_id, metrics or [], params, tags, also=lambda: models.metric_writes(run_id, of_models)
    )


def _plain_metric(values: Mapping[str, Any]) -> Metric | None:
    """A metric as the client sends nearly all of them, which needs no closer look."""
    try:
        key, value, timestamp, step = values["key"], values["value"], values["timestamp"], values["step"]
    except KeyError:
        return None
    if (
        type(key) is str
        and type(value) is float
        and type(timestamp) is int
        and type(step) is int
        and -inf < value < inf
        and 0 <= timestamp < _INT64
        and -_INT64 <= step < _INT64
        and len(values) == (5 if "run_id" in values else 4)
        and _is_key(key)
    ):
        return Metric(key, value, timestamp, step)
    return None


@lru_cache(maxsize=4096)
def _is_key(key: str) -> bool:
    try:
        return bool(key and check_key(key, "name", "Metric name"))
    except MlflowError:
        return False


def _metric(arguments: Arguments, path: str) -> Metric:
    key = check_key(arguments.required_text("key"), f"{path}name", "Metric name")
    value = arguments.required_double("value")
    timestamp = arguments.required_integer("timestamp")
    if timestamp < 0:
        raise invalid(
            f"Invalid value {timestamp} for parameter '{path}timestamp' supplied: metric '{key}' (value={value}). Timestamp must "
            f"be a nonnegative long (64-bit integer) "
        )
    return Metric(
        key,
        value,
        timestamp,
        arguments.integer("step"),
        arguments.text("model_id", longest=64),
        arguments.text("dataset_name", longest=500),
        arguments.text("dataset_digest", longest=36),
    )


def _param(arguments: Arguments, path: str) -> tuple[str, str]:
    key = check_key(arguments.required_text("key"), path, "Param key")
    return key, arguments.text("value")[:PARAM_CHARACTERS]


def _dataset(arguments: Arguments) -> Dataset:
    return Dataset(
        name=arguments.required_text("name", longest=500),
        digest=arguments.text("digest", longest=36),
        source_type=arguments.text("source_type", longest=36),
        source=arguments.text("source", longest=65_535),
        schema=arguments.text("schema", longest=1_048_575),
        profile=arguments.text("profile", longest=16_777_215),
    )


def _input_tags(arguments: Arguments) -> dict[str, str]:
    found = {tag.required_text("key", longest=255): tag.text("value", longest=500) for tag in arguments.objects("tags")}
    if len(found) > 100:
        raise invalid("A data set input can carry 100 tags at most.")
    return found
