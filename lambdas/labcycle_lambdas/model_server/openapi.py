"""The OpenAPI 3.1 document of one model's API, as its signature says: https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

from typing import Any

from labcycle_lambdas.model_server.payload import INPUTS, INSTANCES, RECORDS, SPLIT
from labcycle_lambdas.model_server.schema import RANGES, Column, Schema, Tensor

_TEXT = {"type": "string"}
_ABOUT = """\
Predictions of one model. `POST /invocations` takes what MLflow's scoring server takes: JSON with exactly one of `dataframe_split`,
`dataframe_records`, `instances` and `inputs`, or CSV whose first line names the columns. Each row gets one prediction. Requests
are signed with Signature Version 4 for `execute-api`."""
_KEY = (
    "Of whom or what the request speaks, such as a customer's number. While a version is tried beside the live one, requests with "
    "one key are answered by one of them."
)
_WHAT_IF = "Any value: the rows are tried, not real. They are answered, and neither counted nor kept."
_HEADERS = {
    "x-labcycle-model": "The model.",
    "x-request-id": "Names the request in the logs.",
    "x-labcycle-model-version": "The version that answered; absent while the model is paused, or where none is live.",
    "x-labcycle-prediction-id": "Names the prediction of the first row, where predictions are kept, by which its outcome is told later. "
    "Those of the other rows end in the following numbers.",
    "x-labcycle-paused": "`true` while the model is paused.",
}
_ERRORS = {
    "400": "The request cannot be read, or does not fit the model (`BAD_REQUEST`, `INVALID_PARAMETER_VALUE`).",
    "403": "The caller may not do this, or the signature is none. It comes from API Gateway, with a message alone.",
    "404": "No version is live (`RESOURCE_DOES_NOT_EXIST`).",
    "413": "The request or its answer is larger than 6 MB (`BAD_REQUEST`).",
    "415": "Neither JSON nor CSV, or not UTF-8 (`BAD_REQUEST`).",
    "429": "Too much at once (`REQUEST_LIMIT_EXCEEDED`; from API Gateway a message alone). Try again.",
    "500": "The server failed (`INTERNAL_ERROR`); its log has the cause.",
    "503": "The model is paused, or cannot be loaded (`TEMPORARILY_UNAVAILABLE`).",
}
_ALREADY = "The idempotency key was sent with another request before (`RESOURCE_CONFLICT`)."
_LATER_ERRORS = {
    **_ERRORS,
    "404": "No version is live, or nothing was asked by the id (`RESOURCE_DOES_NOT_EXIST`).",
    "409": _ALREADY,
    "410": "The answer is no longer kept (`RESOURCE_DOES_NOT_EXIST`).",
    "504": "The model has not answered in time (`TEMPORARILY_UNAVAILABLE`).",
}
_IDEMPOTENCY = "Any text of at most 255 characters: a request that is sent again with the same one is scored once."
_OF_ANY = ("403", "404", "429", "500", "503")


def document(model: str, version: int | None, schema: Schema | None, *, later: bool = False) -> dict[str, Any]:
    """The document. `version` is None while the model is paused and none is loaded; `schema` where there is no signature. `later`:
    predictions are fetched by an id."""
    errors = _LATER_ERRORS if later else _ERRORS
    components: dict[str, Any] = {
        "securitySchemes": {
            # As tools that know it expect it:
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
            "signature": {
                "type": "apiKey",
                "name": "Authorization",
                "in": "header",
                "description": "AWS Signature Version 4 of the caller's role.",
                "x-amazon-apigateway-authtype": "awsSigv4",
            }
        },
        "headers": {name: {"description": about, "schema": _TEXT} for name, about in _HEADERS.items()},
        "responses": {status: _answer(about, _ref("schemas", "Error")) for status, about in errors.items()},
        "schemas": {
            "Request": request_schema(schema),
            "Answer": {
                "type": "object",
                "properties": {"predictions": {"type": "array", "description": "One a row, in their order."}},
                "required": ["predictions"],
            },
            "Error": {
                "type": "object",
                "properties": {"error_code": _TEXT, "message": _TEXT},
                "required": ["message"],
            },
            **({"Waiting": {"type": "object", "properties": {"id": _TEXT}, "required": ["id"]}} if later else {}),
            "Version": {
                "type": "object",
                "properties": {
                    "model": _TEXT,
                    **{name: _TEXT for name in ("version", "sha256", "promoted_at", "promoted_by")},
                    "run_id": {"type": ["string", "null"]},
                    "generation": {"type": "integer"},
                    "problem": {"type": ["string", "null"], "description": "Why what is live cannot be loaded."},
                    "canary": {"type": "object", "description": "The version that is tried beside the live one."},
                    "shadow": {
                        "type": "object",
                        "description": "The version that is compared with it, and answers nothing.",
                    },
                    "paused": {
                        "type": "object",
                        "description": "Since when, by whom and why; and the declared answer.",
                    },
                },
                "required": ["model", "problem"],
            },
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": model, "version": "none" if version is None else str(version), "description": _ABOUT},
        "paths": {
            **(_later() if later else {"/invocations": {"post": _invocations()}}),
            "/ping": {"get": _told("ping", "Whether a version can answer, or its pause.")},
            "/version": {"get": _told("version", "Which version is live, and what stands beside it.")},
            "/openapi.json": {
                "get": _told("openapi", "This document, of the version that is live.", {"type": "object"})
            },
        },
        "security": [{"signature": []}],
        "components": components,
    }


def request_schema(schema: Schema | None) -> dict[str, Any]:
    """What the body of `POST /invocations` can be, in JSON."""
    about = "An object: each output of the model by its name, instead of the first alone."
    params = {
        "type": ["object", "null"],
        "properties": {"outputs": {"enum": ["first", "all"], "default": "first", "description": f"`all`: {about}"}},
        "additionalProperties": False,
    }
    forms = _forms(schema)
    return {
        "oneOf": [
            {
                "type": "object",
                "title": name,
                "properties": {name: form, "params": params},
                "required": [name],
                "additionalProperties": False,
            }
            for name, form in forms.items()
        ]
    }


def _forms(schema: Schema | None) -> dict[str, Any]:
    if schema is None or not schema.columns:
        return _loose(schema.tensors if schema else ())
    columns = schema.columns
    needed = [column.name for column in columns if is_needed(column)]
    values = {column.name: _value(column) for column in columns}
    record = {
        "type": "object",
        "properties": {column.name: _value(column, told=True) for column in columns},
        "required": needed,
        "additionalProperties": False,
    }
    row = {
        "type": "array",
        "prefixItems": list(values.values()),
        "minItems": len(columns),
        "maxItems": len(columns),
    }
    # A model of one column takes bare values as well.
    rows = {"type": "array", "items": {"anyOf": [row, *values.values()]} if len(columns) == 1 else row}
    distinct = list({repr(value): value for value in values.values()}.values())
    split = {
        "type": "object",
        "properties": {
            "columns": {
                "type": ["array", "null"],
                "items": {"enum": list(values)},
                "uniqueItems": True,
                "allOf": [{"contains": {"const": name}} for name in needed],
                "description": "In any order; absent: those of the signature, in its order.",
            },
            "index": {},
            "data": {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"anyOf": distinct},
                    "minItems": len(needed),
                    "maxItems": len(columns),
                },
                "description": "Rows, each with a value for each of `columns`.",
            },
        },
        "required": ["data"],
        "additionalProperties": False,
    }
    by_column = {
        "type": "object",
        "properties": {name: {"anyOf": [value, {"type": "array", "items": value}]} for name, value in values.items()},
        "required": needed,
        "minProperties": 1,
        "additionalProperties": False,
        "description": "A list for each column, all of the same length.",
    }
    return {
        SPLIT: split,
        RECORDS: {"type": "array", "items": record, "minItems": 1},
        INSTANCES: {"anyOf": [{"type": "array", "items": record, "minItems": 1}, rows]},
        INPUTS: {"anyOf": [by_column, rows]},
    }


def is_needed(column: Column) -> bool:
    """Whether a row must have a value: there is no missing one but NaN, and text can be empty."""
    return column.required or column.type in ("boolean", "integer", "long")


def _value(column: Column, *, told: bool = False) -> dict[str, Any]:
    kind = column.type
    about = {"description": f"{kind}, {'required' if column.required else 'optional'}"} if told else {}
    if kind in ("integer", "long", "float"):
        low, high = RANGES[kind]
        types: Any = "integer" if kind != "float" else ["number", "null"]
        return {"type": types, "minimum": low, "maximum": high, **about}
    if kind == "double":
        return {"type": ["number", "null"], **about}
    if kind == "string" and not column.required:
        return {"type": ["string", "null"], **about}
    return {"type": kind, **about}


def _loose(tensors: tuple[Tensor, ...]) -> dict[str, Any]:
    """Of a model without columns: what its tensors are is said in words, since their values can come in several forms."""
    said = "; ".join(
        f"{tensor.name or 'one nameless tensor'}: {tensor.dtype}, shape {list(tensor.shape)}" for tensor in tensors
    )
    about = f"Tensors of the signature (-1 is any length): {said}." if said else "The model has no signature."
    return {
        SPLIT: {
            "type": "object",
            "properties": {"columns": {"type": ["array", "null"]}, "index": {}, "data": {"type": "array"}},
            "required": ["data"],
            "additionalProperties": False,
        },
        RECORDS: {"type": "array", "items": {"type": "object"}},
        INSTANCES: {"type": "array", "description": about},
        INPUTS: {"type": ["array", "object"], "description": about},
    }


def _invocations() -> dict[str, Any]:
    return {
        "operationId": "invocations",
        "summary": "Score rows.",
        "parameters": [
            {"name": "x-labcycle-key", "in": "header", "description": _KEY, "schema": _TEXT},
            {"name": "x-labcycle-what-if", "in": "header", "description": _WHAT_IF, "schema": _TEXT},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _ref("schemas", "Request")},
                "text/csv": {"schema": {"type": "string", "description": "UTF-8; the first line names the columns."}},
            },
        },
        "responses": {
            "200": _answer("The predictions.", _ref("schemas", "Answer")),
            **{status: _ref("responses", status) for status in _ERRORS},
        },
    }


def _later() -> dict[str, Any]:
    """A request, and its answer."""
    asked = _invocations()
    asked["parameters"].append(
        {"name": "idempotency-key", "in": "header", "description": _IDEMPOTENCY, "schema": _TEXT}
    )
    waits = _answer("The request waits: its answer is fetched by its id.", _ref("schemas", "Waiting"))
    waits["headers"] = {
        **waits.get("headers", {}),
        "location": {"description": "Path of the answer.", "schema": _TEXT},
        "retry-after": {"description": "Seconds.", "schema": _TEXT},
    }
    refused = {status: _ref("responses", status) for status in _LATER_ERRORS}
    answered = asked["responses"]["200"]
    asked["responses"] = {"202": waits, **{s: r for s, r in refused.items() if s not in ("410", "504")}}
    fetched = {
        "operationId": "answer",
        "summary": "The answer to a request, as the model server gave it.",
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
        ],
        "responses": {"200": answered, "202": waits, **refused},
    }
    return {"/invocations": {"post": asked}, "/answers/{id}": {"get": fetched}}


def _told(name: str, summary: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": _answer(summary, schema or _ref("schemas", "Version")),
            **{status: _ref("responses", status) for status in _OF_ANY},
        },
    }


def _answer(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": about,
        "headers": {name: _ref("headers", name) for name in _HEADERS},
        "content": {"application/json": {"schema": schema}},
    }


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}
