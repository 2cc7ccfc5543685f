"""Calls of S3, with what a later try can cure told apart from what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

from labcycle_lambdas.ledger.table import Throttled

T = TypeVar("T")
# Without the right to list a bucket, S3 answers 403 for what is not there; KMS does for a key that is gone.
_GONE = {"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "404", "AccessDenied", "403"}
_LATER = {"OperationAborted", "RequestTimeout", "RequestTimeTooSkewed", "SlowDown", "ThrottlingException"}


def s3_call(work: Callable[[], T]) -> T:
    """What `work` gives. Raises `Throttled` where S3, or the key it asks, has no time now."""
    try:
        return work()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response["Error"]["Code"]
        if status in (429, 500, 502, 503, 504) or code.removeprefix("KMS.") in _LATER:
            raise Throttled(code) from error
        raise
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise Throttled(type(error).__name__) from error


def is_gone(error: ClientError) -> bool:
    """Whether S3 says that what was asked for is not there, or not for us."""
    return error.response["Error"]["Code"] in _GONE
