"""SageMaker's endpoints, answered by what a test says: as the containers of each get a request, and as callers get the answer.

moto answers every call with the same text. Statuses and limits:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

_ATTRIBUTES, _ATTRIBUTES_LONGEST = "x-amzn-sagemaker-custom-attributes", 1024
_PASSED = ("content-type", "accept", _ATTRIBUTES)
# Answers headers and body of POST /invocations with status and body.
Container = Callable[[Mapping[str, str], bytes], tuple[int, bytes]]
Refusal = tuple[int, str, str]


class Endpoints:
    """`containers` has who answers, by the endpoint's name; `refusals` are met once each, before anything else."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.refusals: list[Refusal] = []

    def patch(self, stack: ExitStack) -> None:
        def invoke(response: Any) -> tuple[int, dict[str, str], Any]:
            name = response.path.split("/")[2]
            sent = {key.lower(): value for key, value in response.headers.items() if key.lower() in _PASSED}
            known = sagemaker_backends[response.current_account][response.region].endpoints
            content = response.body if isinstance(response.body, bytes) else response.body.encode()
            status, headers, body = self._answer(name, name in known, sent, content, response.current_account)
            return status, {**headers, "status": str(status)}, body  # moto looks at the header alone

        stack.enter_context(mock.patch.object(SageMakerRuntimeResponse, "invoke_endpoint", invoke))

    def _answer(
        self, name: str, known: bool, sent: Mapping[str, str], body: bytes, account: str
    ) -> tuple[int, dict[str, str], Any]:
        if self.refusals:
            status, code, message = self.refusals.pop(0)
            return _refused(status, code, {"message": message})
        if not known:
            return _refused(400, "ValidationError", {"message": f"Endpoint {name} of account {account} not found."})
        attributes = sent.get(_ATTRIBUTES, "")
        if len(attributes) > _ATTRIBUTES_LONGEST or not attributes.isascii() or not body:
            return _refused(400, "ValidationError", {"message": "1 validation error detected"})
        status, content = self.containers[name](sent, body)
        if status == 200:
            return (
                200,
                {"Content-Type": "application/octet-stream", "x-Amzn-Invoked-Production-Variant": "all"},
                content,
            )
        said = content.decode()
        about = (
            f'Received {"client" if status < 500 else "server"} error ({status}) from primary with message "{said}".'
        )
        return _refused(424, "ModelError", {"Message": about, "OriginalStatusCode": status, "OriginalMessage": said})


def _refused(status: int, code: str, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    return status, {"x-amzn-errortype": code, "Content-Type": "application/json"}, json.dumps(body)
