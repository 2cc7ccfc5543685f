"""Take a request, let it wait for the endpoint, and answer by its id when the model server has.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.endpoint.door import NotReady, content_type, failed, refusal
from labcycle_lambdas.endpoint.environment import AsynchronousEnvironment
from labcycle_lambdas.endpoint.requests import Asked, Requests
from labcycle_lambdas.envelope import PASSED, attributes_of, opened
from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.deployments import Deployment, Deployments
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.mlflow_error import (
    BAD_REQUEST,
    ENDPOINT_NOT_FOUND,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    MlflowError,
    invalid,
)
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.openapi import document
from labcycle_lambdas.model_server.payload import BODY_BYTES, read
from labcycle_lambdas.model_server.schema import Schema

IDEMPOTENCY_HEADER = "idempotency-key"
LONGEST_KEY = 255
KEPT = timedelta(days=7)  # an answer, by the bucket's rule
QUEUED = timedelta(seconds=21_600)  # a request at most, which is also SageMaker's default
_AGAIN_SECONDS = "5"
_ANSWER = re.compile(r"/answers/([0-9a-f]{32})")
# What SageMaker says of an answer with 4xx or 5xx; within it is the answer, unless it was too long.
_STATUS = re.compile(r"error \((\d{3})\)")
_MESSAGE = re.compile(r" with message \"(.*?)\"(?:\. See .*)?\.?\s*$", re.DOTALL)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class AsynchronousDoor:
    """Answers requests for a model whose predictions come later; `runtime` is a client of SageMaker's runtime."""

    environment: AsynchronousEnvironment
    runtime: Any
    requests: Requests
    deployments: Deployments
    now: Callable[[], datetime] = _utc_now

    def answer(self, request: Request) -> Response:
        """What there is to say now. Raises what the door itself is not allowed."""
        about = {"x-labcycle-model": self.environment.model, "x-request-id": request.request_id}
        try:
            return self._answer(request, about)
        except MlflowError as error:
            return error.response(about)
        except Throttled as error:
            busy = MlflowError(REQUEST_LIMIT_EXCEEDED, f"Ledger or bucket are busy, try again: {error}")
            return busy.response(about)
        except NotReady as error:
            unavailable = MlflowError(TEMPORARILY_UNAVAILABLE, f"{error} Try again.")
            return unavailable.response({**about, "retry-after": "1"})

    def _answer(self, request: Request, about: Mapping[str, str]) -> Response:
        asked = (request.method, request.path)
        if asked == ("POST", "/invocations"):
            return self._take(request, about)
        if request.method == "GET" and request.path.startswith("/answers/"):
            return self._fetch(request, about)
        if asked in (("GET", "/ping"), ("GET", "/version")):
            return Response(200, _told(self._live()), about)
        if asked == ("GET", "/openapi.json"):
            live = self._live().live
            version, schema = (live.version, Schema.of(live.signature)) if live else (None, None)
            return Response(200, document(self.environment.model, version, schema, later=True), about)
        raise MlflowError(
            ENDPOINT_NOT_FOUND,
            f"No endpoint {request.method[:20]} {request.path[:200]}; there are POST /invocations, GET /answers/ID, GET /ping, "
            "GET /version and GET /openapi.json.",
        )

    # ---- a request ----------------------------------------------------------------------------------------------

    def _take(self, request: Request, about: Mapping[str, str]) -> Response:
        """The same once for each idempotency key: who did not hear that it was taken asks again."""
        if len(request.body) > BODY_BYTES:
            raise MlflowError(
                BAD_REQUEST,
                f"The request has {len(request.body) / 1e6:.1f} MB; allowed are {BODY_BYTES / 1e6:.0f} MB: send fewer rows at once, "
                "or score files of any number of rows with form: batch.",
                status=413,
            )
        name, digest = _name(request), _digest(request)
        known = self.requests.asked(name)
        if known is None:
            self._check(request)
            self.requests.note(name, self._ask(request, name, digest))
        elif known.digest != digest:
            raise MlflowError(
                RESOURCE_CONFLICT,
                f"The {IDEMPOTENCY_HEADER} was sent with another request before; allowed is one for each. Send another one.",
            )
        return self._waits(name, about)

    def _check(self, request: Request) -> None:
        """What the version that is live now would refuse does not wait. That of the answer may be another."""
        live = self._live().live
        schema = Schema.of(live.signature) if live else None
        data = read(request, schema).data
        if schema and schema.columns and isinstance(data, Table):
            enforce(data, schema)

    def _ask(self, request: Request, name: str, digest: str) -> Asked:
        environment = self.environment
        address = self.requests.keep(name, request.body)
        try:
            said = self.runtime.invoke_endpoint_async(
                EndpointName=environment.endpoint,
                ContentType=content_type(request.headers),
                CustomAttributes=attributes_of(request),
                InferenceId=name,
                InputLocation=address,
                RequestTTLSeconds=int(QUEUED.total_seconds()),
                InvocationTimeoutSeconds=environment.timeout_seconds,
            )
        except ClientError as error:
            raise refusal(environment.endpoint, error) from None
        except (ConnectionError, HTTPClientError) as error:
            raise NotReady(f"The endpoint {environment.endpoint} was not reached ({type(error).__name__}).") from None
        return Asked(
            request.request_id, self.now().isoformat(), digest, said["OutputLocation"], said["FailureLocation"]
        )

    def _waits(self, name: str, about: Mapping[str, str]) -> Response:
        return Response(202, {"id": name}, {**about, "location": f"/answers/{name}", "retry-after": _AGAIN_SECONDS})

    # ---- its answer ---------------------------------------------------------------------------------------------

    def _fetch(self, request: Request, about: Mapping[str, str]) -> Response:
        match = _ANSWER.fullmatch(request.path)
        asked = self.requests.asked(match[1]) if match else None
        if match is None or asked is None:
            raise MlflowError(
                RESOURCE_DOES_NOT_EXIST,
                f"Nothing was asked of {self.environment.model} by this id in the last month; allowed is one that POST /invocations "
                "answered.",
            )
        about = {**about, "x-request-id": asked.request_id}
        output = self.requests.read(asked.output)
        if output is not None:
            return opened(output)
        failure = self.requests.read(asked.failure)
        if failure is not None:
            return self._failure(failure, about)
        waited = self.now() - datetime.fromisoformat(asked.at)
        if waited > KEPT:
            gone = f"The answer was kept for {KEPT.days} days, and is gone: ask again."
            return MlflowError(RESOURCE_DOES_NOT_EXIST, gone, status=410).response(about)
        if waited > QUEUED + timedelta(seconds=self.environment.timeout_seconds):
            late = f"{self.environment.model} has not answered in time: the request waited too long. Ask again."
            return MlflowError(TEMPORARILY_UNAVAILABLE, late, status=504).response(about)
        return self._waits(match[1], about)

    def _failure(self, content: bytes, about: Mapping[str, str]) -> Response:
        """What SageMaker says of a request that failed; where it names no status, the container has not answered in time, or SageMaker
        itself failed."""
        text = content.decode(errors="replace").strip()
        status, message = _STATUS.search(text), _MESSAGE.search(text)
        try:
            if status is None or not 400 <= int(status[1]) <= 599:
                said = f"{self.environment.model} has not answered: {text[:500] or 'no message'}"
                raise MlflowError(TEMPORARILY_UNAVAILABLE, said, status=504)
            return failed(int(status[1]), message[1] if message else text)
        except MlflowError as error:
            return error.response(about)

    # ---- what is live -------------------------------------------------------------------------------------------

    def _live(self) -> Deployment:
        """The record, where a version is live or the model is paused."""
        record = self.deployments.current(self.environment.model)
        if record.live is None and record.pause is None:
            model = self.environment.model
            raise MlflowError(
                RESOURCE_DOES_NOT_EXIST,
                f"no version of {model} is live; promote one: labcycle models promote {model} VERSION",
            )
        return record


