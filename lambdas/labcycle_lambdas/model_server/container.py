"""The model server as a container of SageMaker: POST /invocations, and GET /ping by which its health is asked.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

from collections.abc import Callable

from labcycle_lambdas.envelope import ATTRIBUTES_HEADER, enclosed, told
from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.mlflow_error import BAD_REQUEST, MlflowError
from labcycle_lambdas.model_server.server import PAUSED_HEADER


def as_container(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Answers as SageMaker expects it. Requests that tell of another in their custom attributes get the answer to that one, in an
    envelope; others are as they are."""

    def answered(request: Request) -> Response:
        attributes = request.headers.get(ATTRIBUTES_HEADER)
        if attributes is not None and request.path == "/invocations":
            try:
                asked = told(request, attributes)
            except ValueError as error:
                return MlflowError(BAD_REQUEST, f"{error}; call the API of the model.").response()
            return _enveloped(answer(asked))
        response = answer(request)
        # Nothing is promoted yet, which is no fault of the container: it must be there before.
        return Response() if request.path == "/ping" and response.status == 404 else response

    return answered


def _enveloped(response: Response) -> Response:
    """What failed keeps its status, so that SageMaker counts it and takes a bad deployment back; a pause is meant."""
    failed = response.status >= 500 and PAUSED_HEADER not in response.all_headers
    return Response(
        response.status if failed else 200, enclosed(response), {"content-type": "application/octet-stream"}
    )
