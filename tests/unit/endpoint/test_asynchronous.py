"""The door of a model that answers later: what waits, what is asked once, and what is said of answers whatever SageMaker wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from openapi_spec_validator import OpenAPIV31SpecValidator

from labcycle_lambdas.endpoint.asynchronous import KEPT, LONGEST_KEY, QUEUED, AsynchronousDoor
from labcycle_lambdas.endpoint.environment import AsynchronousEnvironment
from labcycle_lambdas.endpoint.requests import Asked, Requests
from labcycle_lambdas.envelope import attributes_of, enclosed
from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.model_server.payload import BODY_BYTES
from tests.unit.serving.workshop import BUCKET, FEATURES, MODEL, REVIEWER, TABLE, World, classifier, request

ENDPOINT = f"labcycle-fraud-{MODEL}"
ENVIRONMENT = AsynchronousEnvironment("fraud", MODEL, ENDPOINT, TABLE, BUCKET, 60)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = {"dataframe_split": {"columns": FEATURES, "data": [[1.0, 2.0, 3.0]]}}
OUTPUT, FAILURE = f"s3://{BUCKET}/asynchronous/out/{MODEL}/1.out", f"s3://{BUCKET}/asynchronous/failed/{MODEL}/1.out"
ANSWER = Response(404, {"error_code": "X"}, {"x-labcycle-model-version": "3", "x-request-id": "request-1"})


@pytest.fixture
def runtime() -> Stubber:
    return Stubber(boto3.client("sagemaker-runtime", region_name="eu-west-1"))


@pytest.fixture
def door(world: World, runtime: Stubber) -> AsynchronousDoor:
    """Of a model whose first version is live."""
    world.promote(world.register(classifier()))
    runtime.activate()
    requests = Requests(world.s3, BUCKET, MODEL)
    return AsynchronousDoor(ENVIRONMENT, runtime.client, requests, world.deployments, lambda: NOW)


def takes(runtime: Stubber, expected: dict[str, Any] | None = None) -> None:
    said = {"InferenceId": "1", "OutputLocation": OUTPUT, "FailureLocation": FAILURE}
    runtime.add_response("invoke_endpoint_async", said, expected)


def scoring(body: object = ROWS, **headers: str) -> Request:
    made = request("POST", "/invocations", body)
    return replace(made, headers={**made.headers, **{name.replace("_", "-"): text for name, text in headers.items()}})


def fetched(door: AsynchronousDoor, name: str = "a" * 32) -> Response:
    return door.answer(request("GET", f"/answers/{name}"))


def said(response: Response) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(response.content)
    return told


@pytest.fixture
def noted(door: AsynchronousDoor) -> Callable[[timedelta], AsynchronousDoor]:
    """A request that was taken so long ago."""

    def note(ago: timedelta = timedelta()) -> AsynchronousDoor:
        door.requests.note("a" * 32, Asked("request-1", (NOW - ago).isoformat(), "d", OUTPUT, FAILURE))
        return door

    return note


class Recorder:
    """Takes what is asked."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def invoke_endpoint_async(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        return {"InferenceId": call["InferenceId"], "OutputLocation": OUTPUT, "FailureLocation": FAILURE}


def test_a_request_is_kept_and_asked(door: AsynchronousDoor, world: World) -> None:
    recorder, asked = Recorder(), scoring(x_labcycle_key="c-1")
    answer = replace(door, runtime=recorder).answer(asked)
    name = said(answer)["id"]
    assert (answer.status, answer.headers["location"]) == (202, f"/answers/{name}")
    key = f"asynchronous/in/{MODEL}/{name}"
    assert world.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == asked.body
    assert recorder.calls == [
        {
            "EndpointName": ENDPOINT,
            "ContentType": "application/json",
            "CustomAttributes": attributes_of(asked),
            "InferenceId": name,
            "InputLocation": f"s3://{BUCKET}/{key}",
            "RequestTTLSeconds": 21_600,
            "InvocationTimeoutSeconds": 60,
        }
    ]


