"""The model server as an application for a WSGI server.

https://peps.python.org/pep-3333/
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.mlflow_error import BAD_REQUEST, MlflowError
from labcycle_lambdas.model_server.payload import BODY_BYTES
from labcycle_lambdas.model_server.server import REQUEST_HEADER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

# What an HTTP API lets through: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
PAYLOAD_BYTES = 10 * 1024 * 1024
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


def application(answer: Callable[[Request], Response]) -> WSGIApplication:
    """Answers each request by `answer`; of bodies that are too large no more is kept than shows it."""

    def answered(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = _answer(environ, answer)
        content = response.content
        body = content if isinstance(content, bytes) else content.encode()
        status = HTTPStatus(response.status)
        headers = [*response.all_headers.items(), ("content-length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    return answered


def _answer(environ: dict[str, Any], answer: Callable[[Request], Response]) -> Response:
    sent = environ["wsgi.input"]
    body = sent.read(BODY_BYTES + 1)
    if len(body) <= BODY_BYTES:
        return answer(_request(environ, body))
    del body
    left = PAYLOAD_BYTES - BODY_BYTES
    while left > 0 and (piece := sent.read(min(left, 65_536))):  # who is cut off while sending does not see the answer
        left -= len(piece)
    message = f"The request has more than {BODY_BYTES / 1e6:.0f} MB, the most that is taken: send fewer rows at once."
    return MlflowError(BAD_REQUEST, message, status=413).response({REQUEST_HEADER: _request_id(environ)})


def _request(environ: dict[str, Any], body: bytes) -> Request:
    headers = {name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name[:5] == "HTTP_"}
    headers["content-type"] = str(environ.get("CONTENT_TYPE") or "")
    return Request(
        method=environ["REQUEST_METHOD"],
        path=_text(environ.get("PATH_INFO", "")),
        query=parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True),
        headers=headers,
        body=body,
        user_arn="",
        request_id=_request_id(environ),
    )


def _request_id(environ: dict[str, Any]) -> str:
    """As the API in front says, so that its log and ours tell of the same request."""
    given = str(environ.get("HTTP_X_REQUEST_ID", ""))
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _text(native: str) -> str:
    """WSGI hands over bytes as if they were Latin-1."""
    return native.encode("latin-1").decode("utf-8", "replace")
