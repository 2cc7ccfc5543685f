"""Registered models and their aliases in MLflow's protocol. Whatever changes the registry takes a member of the team."""

from __future__ import annotations

from collections.abc import Sequence

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.registry import RegisteredModel, canonical_stage
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking import shapes
from labcycle_lambdas.tracking.filters import MEMBERSHIP, Comparison, Value, check_text, kind_of, parse
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.limits import (
    DESCRIPTION_CHARACTERS,
    KEY_CHARACTERS,
    REGISTRY_TAG_CHARACTERS,
    check_alias,
    check_key,
    check_model_name,
    check_new_alias,
    check_tag_key,
    check_version,
    tags,
)
from labcycle_lambdas.tracking.paging import Key, Order, limit, offset, page, parse_order, sort
from labcycle_lambdas.tracking.shapes import Doc

PROMPT_TAG = "mlflow.prompt.is_prompt"
MOST = 1000
KINDS = {"attribute": ("", "attribute"), "tag": ("tag", "tags")}
_ORDERS = ("name", "timestamp", "last_updated_timestamp")


def create(call: Call) -> Doc:
    arguments = call.arguments
    name = check_model_name(arguments)
    found = tags(arguments, longest=REGISTRY_TAG_CHARACTERS)
    description = (
        arguments.text("description", longest=DESCRIPTION_CHARACTERS) if arguments.has("description") else None
    )
    return {
        "registered_model": shapes.registered_model(call.ledgers.registry.register(name, found, description, call.who))
    }


def get(call: Call) -> Doc:
    return {"registered_model": shapes.registered_model(call.ledgers.registry.model(_name(call)))}


def update(call: Call) -> Doc:
    description = (
        call.arguments.text("description", longest=DESCRIPTION_CHARACTERS)
        if call.arguments.has("description")
        else None
    )
    return {
        "registered_model": shapes.registered_model(call.ledgers.registry.update(_name(call), description, call.who))
    }


def rename(call: Call) -> Doc:
    new_name = check_model_name(call.arguments, "new_name")
    return {"registered_model": shapes.registered_model(call.ledgers.registry.rename(_name(call), new_name, call.who))}


def delete(call: Call) -> Doc:
    call.ledgers.registry.delete(_name(call), call.who)
    return {}


def set_tag(call: Call) -> Doc:
    key = check_tag_key(call.arguments.required_text("key", longest=KEY_CHARACTERS))
    value = call.arguments.text("value", longest=REGISTRY_TAG_CHARACTERS)
    call.ledgers.registry.set_tag(_name(call), key, value, call.who)
    return {}


def delete_tag(call: Call) -> Doc:
    call.ledgers.registry.delete_tag(
        _name(call), check_key(call.arguments.required_text("key"), "key", "key"), call.who
    )
    return {}


def get_latest_versions(call: Call) -> Doc:
    registry = call.ledgers.registry
    model = registry.model(_name(call))
    found = model.latest_versions([canonical_stage(stage) for stage in call.arguments.texts("stages")])
    return shapes.filled(model_versions=[shapes.model_version(registry.version(v.name, v.version)) for v in found])


def set_alias(call: Call) -> Doc:
    call.ledgers.registry.set_alias(
        _name(call), check_new_alias(call.arguments), check_version(call.arguments), call.who
    )
    return {}


def delete_alias(call: Call) -> Doc:
    call.ledgers.registry.delete_alias(_name(call), check_alias(call.arguments), call.who)
    return {}


def get_by_alias(call: Call) -> Doc:
    alias = check_alias(call.arguments)
    version = call.ledgers.registry.by_alias(_name(call), alias)
    if version is None and alias.lower() == "latest":
        raise NotFound(f"Latest version not found for model {_name(call)}.")
    if version is None:
        raise invalid(f"Registered model alias {alias[:255]} not found.")
    return {"model_version": shapes.model_version(version)}


def orders_by(clauses: Sequence[str], valid: Sequence[str]) -> list[Order]:
    """The clauses of order_by, each an attribute among `valid`. Raises `MlflowError`."""
    orders = parse_order(clauses)
    for order in orders:
        if kind_of(order.prefix, KINDS) != "attribute" or order.key not in valid:
            raise invalid(f"Invalid order by key '{order.key[:100]}' specified. Valid keys are {', '.join(valid)}.")
    return orders


def search(call: Call) -> Doc:
    arguments = call.arguments
    most = limit(arguments, 100, MOST)
    start = offset(arguments)
    wanted = [_checked(comparison) for comparison in parse(arguments.text("filter"))]
    orders = orders_by(arguments.texts("order_by"), _ORDERS)
    if any(order.prefix for order in orders):
        raise invalid(f"Invalid order by key specified. Valid keys are {', '.join(_ORDERS)}, without a prefix.")
    found = [
        model
        for model in call.ledgers.registry.models()
        if is_wanted_prompt(model.tags, wanted)
        and all(c.matches(_value(model, c)) for c in wanted if not is_prompt_clause(c))
    ]
    keys: list[Key[RegisteredModel]] = [
        ((lambda m: m.name) if order.key == "name" else (lambda m: m.last_updated_timestamp), order.descending)
        for order in orders
    ]
    keys.append((lambda m: m.name, False))
    return page("registered_models", sort(found, keys), shapes.registered_model, start, most)


def is_prompt_clause(comparison: Comparison) -> bool:
    return comparison.key == PROMPT_TAG and kind_of(comparison.prefix, KINDS) == "tag"


def is_wanted_prompt(tags: dict[str, str], wanted: list[Comparison]) -> bool:
    """Prompts are hidden unless asked for, and a missing tag says that it is none."""
    is_prompt = tags.get(PROMPT_TAG, "false").lower() == "true"
    clauses = [c for c in wanted if is_prompt_clause(c)]
    if not clauses:
        return not is_prompt
    return all(is_prompt == ((c.value == "true") == (c.operator == "=")) for c in clauses)


def _name(call: Call) -> str:
    return check_model_name(call.arguments)


def _checked(comparison: Comparison) -> Comparison:
    if kind_of(comparison.prefix, KINDS) == "tag":
        check_text(comparison, "tag")
    elif comparison.key == "name":
        check_text(comparison, "attribute", *MEMBERSHIP)
    else:
        raise invalid(f"Invalid attribute key '{comparison.key[:100]}' specified. Valid keys are name.")
    return comparison


def _value(model: RegisteredModel, comparison: Comparison) -> Value:
    return model.tags.get(comparison.key) if kind_of(comparison.prefix, KINDS) == "tag" else model.name
