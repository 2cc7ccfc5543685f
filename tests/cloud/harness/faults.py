"""Trouble between a function and AWS: calls that are refused, and calls whose answer is lost after they were done."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import botocore.endpoint
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from tests.cloud.harness.functions import Functions


@dataclass
class Fault:
    """Strikes the calls of `operation` from deployed functions: `times` of them, after letting `skip` through.

    `struck` counts those it struck, so that a test can prove that its fault happened.
    """

    operation: str
    times: int
    skip: int
    function: str
    strike: Callable[[Any, Callable[[], Any]], Any] = field(repr=False)
    struck: int = 0

    def applies(self, operation: str, function: str) -> bool:
        if operation != self.operation or self.function not in function or self.struck >= self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.struck += 1
        return True


class Faults:
    """The faults of a cloud. An operation is named `dynamodb.PutItem`."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._planned: list[Fault] = []

    def throttle(self, operation: str, *, times: int, skip: int = 0, function: str = "") -> Fault:
        """Refuse calls as DynamoDB or S3 does when it is asked too much."""
        strike = _slowed_down if operation.startswith("s3.") else _throttled
        return self._plan(Fault(operation, times, skip, function, strike))

    def lose_answer(self, operation: str, *, times: int = 1, skip: int = 0, function: str = "") -> Fault:
        """Carry the call out, and break the connection before its answer."""
        return self._plan(Fault(operation, times, skip, function, _lost))

    def clear(self) -> None:
        self._planned.clear()

    def _plan(self, fault: Fault) -> Fault:
        self._planned.append(fault)
        return fault

    def patch(self, stack: ExitStack) -> None:
        """Come between botocore and moto until `stack` closes; repeats by the SDK do not wait."""
        answer = BotocoreStubber.__call__

        def call(stubber: Any, event_name: str, request: Any, **rest: Any) -> Any:
            operation = event_name.removeprefix("before-send.")
            running = self._functions.running
            with self._functions.suspended():
                for fault in self._planned:
                    if running is not None and fault.applies(operation, running.function_name):
                        return fault.strike(request, lambda: answer(stubber, event_name, request, **rest))
                return answer(stubber, event_name, request, **rest)

        stack.enter_context(mock.patch.object(BotocoreStubber, "__call__", call))
        no_sleep = mock.Mock(sleep=lambda seconds: None)
        stack.enter_context(mock.patch.object(botocore.endpoint, "time", no_sleep))


_JSON = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})


def _throttled(request: Any, carry_out: Callable[[], Any]) -> Any:
    body = json.dumps({
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": "Rate of requests exceeds the allowed throughput.",
    })  # fmt: skip
    return AWSResponse(request.url, 400, _JSON, MockRawResponse(body))


def _slowed_down(request: Any, carry_out: Callable[[], Any]) -> Any:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    headers = HTTPHeaders.from_dict({"content-type": "application/xml"})
    return AWSResponse(request.url, 503, headers, MockRawResponse(body))


def _lost(request: Any, carry_out: Callable[[], Any]) -> Any:
    carry_out()
    raise ConnectionClosedError(endpoint_url=request.url)
