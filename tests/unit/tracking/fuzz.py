"""Requests that schemathesis makes from the OpenAPI document, to the functions: no 5xx, and answers as they are documented.

python -m tests.unit.tracking.fuzz [--examples 500] [OPERATION ...]
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
import random
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from labcycle.openapi import document
from tests.unit.tracking.sandbox import Sandbox, function_of
from tests.unit.tracking.server import event, member
from tests.unit.tracking.world import World, build

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def operations() -> list[tuple[str, str]]:
    """Method and path of each that is documented."""
    return [(method.upper(), path) for path, item in document()["paths"].items() for method in item]


def strict() -> dict[str, Any]:
    """The document, where an answer holds nothing that is not in it."""
    made = copy.deepcopy(document())
    _close(made["components"]["schemas"])
    for item in made["paths"].values():
        for operation in item.values():
            _close(operation["responses"])
    return made


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if "properties" in node:
            node["additionalProperties"] = False
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """The functions behind WSGI."""
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    if path == "/openapi.json":
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(strict()).encode()]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    kind = {"content-type": environ.get("CONTENT_TYPE", "")}
    made = event(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), body, member(), kind)
    said = function_of(path).handle(made, None)
    content = base64.b64decode(said["body"]) if said["isBase64Encoded"] else said["body"].encode()
    start_response(f"{said['statusCode']} {HTTPStatus(said['statusCode']).phrase}", list(said["headers"].items()))
    return [content]


class Fuzz:
    """A sandbox with something of everything, and requests to it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = build(sandbox)
        self._kept = sandbox.keep()
        self._schema = schemathesis.openapi.from_wsgi("/openapi.json", application)

    def __call__(self, method: str, path: str, examples: int) -> None:
        """Raises what schemathesis found."""
        self._sandbox.put_back(self._kept)

        def run(case: Any, luck: int) -> None:
            if luck:
                _plant(case, self._world, random.Random(luck))
            case.call_and_validate(checks=CHECKS)

        operation = self._schema[path][method]
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])
        tried = settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        tried(given(case=cases, luck=st.integers(0, 5))(run))()


def _plant(case: Any, world: World, dice: random.Random) -> None:
    """Name things that are there, so that more than the checks of names is reached."""
    there: dict[str, list[Any]] = {
        "experiment_id": [world.first, world.deleted_experiment, "0"],
        "experiment_ids": [[world.first, world.deleted_experiment]],
        "run_id": [world.run, world.run, world.deleted_run],
        "run_ids": [[world.run, world.deleted_run]],
        "model_id": [world.logged],
        "source_run_id": [world.run],
        "name": ["model"],
        "model": ["model"],
        "run_uuid": [world.run],
        "subject": ["model/model", f"experiment/{world.first}"],
        "seq": ["1", "2"],
        "artifact_path": [_below(world.source), _below(f"{world.source}/MLmodel")],
        "artifact_file_path": ["MLmodel"],
        "path": ["model/MLmodel", "MLmodel", ""],
        "version": ["1", "2"],
        "alias": ["champion", "new"],
        "metric_key": ["m0"],
        "tag_key": ["t"],
        "key": ["t", "p", "m0", "ü/x"],
        "source": [world.source, f"models:/{world.logged}", "models:/model/1"],
        "page_token": [None],
        "filter": ["", "metrics.m0 > 1", "name = 'model'", "tags.t = '1'"],
        "order_by": [[], ["name DESC"], ["metrics.m0"]],
    }
    for values in (case.body, case.query):
        _name(values, there, dice)
    for name in case.path_parameters or {}:
        if name in there and dice.random() < 0.8:
            case.path_parameters[name] = quote(dice.choice(there[name]), safe="")


def _name(values: Any, there: dict[str, list[Any]], dice: random.Random) -> None:
    if isinstance(values, list):
        for value in values:
            _name(value, there, dice)
    if not isinstance(values, dict):
        return
    for name in list(values):
        _name(values[name], there, dice)
        if name not in there or dice.random() < 0.2:
            continue
        values[name] = dice.choice(there[name])
        if values[name] is None:
            del values[name]


def _below(location: str) -> str:
    return location.partition("/experiments/")[2]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--examples", type=int, default=500, help="of each operation")
    arguments.add_argument("operations", nargs="*", help="such as 'POST /api/2.0/mlflow/runs/create'; absent: all")
    asked = arguments.parse_args()
    failed = 0
    with Sandbox().running() as sandbox:
        fuzz = Fuzz(sandbox)
        for method, path in operations():
            if asked.operations and f"{method} {path}" not in asked.operations:
                continue
            try:
                fuzz(method, path, asked.examples)
                print(f"ok   {method} {path}", flush=True)
            except Exception as error:  # noqa: BLE001 - all are told
                failed += 1
                print(f"FAIL {method} {path}\n{error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
