"""Services that MiniStack lacks are answered by moto, in the same process and without a socket.

moto keeps the records (it validates and lists); what has to happen besides is added by the service's own module.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.core.concurrency import run_reentrant

from labcycle.local.settings import Settings

Response = tuple[int, dict[str, str], bytes]
# service -> prefix of X-Amz-Target
SERVICES = {"sagemaker": "SageMaker."}

_INVOCATION = re.compile(r"/endpoints/([A-Za-z0-9-]+)/invocations")

_lock = threading.Lock()
_invoke: Callable[[str, Mapping[str, str], bytes], Response] | None = None
_operations: dict[str, Callable[[dict[str, Any], Mapping[str, str]], Response]] = {}


def operation(target: str, handler: Callable[[dict[str, Any], Mapping[str, str]], Response]) -> None:
    """Answer one operation (`SageMaker.CreateTrainingJob`) by `handler(input, headers)` in place of moto."""
    _operations[target] = handler


def invocations(handler: Callable[[str, Mapping[str, str], bytes], Response]) -> None:
    """Answer SageMaker's InvokeEndpoint by `handler(endpoint, headers, body)`."""
    global _invoke
    _invoke = handler


def install(settings: Settings) -> None:
    for service, prefix in SERVICES.items():
        router.SERVICE_PATTERNS[service] = {"target_prefixes": [prefix], "host_patterns": [rf"^{service}\."]}
        app.SERVICE_HANDLERS[service] = _handler()
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
    original = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> Any:
        if service != "sagemaker":
            return original(service, method, path, headers, body, query, region, account)
        endpoint = endpoint_of(method, path)
        if endpoint:
            return f"arn:aws:sagemaker:{region}:{account}:endpoint/{endpoint.lower()}"
        name = json.loads(body or b"{}").get("TrainingJobName")
        return f"arn:aws:sagemaker:{region}:{account}:training-job/{name}" if name else "*"

    iam_actions.extract_resource_arn = resource_arn
    action_of = iam_actions.extract_iam_action

    def action(service: str, method: str, path: str, *rest: Any) -> Any:
        if service == "sagemaker" and endpoint_of(method, path):
            return "sagemaker:InvokeEndpoint"
        return action_of(service, method, path, *rest)

    iam_actions.extract_iam_action = action


def endpoint_of(method: str, path: str) -> str | None:
    """Name of the endpoint that a request to SageMaker's runtime asks; None where it is another request."""
    found = _INVOCATION.fullmatch(path)
    return found[1] if found and method == "POST" else None


def call(target: str, asked: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """One operation of a JSON service, done by moto. Blocking."""
    with _lock:  # moto's records are not made for threads
        response = _client().post("/", data=json.dumps(asked), headers=dict(headers) | {"X-Amz-Target": target})
    kept = {"Content-Type": response.headers.get("Content-Type", "application/x-amz-json-1.1")}
    return response.status_code, kept, response.get_data()


def _handler() -> Callable[..., Awaitable[Response]]:
    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Response:
        endpoint = endpoint_of(method, path)
        if endpoint and _invoke:
            answer: Response = await run_reentrant(_invoke, endpoint, headers, body)  # the container asks this server
            return answer
        target = headers.get("x-amz-target", "")
        asked = json.loads(body or b"{}")
        wanted = {"Content-Type": "application/x-amz-json-1.1"}
        wanted |= {name: headers[name] for name in ("authorization", "x-amz-date") if name in headers}
        if target in _operations:
            return await asyncio.to_thread(_operations[target], asked, wanted)
        return await asyncio.to_thread(call, target, asked, wanted)

    return handle


@cache
def _client() -> Any:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.test import Client

    return Client(DomainDispatcherApplication(create_backend_app))
