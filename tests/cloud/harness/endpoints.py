"""SageMaker's endpoints, answered by what a test says: as the containers of each get a request, and as callers get the answer.

moto answers every call with the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from labcycle.local.invocations import Answered, Container, invoked, missing, refused

Refusal = tuple[int, str, str]


class Endpoints:
    """`containers` has who answers, by the endpoint's name; `refusals` are met once each, before anything else."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.refusals: list[Refusal] = []

    def patch(self, stack: ExitStack) -> None:
        def invoke(response: Any) -> tuple[int, dict[str, str], Any]:
            name = response.path.split("/")[2]
            known = sagemaker_backends[response.current_account][response.region].endpoints
            content = response.body if isinstance(response.body, bytes) else response.body.encode()
            answer = self._answer(name, name in known, response.headers, content, response.current_account)
            status, headers, body = answer
            return status, {**headers, "status": str(status)}, body  # moto looks at the header alone

        stack.enter_context(mock.patch.object(SageMakerRuntimeResponse, "invoke_endpoint", invoke))

    def _answer(self, name: str, known: bool, sent: Mapping[str, str], body: bytes, account: str) -> Answered:
        if self.refusals:
            status, code, message = self.refusals.pop(0)
            return refused(status, code, {"message": message})
        if not known:
            return missing(name, account)
        return invoked(sent, body, self.containers[name])
