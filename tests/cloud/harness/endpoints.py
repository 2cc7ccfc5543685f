"""SageMaker's endpoints, answered by what a test says: as the containers of each get a request, and as callers get the answer.

moto answers every call with the same text. Statuses and limits:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from labcycle.local.invocations import Answered, Container, invoked, missing, received, refused
from tests.cloud.harness.permissions import Guard
from tests.cloud.harness.place import Place

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
Refusal = tuple[int, str, str]


@dataclass(frozen=True)
class Waiting:
    """A request in an endpoint's queue; `headers` are what SageMaker passes, the rest are addresses (s3://)."""

    place: Place
    endpoint: str
    inference_id: str
    headers: Mapping[str, str]
    source: str
    output: str
    failure: str


class Endpoints:
    """`containers` has who answers, by the endpoint's name; `refusals` are met once each, before anything else; `queue` has what was
    asked and waits."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.containers: dict[str, Container] = {}
        self.refusals: list[Refusal] = []
        self.queue: list[Waiting] = []

    def work(self) -> None:
        """Answer all that waits, with the rights of the endpoint's role."""
        while self.queue:
            one = self.queue.pop(0)
            s3 = self._guard.client("s3", one.place, _role(one))
            body = s3.get_object(**_object(one.source))["Body"].read()
            status, content = self.containers[one.endpoint](one.headers, body)
            if status != 200:
                content = (
                    f"{received(status, content.decode())} See https://console of account {one.place.account}.".encode()
                )
            s3.put_object(**_object(one.output if status == 200 else one.failure), Body=content)

    def patch(self, stack: ExitStack) -> None:
        def invoke(response: Any) -> tuple[int, dict[str, str], Any]:
            name = response.path.split("/")[2]
            known = sagemaker_backends[response.current_account][response.region].endpoints
            content = response.body if isinstance(response.body, bytes) else response.body.encode()
            answer = self._answer(name, name in known, response.headers, content, response.current_account)
            status, headers, body = answer
            return status, {**headers, "status": str(status)}, body  # moto looks at the header alone

        def wait(response: Any) -> tuple[int, dict[str, str], Any]:
            name = response.path.split("/")[2]
            place = Place(response.current_account, response.region)
            given = {key.lower(): value for key, value in response.headers.items()}
            status, headers, body = self._wait(name, place, given)
            return status, {**headers, "status": str(status)}, body

        stack.enter_context(mock.patch.object(SageMakerRuntimeResponse, "invoke_endpoint", invoke))
        stack.enter_context(mock.patch.object(SageMakerRuntimeResponse, "invoke_endpoint_async", wait))

    def _wait(self, name: str, place: Place, given: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        if self.refusals:
            status, code, message = self.refusals.pop(0)
            return refused(status, code, {"message": message})
        if name not in sagemaker_backends[place.account][place.region].endpoints:
            return missing(name, place.account)
        output = _config(place, name)["AsyncInferenceConfig"]["OutputConfig"]
        made = uuid.uuid4()
        asked = Waiting(
            place,
            name,
            given["x-amzn-sagemaker-inference-id"],
            {"content-type": given["x-amzn-sagemaker-content-type"], _ATTRIBUTES: given[_ATTRIBUTES]},
            given["x-amzn-sagemaker-inputlocation"],
            f"{output['S3OutputPath']}/{made}.out",
            f"{output['S3FailurePath']}/{made}-error.out",
        )
        self.queue.append(asked)
        headers = {
            "X-Amzn-SageMaker-OutputLocation": asked.output,
            "X-Amzn-SageMaker-FailureLocation": asked.failure,
            "Content-Type": "application/json",
        }
        return 202, headers, json.dumps({"InferenceId": asked.inference_id})

    def _answer(self, name: str, known: bool, sent: Mapping[str, str], body: bytes, account: str) -> Answered:
        if self.refusals:
            status, code, message = self.refusals.pop(0)
            return refused(status, code, {"message": message})
        if not known:
            return missing(name, account)
        return invoked(sent, body, self.containers[name])


def _config(place: Place, endpoint: str) -> Any:
    sagemaker = place.client("sagemaker")
    named = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    return sagemaker.describe_endpoint_config(EndpointConfigName=named)


def _role(one: Waiting) -> str:
    [variant] = _config(one.place, one.endpoint)["ProductionVariants"]
    role: str = one.place.client("sagemaker").describe_model(ModelName=variant["ModelName"])["ExecutionRoleArn"]
    return role


def _object(address: str) -> dict[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}
