"""Errors in MLflow's shape, so that every client of MLflow shows their text.

Codes and their HTTP status: mlflow/protos/databricks.proto and mlflow/exceptions.py, `ERROR_CODE_TO_HTTP_STATUS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labcycle_lambdas.http import Request, Response

BAD_REQUEST = "BAD_REQUEST"
ENDPOINT_NOT_FOUND = "ENDPOINT_NOT_FOUND"
INTERNAL_ERROR = "INTERNAL_ERROR"
INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"
NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
PERMISSION_DENIED = "PERMISSION_DENIED"
REQUEST_LIMIT_EXCEEDED = "REQUEST_LIMIT_EXCEEDED"
RESOURCE_ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
RESOURCE_CONFLICT = "RESOURCE_CONFLICT"
RESOURCE_DOES_NOT_EXIST = "RESOURCE_DOES_NOT_EXIST"
TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"
_STATUS = {
    BAD_REQUEST: 400,
    ENDPOINT_NOT_FOUND: 404,
    INTERNAL_ERROR: 500,
    INVALID_PARAMETER_VALUE: 400,
    NOT_IMPLEMENTED: 501,
    PERMISSION_DENIED: 403,
    REQUEST_LIMIT_EXCEEDED: 429,
    RESOURCE_ALREADY_EXISTS: 400,
    RESOURCE_CONFLICT: 409,
    RESOURCE_DOES_NOT_EXIST: 404,
    TEMPORARILY_UNAVAILABLE: 503,
}


class MlflowError(Exception):
    """Ends a request with this code and message; `status` overrides the code's own."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or _STATUS[code]

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The answer. A throttled caller is told to come back after a second, which replaces the client's long back-off."""
        more = {"retry-after": "1"} if self.status == 429 else {}
        return Response(self.status, {"error_code": self.code, "message": str(self)}, {**more, **(headers or {})})


def invalid(message: str) -> MlflowError:
    return MlflowError(INVALID_PARAMETER_VALUE, message)


def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object.

    Raises
    ------
    MlflowError
        If it is not JSON, or no object.
    """
    if not request.body.strip():
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON, bad UTF-8, a number of thousands of digits
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise MlflowError(BAD_REQUEST, f"The request body is not valid JSON: {why[:200]}") from None
    if not isinstance(body, dict):
        raise MlflowError(BAD_REQUEST, f"The request body must be a JSON object, got {kind_of(body)}.")
    return body


def kind_of(value: object) -> str:
    """The JSON name of a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    names = ((str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: JSON may carry half a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
