"""MLflow's request-auth entry point: `MLFLOW_TRACKING_AUTH=labcycle` signs every call of the stock client, or sends it with a
fresh token where labcycle.client.bearer knows a command for one.

MLflow's own signer (`MLFLOW_TRACKING_AWS_SIGV4`) drops repeated query parameters and signs `+` where AWS reads %20, so
that API Gateway refuses every search with a filter. Nothing of MLflow is imported here: it finds this class by its entry
point and asks it for an object that `requests` can call.
"""

from __future__ import annotations

import os
from typing import Any

from labcycle.client import bearer
from labcycle.client.signing import canonical_url, sign

NAME = "labcycle"
_SIGNATURE_HEADERS = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256")


class LabcycleAuthProvider:
    """What MLflow's registry of request-auth providers expects."""

    def get_name(self) -> str:
        return NAME

    def get_auth(self) -> SignedRequest | bearer.TokenRequest:
        return bearer.TokenRequest() if os.environ.get(bearer.COMMAND) else SignedRequest()


class SignedRequest:
    """An auth object of `requests`: called with each prepared request just before it is sent, once for all its retries."""

    def __call__(self, request: Any) -> Any:
        request.url = canonical_url(request.url)
        body = request.body
        if isinstance(body, str):
            body = body.encode()
        elif body is not None and not isinstance(body, bytes) and not hasattr(body, "seek"):
            body = request.body = b"".join(body)  # a stream cannot be read twice: for its digest and to be sent
            request.headers.pop("Transfer-Encoding", None)
            request.headers["Content-Length"] = str(len(body))
        content_type = request.headers.get("Content-Type")
        signed = sign(request.method, request.url, {"Content-Type": content_type} if content_type else {}, body)
        request.headers.update(signed)
        request.register_hook("response", _forget_signature)
        return request


def _forget_signature(response: Any, *args: object, **kwargs: object) -> None:
    """Another host refuses a presigned request that carries our headers too."""
    if response.is_redirect:
        for name in _SIGNATURE_HEADERS:
            response.request.headers.pop(name, None)
