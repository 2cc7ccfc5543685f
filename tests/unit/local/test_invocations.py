"""What SageMaker makes of a request for an endpoint: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from labcycle.local.invocations import ATTRIBUTES_LONGEST, failed, invoked, missing

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def never(headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    raise AssertionError("the container is asked")


def test_the_container_gets_the_few_headers_that_pass() -> None:
    got: dict[str, str] = {}

    def container(headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        got.update(headers)
        return 200, body.upper()

    sent = {"Content-Type": "text/csv", ATTRIBUTES: "method=POST", "Authorization": "secret", "X-Labcycle-Key": "k"}
    status, headers, body = invoked(sent, b"rows", container)
    assert (status, body, headers["x-Amzn-Invoked-Production-Variant"]) == (200, b"ROWS", "all")
    assert got == {"content-type": "text/csv", ATTRIBUTES.lower(): "method=POST"}


@pytest.mark.parametrize(
    ("attributes", "body"), [("a" * (ATTRIBUTES_LONGEST + 1), b"{}"), ("caf\u00e9", b"{}"), ("a", b"")]
)
def test_what_it_does_not_take_reaches_no_container(attributes: str, body: bytes) -> None:
    status, headers, _ = invoked({ATTRIBUTES: attributes}, body, never)
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationError")


@pytest.mark.parametrize(("status", "blamed"), [(400, "client"), (503, "server")])
def test_a_container_that_fails_is_told_with_its_status(status: int, blamed: str) -> None:
    answered, headers, body = invoked({}, b"{}", lambda headers, body: (status, b"because \xff"))
    said = json.loads(body)
    assert (answered, headers["x-amzn-errortype"], said["OriginalStatusCode"]) == (424, "ModelError", status)
    assert blamed in said["Message"] and said["OriginalMessage"].startswith("because")


def test_without_an_answer_or_an_endpoint() -> None:
    assert json.loads(failed(0, "timed out", "")[2])["OriginalStatusCode"] == 0
    status, headers, body = missing("nobody", "123456789012")
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert "nobody of account 123456789012 not found" in json.loads(body)["message"]
