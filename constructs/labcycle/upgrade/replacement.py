"""Which changes of properties make CloudFormation replace a resource, by the schemas that cfn-lint ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cfnlint.schema import ResourceNotFoundError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

Pointer = tuple[str, ...]
_ANY_REGION = "us-east-1"


@dataclass(frozen=True)
class ResourceSchema:
    """What the schema of a type says about replacement.

    Parameters
    ----------
    create_only
        Where a property stands whose change replaces the resource; `*` stands for every item of a list.
    conditional
        The same, where the change replaces it in some cases only.
    name
        The property by which the resource has a name that no other one can have; empty if there is none.
    defaults
        What the service takes for a property that is absent.
    """

    create_only: tuple[Pointer, ...]
    conditional: tuple[Pointer, ...]
    name: str
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class Cause:
    """One reason why a resource is replaced.

    Parameters
    ----------
    property_path
        The property, with dots.
    sentence
        What happens to it.
    certain
        False where the values or the service decide.
    """

    property_path: str
    sentence: str
    certain: bool


# An existing table's key cannot be changed, only that of an index, and neither can its local indexes:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
_ALWAYS = {("AWS::DynamoDB::Table", ("KeySchema",))}
_SOMETIMES = {"AWS::DynamoDB::Table": (("LocalSecondaryIndexes",),)}


@cache
def schema_of(kind: str, region: str) -> ResourceSchema | None:
    """The schema of a type in a region; None if cfn-lint knows no such type there."""
    try:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region or _ANY_REGION, kind).schema
    except ResourceNotFoundError:
        return None
    create_only = _pointers(schema, "createOnlyProperties")
    conditional = _pointers(schema, "conditionalCreateOnlyProperties") + _SOMETIMES.get(kind, ())
    always = tuple(pointer for pointer in conditional if (kind, pointer) in _ALWAYS)
    return ResourceSchema(
        create_only=create_only + always,
        conditional=tuple(pointer for pointer in conditional if pointer not in always),
        name=_name_property(kind, schema, create_only),
        defaults={
            key: one["default"]
            for key, one in schema.get("properties", {}).items()
            if isinstance(one, Mapping) and "default" in one
        },
    )


def values_at(properties: Mapping[str, Any], pointer: Pointer) -> list[Any]:
    """Every value at a place, in order; nothing where there is none."""
    found: list[Any] = [properties]
    for step in pointer:
        found = [inner for value in found for inner in _step(value, step)]
    return found


def changes(kind: str, schema: ResourceSchema, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    """Every change between the resolved properties that replaces the resource, or may."""
    for pointers, always in ((schema.create_only, True), (schema.conditional, False)):
        for pointer in pointers:
            default = schema.defaults.get(pointer[0]) if len(pointer) == 1 else None
            before = values_at(old, pointer) or _absent(default)
            after = values_at(new, pointer) or _absent(default)
            if before != after:
                sentence = f"{'.'.join(pointer)}: {_told(before)} becomes {_told(after)}"
                if not always:
                    sentence += ", which replaces it in some cases"
                yield Cause(".".join(pointer), sentence, always)
    if kind == "AWS::DynamoDB::Table":
        yield from _types_of_key(old, new)


def _types_of_key(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    """The key's attributes have their types elsewhere in the properties."""
    before, after = _attribute_types(old), _attribute_types(new)
    for element in old.get("KeySchema", []):
        name = str(element.get("AttributeName")) if isinstance(element, Mapping) else ""
        if name in before and name in after and before[name] != after[name]:
            sentence = f"the type of the key's attribute {name}: {before[name]} becomes {after[name]}"
            yield Cause("AttributeDefinitions", sentence, True)


def _attribute_types(properties: Mapping[str, Any]) -> dict[str, str]:
    found = properties.get("AttributeDefinitions", [])
    return {
        str(one.get("AttributeName")): str(one.get("AttributeType"))
        for one in (found if isinstance(found, Sequence) else [])
        if isinstance(one, Mapping)
    }


def _pointers(schema: Mapping[str, Any], key: str) -> tuple[Pointer, ...]:
    return tuple(tuple(text.removeprefix("/properties/").split("/")) for text in schema.get(key) or ())


def _name_property(kind: str, schema: Mapping[str, Any], create_only: tuple[Pointer, ...]) -> str:
    read_only = _pointers(schema, "readOnlyProperties")
    identifier = _pointers(schema, "primaryIdentifier")
    if len(identifier) == 1 and identifier[0] not in read_only and len(identifier[0]) == 1:
        return identifier[0][0]
    named = ((f"{kind.rpartition('::')[2]}Name",), ("Name",))
    return next((pointer[0] for pointer in named if pointer in create_only), "")


def _step(value: Any, step: str) -> list[Any]:
    if step == "*":
        return list(value) if isinstance(value, list) else []
    return [value[step]] if isinstance(value, Mapping) and step in value else []


def _absent(default: Any) -> list[Any]:
    return [] if default is None else [default]


def _told(values: list[Any]) -> str:
    """Values in a line; a table's key as people write it."""
    return " and ".join(_one(value) for value in values) or "nothing"


def _one(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(v, Mapping) and "KeyType" in v for v in value):
        return ", ".join(f"{v.get('AttributeName')} ({v['KeyType']})" for v in value)
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
