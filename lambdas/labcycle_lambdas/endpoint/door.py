"""Ask the endpoint, and answer as its model server did.

Errors of the call: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, ReadTimeoutError

from labcycle_lambdas.endpoint.environment import Environment
from labcycle_lambdas.envelope import attributes_of, opened
from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.mlflow_error import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    REQUEST_LIMIT_EXCEEDED,
    TEMPORARILY_UNAVAILABLE,
    MlflowError,
)

_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
_NOT_READY = {
    "InternalDependencyException",
    "InternalFailure",
    "ModelNotReadyException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
}
_NO_BODY = b"{}"  # SageMaker takes no empty one


class NotReady(Exception):
    """The endpoint cannot answer now, and will."""


@dataclass(frozen=True)
class Door:
    """Answers requests for a model by its endpoint; `runtime` is a client of SageMaker's runtime."""

    environment: Environment
    runtime: Any

    def answer(self, request: Request) -> Response:
        """The answer of the model server; or why there is none. Raises what the door itself is not allowed."""
        about = {"x-labcycle-model": self.environment.model, "x-request-id": request.request_id}
        try:
            return self._answer(request)
        except MlflowError as error:
            return error.response(about)
        except NotReady as error:
            unavailable = MlflowError(TEMPORARILY_UNAVAILABLE, f"{error} Try again.")
            return unavailable.response({**about, "retry-after": "1"})

    def _answer(self, request: Request) -> Response:
        environment = self.environment
        if len(request.body) > environment.body_bytes:
            raise MlflowError(
                BAD_REQUEST,
                f"The request has {len(request.body) / 1e6:.1f} MB; allowed are {environment.body_bytes / 1e6:.0f} MB: send fewer "
                "rows at once.",
                status=413,
            )
        try:
            said = self.runtime.invoke_endpoint(
                EndpointName=environment.endpoint,
                ContentType=content_type(request.headers),
                CustomAttributes=attributes_of(request),
                Body=request.body or _NO_BODY,
            )
            content = said["Body"].read()
        except ClientError as error:
            return self._refusal(error)
        except ReadTimeoutError:
            raise self._too_slow() from None
        except (ConnectionError, HTTPClientError) as error:
            raise NotReady(f"The endpoint {environment.endpoint} was not reached ({type(error).__name__}).") from None
        return opened(content)

    def _refusal(self, error: ClientError) -> Response:
        """The answer to a call that failed, or raised."""
        if error.response["Error"].get("Code", "") == "ModelError":
            said: Mapping[str, Any] = error.response
            status = int(said.get("OriginalStatusCode") or 0)
            if not 400 <= status <= 599:  # it has not answered at all
                raise self._too_slow()
            return failed(status, str(said.get("OriginalMessage") or ""))
        raise refusal(self.environment.endpoint, error) from None

    def _too_slow(self) -> MlflowError:
        return MlflowError(
            TEMPORARILY_UNAVAILABLE,
            f"{self.environment.model} has not answered in time: send fewer rows at once.",
            status=504,
        )


def refusal(endpoint: str, error: ClientError) -> Exception:
    """What to raise where SageMaker refused to ask `endpoint`: the error itself where it is none of those that are expected."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if code in _THROTTLED:
        return MlflowError(REQUEST_LIMIT_EXCEEDED, "The endpoint has too much to do; try again.")
    if code in _NOT_READY:
        return NotReady(f"The endpoint {endpoint} is not ready ({code}).")
    if code in ("ValidationError", "ValidationException"):
        # So it tells of an endpoint that is missing, too, and of one that is being made.
        if endpoint in message:
            return NotReady(f"The endpoint {endpoint} is not there or not ready.")
        return MlflowError(BAD_REQUEST, f"The endpoint takes no such request: {message[:500]}")
    return error


def failed(status: int, message: str) -> Response:
    """What the container answered with 4xx or 5xx. Raises `MlflowError` where it is not the model server's answer."""
    try:
        return opened(message.encode())
    except ValueError:  # the container's own refusal, or cut off by SageMaker
        code = INTERNAL_ERROR if status >= 500 else BAD_REQUEST
        said = message[:500] or "no message"
        raise MlflowError(code, f"The container answered with {status}: {said}", status=status) from None


def content_type(headers: Mapping[str, str]) -> str:
    """SageMaker takes visible ASCII alone; the model server says what it thinks of the rest."""
    given = headers.get("content-type", "").encode("ascii", "replace").decode()
    return given[:1024] or "application/json"
