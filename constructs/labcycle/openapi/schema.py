"""A short way to write JSON Schemas (2020-12, as OpenAPI 3.1 takes them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
INT32: Schema = {"type": "integer", "format": "int32"}
INT64: Schema = {"type": "integer", "format": "int64"}
DOUBLE: Schema = {
    "anyOf": [{"type": "number", "format": "double"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
    "description": "A number, or the name of what JSON has no number for.",
}
MILLISECONDS: Schema = {**INT64, "description": "Milliseconds since 1970."}
ANYTHING: Schema = {"type": "object"}


def text(description: str = "", *, shortest: int | None = None, longest: int | None = None) -> Schema:
    limits = {"minLength": shortest, "maxLength": longest, "description": description or None}
    return {**STRING, **{name: value for name, value in limits.items() if value is not None}}


def whole(least: int, most: int, default: int | None = None) -> Schema:
    return {**INT32, "minimum": least, "maximum": most, **({"default": default} if default is not None else {})}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def array(items: Schema, *, most: int | None = None, description: str = "") -> Schema:
    more = {"maxItems": most, "description": description or None}
    return {"type": "array", "items": items, **{name: value for name, value in more.items() if value is not None}}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def shape(fields: Mapping[str, Schema]) -> Schema:
    """An object. A name that ends with `!` is always there."""
    required = [name[:-1] for name in fields if name.endswith("!")]
    properties = {name.rstrip("!"): schema for name, schema in fields.items()}
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def either(schema: Schema, *others: Schema) -> Schema:
    return {"anyOf": [schema, *others]}


def nullable(schema: Schema) -> Schema:
    return either(schema, {"type": "null"})
