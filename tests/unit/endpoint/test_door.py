"""The door: what goes to the endpoint, and what comes back, whatever SageMaker says."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from labcycle_lambdas.endpoint.door import Door
from labcycle_lambdas.endpoint.environment import Environment
from labcycle_lambdas.envelope import ATTRIBUTES_HEADER, PASSED, attributes_of, enclosed, told
from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.model_server import server
from labcycle_lambdas.model_server.container import as_container

ENDPOINT = "labcycle-fraud-cards"
ENVIRONMENT = Environment("fraud", "cards", ENDPOINT, 1000, 5)
ANSWER = Response(200, {"predictions": [1]}, {"x-labcycle-model-version": "3", "x-request-id": "r-1"})


def request(body: bytes = b'{"inputs": [1]}', **more: Any) -> Request:
    given = {"method": "POST", "path": "/invocations", "headers": {"content-type": "application/json"}} | more
    return Request(query=[], body=body, user_arn="", request_id="r-1", **given)


@pytest.fixture
def stubber() -> Stubber:
    return Stubber(boto3.client("sagemaker-runtime", region_name="eu-west-1"))


def door(stubber: Stubber) -> Door:
    stubber.activate()
    return Door(ENVIRONMENT, stubber.client)


def said(content: bytes) -> dict[str, Any]:
    return {"Body": StreamingBody(io.BytesIO(content), len(content)), "ContentType": "application/octet-stream"}


def test_a_request_goes_and_its_answer_comes_back(stubber: Stubber) -> None:
    asked = request(headers={"content-type": "text/csv", "x-labcycle-key": "c=1&2 é", "authorization": "secret"})
    stubber.add_response(
        "invoke_endpoint",
        said(enclosed(ANSWER)),
        {
            "EndpointName": ENDPOINT,
            "ContentType": "text/csv",
            "CustomAttributes": attributes_of(asked),
            "Body": asked.body,
        },
    )
    answer = door(stubber).answer(asked)
    assert (answer.status, json.loads(answer.content)) == (200, {"predictions": [1]})
    assert answer.all_headers == {"content-type": "application/json", **ANSWER.headers}
    assert "secret" not in attributes_of(asked)
    stubber.assert_no_pending_responses()


def test_a_request_without_a_body_has_one_for_sagemaker(stubber: Stubber) -> None:
    expected = {"EndpointName": ENDPOINT, "ContentType": "application/json", "CustomAttributes": ANY, "Body": b"{}"}
    stubber.add_response("invoke_endpoint", said(enclosed(ANSWER)), expected)
    assert door(stubber).answer(request(b"", method="GET", path="/ping", headers={})).status == 200


def test_more_than_the_endpoint_takes_does_not_go(stubber: Stubber) -> None:
    assert door(stubber).answer(request(b"x" * 1001)).status == 413


def model_error(status: int, message: str) -> dict[str, Any]:
    return {
        "service_error_code": "ModelError",
        "modeled_fields": {"OriginalStatusCode": status, "OriginalMessage": message},
    }


@pytest.mark.parametrize(
    ("failure", "status", "code", "retry_after"),
    [
        (
            model_error(500, enclosed(Response(500, {"error_code": "INTERNAL_ERROR"})).decode()),
            500,
            "INTERNAL_ERROR",
            None,
        ),
        (model_error(413, '{"error_code": "X"}'), 413, "BAD_REQUEST", None),
        (model_error(502, ""), 502, "INTERNAL_ERROR", None),
        (model_error(0, "Your invocation timed out"), 504, "TEMPORARILY_UNAVAILABLE", None),
        ({"service_error_code": "ThrottlingException"}, 429, "REQUEST_LIMIT_EXCEEDED", "1"),
        ({"service_error_code": "ModelNotReadyException"}, 503, "TEMPORARILY_UNAVAILABLE", "1"),
        ({"service_error_code": "ServiceUnavailable"}, 503, "TEMPORARILY_UNAVAILABLE", "1"),
        ({"service_error_code": "InternalFailure"}, 503, "TEMPORARILY_UNAVAILABLE", "1"),
        (
            {
                "service_error_code": "ValidationError",
                "service_message": f"Endpoint {ENDPOINT} of account 123456789012 not found.",
            },
            503,
            "TEMPORARILY_UNAVAILABLE",
            "1",
        ),
        ({"service_error_code": "ValidationError", "service_message": "a body is too long"}, 400, "BAD_REQUEST", None),
    ],
)
def test_what_goes_wrong_is_told_as_what_it_is(
    stubber: Stubber, failure: dict[str, Any], status: int, code: str, retry_after: str | None
) -> None:
    stubber.add_client_error("invoke_endpoint", **failure)
    answer = door(stubber).answer(request())
    assert (answer.status, json.loads(answer.content)["error_code"]) == (status, code)
    assert answer.headers.get("retry-after") == retry_after


def test_what_the_door_may_not_is_no_answer(stubber: Stubber) -> None:
    """The log has it then, and the alarm on 5xx."""
    stubber.add_client_error("invoke_endpoint", "AccessDeniedException")
    with pytest.raises(ClientError):
        door(stubber).answer(request())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ReadTimeoutError(endpoint_url="https://x"), 504),
        (EndpointConnectionError(endpoint_url="https://x"), 503),
    ],
)
def test_who_does_not_answer(error: Exception, status: int) -> None:
    class Silent:
        def invoke_endpoint(self, **_: Any) -> None:
            raise error

    answer = Door(ENVIRONMENT, Silent()).answer(request())
    assert (answer.status, answer.headers["x-request-id"]) == (status, "r-1")


def test_attributes_keep_within_what_sagemaker_takes() -> None:
    long = request(headers={name: "é" * 5000 for name in PASSED})
    attributes = attributes_of(long)
    assert len(attributes) <= 1024 and attributes.isascii()
    key = dict(parse_qsl(attributes))["x-labcycle-key"]
    assert key == dict(parse_qsl(attributes_of(long)))["x-labcycle-key"]
    assert key != dict(parse_qsl(attributes_of(request(headers={"x-labcycle-key": "é" * 4999}))))["x-labcycle-key"]


def test_the_headers_that_travel_are_those_that_the_server_reads() -> None:
    assert set(PASSED) == {server.KEY_HEADER, server.WHAT_IF_HEADER}


def container(response: Response, asked: list[Request]) -> Any:
    def answer(one: Request) -> Response:
        asked.append(one)
        return response

    return as_container(answer)


def through(original: Request) -> Request:
    """As SageMaker brings it."""
    headers = {"content-type": "text/csv", ATTRIBUTES_HEADER: attributes_of(original)}
    return Request("POST", "/invocations", [], headers, original.body, "", "sagemaker's")


def test_the_server_sees_the_request_that_was_sent() -> None:
    asked: list[Request] = []
    original = request(method="GET", path="/version", headers={"content-type": "text/csv", "x-labcycle-key": "é 1"})
    container(ANSWER, asked)(through(original))
    named = {
        **original.headers,
        "x-request-id": original.request_id,
    }  # by which it is told from who looks after the container
    assert asked == [replace(original, headers=named)]


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (ANSWER, 200),
        (Response(404, {"error_code": "X"}), 200),
        (Response(503, {"error_code": "X"}, {"x-labcycle-paused": "true"}), 200),
        (Response(503, {"error_code": "X"}), 503),
        (Response(500, {"error_code": "X"}), 500),
    ],
)
def test_sagemaker_counts_as_failed_what_failed(response: Response, status: int) -> None:
    assert container(response, [])(through(request())).status == status


def test_who_tells_of_no_request_is_told_so() -> None:
    strange = Request("POST", "/invocations", [], {ATTRIBUTES_HEADER: "trace=1"}, b"", "", "r")
    assert container(ANSWER, [])(strange).status == 400
    with pytest.raises(ValueError, match="tell of no request"):
        told(strange, "trace=1")


@pytest.mark.parametrize(("status", "healthy"), [(200, 200), (404, 200), (503, 503)])
def test_a_container_is_healthy_before_the_first_promotion(status: int, healthy: int) -> None:
    ping = Request("GET", "/ping", [], {}, b"", "", "r")
    assert container(Response(status), [])(ping).status == healthy
