"""From an event of API Gateway to its answer: what fails is told in MLflow's shape and codes, and each request leaves one line of log.

A line has no payload: method, the beginning of the path, status, caller, milliseconds, AWS calls, request id.
"""

from __future__ import annotations

import gc
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session

from labcycle_lambdas.embedded_metric import metric_line
from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.errors import AlreadyExists, InUse, NotFound, Refused
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.mlflow_error import (
    INTERNAL_ERROR,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    MlflowError,
    invalid,
)

THROTTLED = "Throttled"  # the metric: answers with 429 that the ledger or the function gave, which the API's 4xx hides
# All tries of a call together end well before API Gateway gives up at 30 s: a 504 would be retried for minutes by MLflow's client.
PATIENCE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
# What botocore would do for each call again takes as long as the rest: it composes its name, and checks what `Table` sends,
# which makes its keys and items itself.
LEDGER = PATIENCE.merge(Config(parameter_validation=False, user_agent="labcycle"))
_SEGMENTS = 6
_calls = 0


def client(service: str, config: Config | None = None, session: Session | None = None) -> Any:
    """A client of AWS whose calls are counted. Made without boto3, which loads much that only its transfers need: a tenth of a
    cold start. What clients of one `session` have in common is loaded once: another tenth."""
    made = (session or get_session()).create_client(service, config=config)
    made.meta.events.register("before-send", _count)
    return made


def settle() -> None:
    """To be called when a sandbox of Lambda has made what it keeps. The garbage collector need not look through it, and the
    libraries, again and again, nor through the records of a search while they are made: what a request makes goes without
    its help. Elsewhere the process belongs to somebody else."""
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        gc.freeze()
        gc.set_threshold(50_000)


def respond(
    event: Mapping[str, Any], function: str, team: Callable[[], str], answer: Callable[[Request], Response]
) -> dict[str, Any]:
    """The answer to an event, whatever happens; `function` is named where it fails."""
    global _calls
    _calls, began = 0, time.perf_counter()
    request = Request.from_event(event)
    try:
        response = answer(request)
        said = response.to_event()
    except Exception:  # noqa: BLE001 - ours: the log has the trace, the caller its shape
        print(json.dumps({"level": "ERROR", "request_id": request.request_id, "trace": traceback.format_exc()}))
        message = f"The {function} failed; its log has the cause under request {request.request_id}."
        response = MlflowError(INTERNAL_ERROR, message).response()
        said = response.to_event()
    line = {
        "level": "INFO",
        "method": request.method,
        "path": "/".join(request.path.split("/", _SEGMENTS)[:_SEGMENTS])[:200],
        "status": response.status,
        "caller": request.caller,
        "milliseconds": round((time.perf_counter() - began) * 1000, 1),
        "aws_calls": _calls,
        "request_id": request.request_id,
    }
    print(json.dumps(line))
    if response.status == 429:
        print(metric_line(team(), THROTTLED, 1, "Count", datetime.now(UTC)))
    return said


def answered(answer: Callable[[], Response]) -> Response:
    """The answer, mistakes of the caller and what the ledger refuses included."""
    try:
        return answer()
    except MlflowError as error:
        return error.response()
    except NotFound as error:
        return MlflowError(RESOURCE_DOES_NOT_EXIST, str(error)).response()
    except AlreadyExists as error:
        return MlflowError(RESOURCE_ALREADY_EXISTS, str(error)).response()
    except Refused as error:
        return invalid(str(error)).response()
    except InUse as error:
        return MlflowError(RESOURCE_CONFLICT, str(error)).response()
    except Throttled as error:
        return MlflowError(REQUEST_LIMIT_EXCEEDED, f"The ledger is busy, try again: {error}").response()


def _count(**_: object) -> None:
    global _calls
    _calls += 1
