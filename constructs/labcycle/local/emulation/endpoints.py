"""SageMaker's endpoints answer: InvokeEndpoint asks the container of the endpoint, which runs as a process.

Quotas: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html (concurrency and payload of a serverless
one), https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html (6 MB otherwise, 60 seconds).
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch

from labcycle.local import invocations
from labcycle.local.emulation import model_servers, moto_services

BODY_BYTES = 6 * 1024**2
SERVERLESS_BODY_BYTES = 4 * 1024**2
SECONDS = 60.0

_lock = threading.Lock()
_under_way: Counter[str] = Counter()


def install() -> None:
    moto_services.invocations(_invoke)


def key_of(endpoint: str) -> str:
    """The endpoint's name among `model_servers`."""
    return f"endpoint/{endpoint.lower()}"


def _invoke(endpoint: str, headers: Mapping[str, str], body: bytes) -> moto_services.Response:
    if not model_servers.has(key_of(endpoint)):
        return invocations.missing(endpoint, get_account_id())
    serverless = _serverless(endpoint)
    longest = SERVERLESS_BODY_BYTES if serverless else BODY_BYTES
    if len(body) > longest:
        message = f"HTTP content length exceeded {longest} bytes."
        return invocations.refused(413, "RequestEntityTooLargeException", {"message": message})
    with _lock:
        full = serverless is not None and _under_way[endpoint] >= int(serverless["MaxConcurrency"])
        if not full:
            _under_way[endpoint] += 1
    if full:
        return invocations.refused(400, "ThrottlingException", {"message": "Rate exceeded"})
    begun = time.monotonic()
    try:
        answer = _ask(endpoint, headers, body)
    finally:
        with _lock:
            _under_way[endpoint] -= 1
    _count(endpoint, answer, time.monotonic() - begun)
    return answer


def _ask(endpoint: str, headers: Mapping[str, str], body: bytes) -> invocations.Answered:
    server = model_servers.one_of(key_of(endpoint))
    if server is None:
        return invocations.refused(
            503, "ServiceUnavailable", {"message": f"The endpoint {endpoint} has no healthy container."}
        )

    def container(sent: Mapping[str, str], content: bytes) -> tuple[int, bytes]:
        status, _, answered = server.ask("POST", "/invocations", list(sent.items()), content, SECONDS)
        return status, answered

    try:
        return invocations.invoked(headers, body, container)
    except TimeoutError:
        return invocations.failed(
            0, "Your invocation timed out while waiting for a response from container primary.", ""
        )
    except (OSError, http.client.HTTPException):
        message = "The primary container closed the connection before it answered."
        return invocations.refused(503, "ServiceUnavailable", {"message": message})


def _serverless(endpoint: str) -> dict[str, Any] | None:
    from moto.sagemaker.models import sagemaker_backends

    record = sagemaker_backends[get_account_id()][get_region()].endpoints.get(endpoint)
    variants = record.production_variants if record else ()
    return next((one["CurrentServerlessConfig"] for one in variants if one.get("CurrentServerlessConfig")), None)


def _count(endpoint: str, answer: invocations.Answered, seconds: float) -> None:
    """Metrics of the endpoint: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html"""
    dimensions = {"EndpointName": endpoint, "VariantName": "all"}
    failed = (answer[0] == 424 and b'"OriginalStatusCode": 4' not in answer[2]) or answer[0] >= 500
    values = {"Invocations": 1.0, "Invocation5XXErrors": float(failed), "ModelLatency": seconds * 1e6}
    for name, value in values.items():
        unit = "Microseconds" if name == "ModelLatency" else "Count"
        cloudwatch.record_metric("AWS/SageMaker", name, value, unit, dimensions)