def _name(request: Request) -> str:
    """The id of an answer: the same for each attempt of a caller with one key, else one for each request."""
    key = request.headers.get(IDEMPOTENCY_HEADER, "")
    if len(key) > LONGEST_KEY:
        raise invalid(f"{IDEMPOTENCY_HEADER}: got {len(key)} characters; allowed {LONGEST_KEY}.")
    told = f"key\n{request.caller}\n{key}" if key else f"request\n{request.request_id}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _digest(request: Request) -> str:
    """Of all that the answer depends on."""
    told = [content_type(request.headers), *(f"{name}={request.headers.get(name)}" for name in PASSED)]
    return hashlib.sha256("\n".join(told).encode() + b"\n" + request.body).hexdigest()


def _told(record: Deployment) -> dict[str, Any]:
    """As the model server tells it, as far as the record says."""
    told: dict[str, Any] = {"model": record.model, "problem": None}
    live, canary, shadow, pause = record.live, record.canary, record.shadow, record.pause
    if live:
        told |= {
            "version": str(live.version),
            "run_id": live.source_run,
            "sha256": live.model_file.sha256,
            "generation": record.generation,
            "promoted_at": live.promoted_at,
            "promoted_by": live.promoted_by,
        }
    if canary:
        told["canary"] = {"version": str(canary.deployed.version), "percent": canary.percent}
    if shadow:
        told["shadow"] = {"version": str(shadow.deployed.version), "percent": shadow.percent}
    if pause:
        told["paused"] = {"at": pause.at, "by": pause.by, "reason": pause.reason, "answer": pause.answer}
    return told
