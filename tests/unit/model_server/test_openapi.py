"""The document of a model's API says what the server takes, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.openapi import document
from labcycle_lambdas.model_server.schema import Column, Schema, Tensor
from tests.unit.model_server.bench import SPLIT, Bench
from tests.unit.serving.workshop import (
    FEATURES,
    MODEL,
    REVIEWER,
    Trained,
    classifier,
    mixed,
    regressor,
    request,
    without_signature,
)

EVERY_TYPE = Schema(
    columns=(
        *(Column(kind, kind) for kind in ("boolean", "integer", "long", "float", "double", "string")),
        *(Column(f"no {kind}", kind, required=False) for kind in ("boolean", "long", "double", "string")),
    )
)
AMOUNT, KIND = "amount", "kind"
ROW = {AMOUNT: 1.5, KIND: "shop"}

TAKEN: list[Any] = [
    {"dataframe_records": [ROW]},
    {"dataframe_records": [ROW, {KIND: "web", AMOUNT: 2}], "params": {"outputs": "all"}},
    {"dataframe_records": [{AMOUNT: None, KIND: "shop"}], "params": None},
    {"dataframe_split": {"columns": [AMOUNT, KIND], "data": [[1, "shop"]], "index": [0]}},
    {"dataframe_split": {"columns": [KIND, AMOUNT], "data": [["shop", 1]]}},
    {"dataframe_split": {"columns": None, "data": [[1, "shop"]]}},
    {"dataframe_split": {"data": []}},
    {"instances": [ROW]},
    {"instances": [[1.0, "shop"]]},
    {"instances": []},
    {"inputs": [[1.0, "shop"]]},
    {"inputs": {AMOUNT: [1, 2], KIND: ["shop", "web"]}},
    {"inputs": {AMOUNT: 1, KIND: "shop"}},
]
REFUSED: list[Any] = [
    {},
    [],
    {"dataframe_records": []},
    {"dataframe_records": [{AMOUNT: 1.5}]},
    {"dataframe_records": [{**ROW, "more": 1}]},
    {"dataframe_records": [{**ROW, AMOUNT: "1"}]},
    {"dataframe_records": [{**ROW, AMOUNT: True}]},
    {"dataframe_records": [{**ROW, KIND: None}]},
    {"dataframe_records": [{**ROW, KIND: 1}]},
    {"dataframe_records": [ROW], "instances": [ROW]},
    {"dataframe_records": [ROW], "more": 1},
    {"dataframe_records": [ROW], "params": {"outputs": "some"}},
    {"dataframe_records": [ROW], "params": {"more": 1}},
    {"dataframe_records": ROW},
    {"dataframe_split": {"columns": [AMOUNT], "data": [[1]]}},
    {"dataframe_split": {"columns": [AMOUNT, AMOUNT, KIND], "data": []}},
    {"dataframe_split": {"columns": [AMOUNT, KIND], "data": [[1]]}},
    {"dataframe_split": {"columns": [AMOUNT, KIND]}},
    {"dataframe_split": {"data": [[1, "shop"]], "more": 1}},
    {"instances": [["shop", 1.0]]},
    {"instances": [[1.0]]},
    {"instances": ROW},
    {"inputs": {}},
    {"inputs": {AMOUNT: [1]}},
    {"inputs": {AMOUNT: [1], KIND: [1]}},
    {"inputs": "shop"},
]


def served(bench: Bench) -> Response:
    return bench.server.answer(request("GET", "/openapi.json"))


def validator(said: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(said["components"]["schemas"]["Request"])


@pytest.mark.parametrize(
    "schema",
    [
        None,
        EVERY_TYPE,
        Schema(columns=(Column("0", "double"),)),
        Schema(tensors=(Tensor(None, "float32", (-1, 28, 28)),)),
        Schema(tensors=(Tensor("a", "str", (-1,)), Tensor("b", "int64", (-1, 2)))),
    ],
)
def test_the_document_is_valid(schema: Schema | None) -> None:
    said = json.loads(json.dumps(document(MODEL, 3, schema), allow_nan=False))
    OpenAPIV31SpecValidator(said).validate()
    Draft202012Validator.check_schema(said["components"]["schemas"]["Request"])


@pytest.mark.parametrize(("bodies", "taken"), [(TAKEN, True), (REFUSED, False)])
def test_it_takes_and_refuses_what_the_server_does(bench: Bench, bodies: list[Any], taken: bool) -> None:
    bench.serve(mixed())
    schema = validator(served(bench).body)
    for body in bodies:
        answer = bench.ask(body)
        assert (answer.status == 200, schema.is_valid(body)) == (taken, taken), (body, answer)


@pytest.mark.parametrize("kind", ["boolean", "integer", "long", "float", "double", "string"])
@pytest.mark.parametrize("required", [True, False])
def test_each_value_of_each_type_is_taken_as_documented(kind: str, required: bool) -> None:
    from labcycle_lambdas.mlflow_error import MlflowError
    from labcycle_lambdas.model_server.columns import enforce
    from labcycle_lambdas.model_server.payload import read

    schema = Schema(columns=(Column("other", "double"), Column("x", kind, required)))
    validated = validator(document(MODEL, 1, schema))
    values: tuple[Any, ...] = (True, 0, -1, 1.0, 1.5, 2**31, 2**63, -(2**63), 1e39, "", "a", "1", None, [1], {})
    for row in [{"other": 1.0, "x": value} for value in values] + [{"other": 1.0}]:
        body = {"dataframe_records": [row]}
        try:
            enforce(read(request("POST", "/invocations", body), schema).data, schema)  # type: ignore[arg-type]
            taken = True
        except MlflowError:
            taken = False
        assert validated.is_valid(body) is taken, body


def test_columns_are_told_with_types_and_whether_they_are_required(bench: Bench) -> None:
    said = document(MODEL, 1, EVERY_TYPE)
    records = said["components"]["schemas"]["Request"]["oneOf"][1]["properties"]["dataframe_records"]["items"]
    assert records["properties"]["long"]["description"] == "long, required"
    assert records["properties"]["no string"]["description"] == "string, optional"
    assert set(records["required"]) == {*EVERY_TYPE.names} - {"no double", "no string"}


@pytest.mark.parametrize(
    ("model", "body"), [(without_signature(), SPLIT), (regressor(), {"inputs": [[1.0, 2.0, 3.0]]})]
)
def test_a_model_without_columns_is_told_in_words(bench: Bench, model: Trained, body: Any) -> None:
    bench.serve(model)
    said = served(bench).body
    assert bench.ask(body).status == 200
    assert validator(said).is_valid(body)
    words = "no signature" if model is without_signature() else "float64, shape [-1, 3]"
    assert words in json.dumps(said["components"]["schemas"]["Request"])


def test_it_is_of_the_version_that_is_live(bench: Bench) -> None:
    nothing = served(bench)
    assert (nothing.status, nothing.body["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    answer = served(bench.serve(classifier(), mixed()))
    assert answer.body["info"]["version"] == answer.headers["x-labcycle-model-version"] == "2"
    Deployments(bench.world.table).pause(MODEL, None, REVIEWER, reason="")
    bench.clock.pass_seconds(CACHE_SECONDS)
    paused = served(bench)
    assert (paused.status, paused.headers["x-labcycle-paused"]) == (200, "true")


def test_what_the_server_answers_is_documented(bench: Bench) -> None:
    said = served(bench.serve(classifier())).body
    for method, path, body in (
        ("POST", "/invocations", SPLIT),
        ("POST", "/invocations", {"inputs": FEATURES}),
        ("GET", "/ping", b""),
        ("GET", "/version", b""),
        ("GET", "/openapi.json", b""),
    ):
        answer = bench.server.answer(request(method, path, body))
        responses = said["paths"][path][method.lower()]["responses"]
        found = responses[str(answer.status)]
        if "$ref" in found:
            found = said["components"]["responses"][found["$ref"].rpartition("/")[2]]
        assert set(answer.headers) <= set(found["headers"])
        schema = {**found["content"]["application/json"]["schema"], "components": said["components"]}
        Draft202012Validator(schema).validate(json.loads(answer.to_event()["body"]))
