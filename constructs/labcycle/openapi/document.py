"""The OpenAPI 3.1 document of a team's API: https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

import re
from typing import Any

from labcycle.openapi.endpoints import GROUPS, Endpoint
from labcycle.openapi.records import SCHEMAS
from labcycle.openapi.schema import STRING, Schema, ref, shape

_ABOUT = """\
Experiments, runs, models and their life cycle, for one team. The protocol below /api is MLflow's; the same is served below
/ajax-api. Numbers of 64 bits may be sent as text. Fields that are not known are ignored.

Each address of a team takes one of the two: Signature Version 4 for `execute-api`, or a token of one issuer. A request that
creates or removes may carry the header `Idempotency-Key`: repeats with the same key are one request."""
# Signature Version 4 as tools that know it expect it:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
_SECURITY = {
    "signature": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4 of the caller's role.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
_LIMITED = {"$ref": "#/components/responses/Busy"}
_REFUSED = {"$ref": "#/components/responses/Refused"}


def document() -> dict[str, Any]:
    """The document. It has no server: each team's API has an address of its own."""
    paths: dict[str, dict[str, Any]] = {}
    for group, endpoints in GROUPS.items():
        for endpoint in endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, group)
    return {
        "openapi": "3.1.0",
        "info": {"title": "labcycle", "version": "1.0", "description": _ABOUT},
        "tags": [{"name": group} for group in GROUPS],
        "paths": paths,
        "security": [{name: []} for name in _SECURITY],
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": SCHEMAS,
            "responses": {
                "Refused": _response("The caller's mistake.", ref("Error")),
                "Busy": {
                    **_response("Too much at once; try again after the seconds that Retry-After names.", ref("Error")),
                    "headers": {"Retry-After": {"schema": STRING}},
                },
            },
        },
    }


def _operation(endpoint: Endpoint, group: str) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {**STRING, "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{_name(endpoint.path)}",
        "summary": endpoint.summary,
        "tags": [group],
    }
    in_query = endpoint.fields if endpoint.method == "GET" else endpoint.query
    parameters += [
        {"name": name.rstrip("!"), "in": "query", "required": name.endswith("!"), "schema": schema}
        for name, schema in in_query.items()
    ]
    if endpoint.takes_file:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    elif endpoint.method != "GET" and endpoint.fields:
        needed = any(name.endswith("!") for name in endpoint.fields)
        content = {"application/json": {"schema": shape(endpoint.fields)}}
        operation["requestBody"] = {"required": needed, "content": content}
    if parameters:
        operation["parameters"] = parameters
    operation["responses"] = {**_answer(endpoint), "4XX": _REFUSED, "429": _LIMITED}
    return operation


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answer == "sent on":
        return {
            "307": {
                "description": "The same method and body, at the address in S3 that Location names.",
                "headers": {"Location": {"schema": STRING, "required": True}},
            }
        }
    if endpoint.answer is None or endpoint.answer == "page":
        kind = "text/html" if endpoint.answer else "text/plain"
        return {"200": {"description": endpoint.summary, "content": {kind: {"schema": STRING}}}}
    return {"200": _response(endpoint.summary, endpoint.answer)}


def _response(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _name(path: str) -> str:
    words = re.findall(r"[A-Za-z]+", path.removeprefix("/api/"))
    return "".join(word.capitalize() for word in words if word != "mlflow")
