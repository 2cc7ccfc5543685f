"""What SageMaker's InvokeEndpoint makes of a request and of a container's answer.

Statuses and limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

ATTRIBUTES_LONGEST = 1024
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_PASSED = ("content-type", "accept", _ATTRIBUTES)
# Answers headers and body of POST /invocations with status and body.
Container = Callable[[Mapping[str, str], bytes], tuple[int, bytes]]
Answered = tuple[int, dict[str, str], bytes]


def missing(endpoint: str, account: str) -> Answered:
    """The answer of an endpoint that is not there."""
    return refused(400, "ValidationError", {"message": f"Endpoint {endpoint} of account {account} not found."})


def invoked(headers: Mapping[str, str], body: bytes, container: Container) -> Answered:
    """The answer to a request for an endpoint that has this container."""
    sent = {key.lower(): value for key, value in headers.items() if key.lower() in _PASSED}
    attributes = sent.get(_ATTRIBUTES, "")
    if len(attributes) > ATTRIBUTES_LONGEST or not attributes.isascii() or not body:
        return refused(400, "ValidationError", {"message": "1 validation error detected"})
    status, content = container(sent, body)
    if status == 200:
        return 200, {"Content-Type": "application/octet-stream", "x-Amzn-Invoked-Production-Variant": "all"}, content
    said = content.decode(errors="replace")
    return failed(status, received(status, said), said)


def received(status: int, said: str) -> str:
    """The message about what a container answered."""
    return f'Received {"client" if status < 500 else "server"} error ({status}) from primary with message "{said}".'


def failed(original_status: int, message: str, original_message: str) -> Answered:
    """What a caller is told of a container that failed; `original_status` is 0 where it did not answer."""
    said = {"Message": message, "OriginalStatusCode": original_status, "OriginalMessage": original_message}
    return refused(424, "ModelError", said)


def refused(status: int, code: str, body: Mapping[str, Any]) -> Answered:
    return status, {"x-amzn-errortype": code, "Content-Type": "application/json"}, json.dumps(body).encode()
