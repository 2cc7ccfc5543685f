"""Model versions in MLflow's protocol. Whatever changes the registry takes a member of the team."""

from __future__ import annotations

from functools import partial

from labcycle_lambdas.ledger.registry import ModelVersion
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.filters import MEMBERSHIP, Comparison, Value, check_number, check_text, kind_of, parse
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import (
    DESCRIPTION_CHARACTERS,
    KEY_CHARACTERS,
    REGISTRY_TAG_CHARACTERS,
    check_key,
    check_model_name,
    check_tag_key,
    check_version,
    tags,
)
from labcycle_lambdas.tracking.model_sources import Source, resolve
from labcycle_lambdas.tracking.paging import Key, limit, offset, page, sort
from labcycle_lambdas.tracking.registered_models import KINDS, PROMPT_TAG, is_prompt_clause, is_wanted_prompt, orders_by
from labcycle_lambdas.tracking.shapes import Doc

MOST = 200_000
_SOURCE_CHARACTERS = 1_000
_ORDERS = ("name", "version_number", "creation_timestamp", "last_updated_timestamp")
_TEXTS = ("name", "run_id", "source_path")


def create(call: Call) -> Doc:
    arguments = call.arguments
    name = check_model_name(arguments)
    source = arguments.required_text("source", longest=_SOURCE_CHARACTERS)
    found = tags(arguments, longest=REGISTRY_TAG_CHARACTERS)
    run_id, model_id = arguments.text("run_id", longest=256), arguments.text("model_id", longest=64)
    is_prompt = found.get(PROMPT_TAG, "false").lower() == "true"
    resolved = Source(source, source, run_id, "", ()) if is_prompt else resolve(call.ledgers, source, run_id, model_id)
    version = call.ledgers.registry.create_version(
        name,
        source=resolved.source,
        who=call.who,
        files=resolved.files,
        run_id=resolved.run_id,
        model_id=resolved.model_id,
        location=resolved.location,
        tags=found,
        description=arguments.text("description", longest=DESCRIPTION_CHARACTERS),
        run_link=arguments.text("run_link", longest=500),
    )
    return {"model_version": shapes.model_version(version)}


def get(call: Call) -> Doc:
    return {"model_version": shapes.model_version(call.ledgers.registry.version(*_which(call)))}


def get_download_uri(call: Call) -> Doc:
    name, number = check_model_name(call.arguments), check_version(call.arguments, is_required=False)
    version = call.ledgers.registry.version(name, number)
    return {"artifact_uri": version.location if version.source.startswith("models:") else version.source}


def update(call: Call) -> Doc:
    description = call.arguments.text("description", longest=DESCRIPTION_CHARACTERS)
    return {
        "model_version": shapes.model_version(
            call.ledgers.registry.update_version(*_which(call), description, call.who)
        )
    }


def transition_stage(call: Call) -> Doc:
    stage = call.arguments.required_text("stage")
    archive = call.arguments.boolean("archive_existing_versions")
    version = call.ledgers.registry.transition(*_which(call), stage, call.who, archive_others=archive)
    return {"model_version": shapes.model_version(version)}


def delete(call: Call) -> Doc:
    call.ledgers.registry.delete_version(*_which(call), call.who)
    return {}


def set_tag(call: Call) -> Doc:
    key = check_tag_key(call.arguments.required_text("key", longest=KEY_CHARACTERS))
    value = call.arguments.text("value", longest=REGISTRY_TAG_CHARACTERS)
    call.ledgers.registry.set_version_tag(*_which(call), key, value, call.who)
    return {}


def delete_tag(call: Call) -> Doc:
    call.ledgers.registry.delete_version_tag(
        *_which(call), check_key(call.arguments.required_text("key"), "key", "key"), call.who
    )
    return {}


def search(call: Call) -> Doc:
    arguments = call.arguments
    most = limit(arguments, MOST, MOST)
    start = offset(arguments)
    wanted = [_checked(comparison) for comparison in parse(arguments.text("filter"))]
    orders = orders_by(arguments.texts("order_by"), _ORDERS)
    found = [
        version
        for model in call.ledgers.registry.models()
        if is_wanted_prompt(model.tags, wanted)
        for version in model.versions
        if all(c.matches(_value(c.prefix, c.key, version)) for c in wanted if not is_prompt_clause(c))
    ]
    keys: list[Key[ModelVersion]] = [(partial(_value, order.prefix, order.key), order.descending) for order in orders]
    keys += [(lambda v: v.last_updated_timestamp, True), (lambda v: v.name, False), (lambda v: v.version, True)]
    return page("model_versions", sort(found, keys), shapes.model_version, start, most)


def _which(call: Call) -> tuple[str, int]:
    return check_model_name(call.arguments), check_version(call.arguments)


def _checked(comparison: Comparison) -> Comparison:
    if kind_of(comparison.prefix, KINDS) == "tag":
        check_text(comparison, "tag")
    elif comparison.key == "version_number":
        check_number(comparison, "attribute")
    elif comparison.key in _TEXTS:
        check_text(comparison, "attribute", *(MEMBERSHIP if comparison.key != "source_path" else ()))
    else:
        raise invalid(
            f"Invalid attribute key '{comparison.key[:100]}' specified. Valid keys are {', '.join(_TEXTS)}, version_number."
        )
    return comparison


def _value(prefix: str, key: str, version: ModelVersion) -> Value:
    if kind_of(prefix, KINDS) == "tag":
        return version.tags.get(key)
    names = {"version_number": "version", "source_path": "source"}
    value: Value = getattr(version, names.get(key, key))
    return value