def test_a_key_is_of_one_caller_and_one_request(door: AsynchronousDoor) -> None:
    recorder = Recorder()
    door = replace(door, runtime=recorder)
    asked = scoring(idempotency_key="k")
    once = door.answer(asked)
    again = door.answer(replace(asked, request_id="request-2"))
    assert once.body == again.body and len(recorder.calls) == 1
    for other in (
        scoring({"dataframe_split": {"columns": FEATURES, "data": []}}, idempotency_key="k"),
        scoring(idempotency_key="k", x_labcycle_what_if="1"),
    ):
        assert (door.answer(other).status, len(recorder.calls)) == (409, 1)
    somebody = door.answer(replace(asked, user_arn="arn:aws:sts::123456789012:assumed-role/other/o"))
    assert somebody.body != once.body and len(recorder.calls) == 2
    assert door.answer(replace(scoring(), request_id="request-3")).body != door.answer(scoring()).body


def test_a_request_that_could_not_be_noted_is_asked_again(
    door: AsynchronousDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, rather than never."""
    recorder = Recorder()
    door = replace(door, runtime=recorder)
    put = door.requests.s3.put_object

    def busy(**call: Any) -> Any:
        if "/asked/" in call["Key"]:
            raise ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "PutObject")  # type: ignore[typeddict-item]
        return put(**call)

    asked = scoring(idempotency_key="k")
    with monkeypatch.context() as patched:
        patched.setattr(door.requests.s3, "put_object", busy)
        answer = door.answer(asked)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert door.answer(asked).status == 202
    assert len(recorder.calls) == 2


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b"x" * (BODY_BYTES + 1), {}, 413, "form: batch"),
        (b"{", {}, 400, "not valid JSON"),
        ({}, {}, 400, "exactly one of dataframe_split"),
        (ROWS, {"content_type": "image/png"}, 415, "image/png"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, {}, 400, FEATURES[0]),
        (ROWS, {"idempotency_key": "k" * (LONGEST_KEY + 1)}, 400, "got 256 characters; allowed 255"),
    ],
)
def test_what_cannot_be_answered_does_not_wait(
    door: AsynchronousDoor, body: object, headers: dict[str, str], status: int, told: str
) -> None:
    recorder = Recorder()
    answer = replace(door, runtime=recorder).answer(scoring(body, **headers))
    assert answer.status == status and told in said(answer)["message"]
    assert recorder.calls == []


@pytest.mark.parametrize(
    ("code", "message", "status"),
    [
        ("ThrottlingException", "Rate exceeded", 429),
        ("ServiceUnavailable", "", 503),
        ("InternalFailure", "", 503),
        ("ValidationError", f"Endpoint {ENDPOINT} of account 1 not found.", 503),
        ("ValidationError", "it is too long", 400),
    ],
)
def test_what_sagemaker_does_not_take(
    door: AsynchronousDoor, runtime: Stubber, code: str, message: str, status: int
) -> None:
    asked = scoring(idempotency_key="k")
    runtime.add_client_error("invoke_endpoint_async", code, message)
    assert door.answer(asked).status == status
    takes(runtime)
    assert door.answer(asked).status == 202  # it was not noted
    runtime.assert_no_pending_responses()


def test_what_the_door_may_not_is_no_answer(door: AsynchronousDoor, runtime: Stubber) -> None:
    runtime.add_client_error("invoke_endpoint_async", "AccessDeniedException")
    with pytest.raises(ClientError):
        door.answer(scoring())


def test_who_is_not_reached(door: AsynchronousDoor) -> None:
    class Silent:
        def invoke_endpoint_async(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://x")

    answer = replace(door, runtime=Silent()).answer(scoring())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def put(door: AsynchronousDoor, address: str, content: bytes) -> None:
    door.requests.s3.put_object(Bucket=BUCKET, Key=address.removeprefix(f"s3://{BUCKET}/"), Body=content)


Noted = Callable[..., AsynchronousDoor]


def test_an_answer_is_the_servers_own(noted: Noted) -> None:
    door = noted()
    waits = fetched(door)
    assert (waits.status, waits.headers["location"], waits.headers["retry-after"]) == (202, f"/answers/{'a' * 32}", "5")
    put(door, OUTPUT, enclosed(ANSWER))
    answer = fetched(door)
    assert (answer.status, said(answer), answer.all_headers) == (404, {"error_code": "X"}, ANSWER.all_headers)


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        (
            f'Received server error (500) from primary with message "{enclosed(Response(500, {"message": "mine", "error_code": "E"})).decode()}". See https://console in account 1 for more information.',
            500,
            "mine",
        ),
        (
            f'Received server error (503) from primary with message "{enclosed(Response(503, {"message": "mine"})).decode()}".',
            503,
            "mine",
        ),
        (
            'Received server error (500) from primary with message "<!DOCTYPE "x">". See https://console',
            500,
            '<!DOCTYPE "x">',
        ),
        (
            "Received client error (413) from primary and could not load the entire response body. See https://x",
            413,
            "could not load",
        ),
        ("Model invocation timed out while waiting for a response", 504, "timed out"),
        ("", 504, "no message"),
    ],
)
def test_a_failure_is_told_as_what_it_is(noted: Noted, text: str, status: int, told: str) -> None:
    door = noted()
    put(door, FAILURE, text.encode())
    answer = fetched(door)
    assert answer.status == status and told in said(answer)["message"]


@pytest.mark.parametrize(
    ("ago", "status"),
    [
        (QUEUED + timedelta(seconds=60), 202),
        (QUEUED + timedelta(seconds=61), 504),
        (KEPT, 504),
        (KEPT + timedelta(seconds=1), 410),
    ],
)
def test_what_does_not_come_any_more(noted: Noted, ago: timedelta, status: int) -> None:
    answer = fetched(noted(ago))
    assert answer.status == status
    assert answer.headers["x-request-id"] == "request-1"


@pytest.mark.parametrize("name", ["b" * 32, "A" * 32, "a", "", "a" * 32 + "/b"])
def test_what_was_never_asked(noted: Noted, name: str) -> None:
    answer = fetched(noted(), name)
    assert (answer.status, said(answer)["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_bucket_that_has_no_time(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    door = noted()

    def busy(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "GetObject")  # type: ignore[typeddict-item]

    monkeypatch.setattr(door.requests.s3, "get_object", busy)
    assert fetched(door).status == 429


def test_what_is_live_is_told_from_the_record(door: AsynchronousDoor, world: World) -> None:
    for path in ("/ping", "/version"):
        told = said(door.answer(request("GET", path)))
        assert (told["model"], told["version"], told["generation"], told["problem"]) == (MODEL, "1", 1, None)
    document = said(door.answer(request("GET", "/openapi.json")))
    OpenAPIV31SpecValidator(document).validate()
    responses = {path: set(next(iter(what.values()))["responses"]) for path, what in document["paths"].items()}
    assert {"202", "409"} <= responses["/invocations"] and "200" not in responses["/invocations"]
    assert {"200", "202", "410", "504"} <= responses["/answers/{id}"]
    world.deployments.pause(MODEL, None, REVIEWER, reason="audit")
    assert said(door.answer(request("GET", "/version")))["paused"]["reason"] == "audit"


@pytest.mark.parametrize("path", ["/version", "/ping", "/openapi.json", "/invocations"])
def test_a_model_of_which_nothing_is_live(world: World, path: str) -> None:
    recorder = Recorder()
    door = AsynchronousDoor(ENVIRONMENT, recorder, Requests(world.s3, BUCKET, MODEL), world.deployments)
    method = "POST" if path == "/invocations" else "GET"
    answer = door.answer(request(method, path, ROWS if method == "POST" else b""))
    assert (answer.status, said(answer)["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert recorder.calls == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/app"), ("GET", "/invocations"), ("POST", "/answers/x")])
def test_there_are_no_other_endpoints(door: AsynchronousDoor, method: str, path: str) -> None:
    answer = door.answer(request(method, path))
    assert (answer.status, said(answer)["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_a_door_says_what_it_lacks() -> None:
    with pytest.raises(RuntimeError, match="needs the environment variables LEDGER_TABLE, ARTIFACT_BUCKET"):
        AsynchronousEnvironment.read({"TEAM": "t", "MODEL": "m", "ENDPOINT": "e", "TIMEOUT_SECONDS": "1"})
