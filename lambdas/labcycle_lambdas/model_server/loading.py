"""Fetch a deployed version from S3 and load it, but only if its bytes are those that were promoted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.flavours import ONNX, load_here, module_of
from labcycle_lambdas.model_server.runnable import Runnable, Unusable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from labcycle_lambdas.model_server.next_runtime import NextRuntime

_GONE = {"NoSuchKey", "NoSuchVersion", "404", "AccessDenied", "403"}
NEXT_RUNTIME = "NEXT_RUNTIME"  # the variable that tells of it


def import_at_start() -> None:
    """Import the libraries of the function's flavour where it starts, when Lambda gives it a processor for that. What is not there
    is told when a version is loaded."""
    with suppress(Unusable):
        module_of(os.environ.get("FLAVOUR", ONNX))


def graph_of(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Runnable:
    """A version, ready to predict, of files that `read` gives: in this process, or apart where it belongs to the next runtime, whose
    packages are there. Raises `Unusable` where it cannot be run."""
    beside = _next_runtime(deployed)
    if beside is None:
        return load_here(deployed, read)
    from labcycle_lambdas.model_server.apart import Apart

    return Apart(deployed, read, beside.folder, answer_seconds=beside.seconds)


def _next_runtime(deployed: Deployed) -> NextRuntime | None:
    """That in which this version is loaded; None where the first one loads it. Most servers have none, and do not even load what
    runs a version apart."""
    if NEXT_RUNTIME not in os.environ:
        return None
    from labcycle_lambdas.model_server.next_runtime import NextRuntime

    return NextRuntime.of(deployed)


def fetch_packages(deployed: Deployed, s3: S3Client) -> None:
    """Have the packages at hand with which this version is loaded, where they are no part of the code. Raises `Unusable`, `Throttled`."""
    if beside := _next_runtime(deployed):
        beside.fetch(s3)


@dataclass(frozen=True)
class Loader:
    """Loads versions from `bucket`."""

    s3: S3Client
    bucket: str

    def __call__(self, deployed: Deployed) -> Runnable:
        """This version, ready to predict.

        Raises
        ------
        Unusable
            If the bytes are gone or are not those that were promoted, or cannot be run.
        Throttled
            If S3 asks for patience.
        """
        fetch_packages(deployed, self.s3)
        return graph_of(deployed, self.reading(deployed))

    def reading(self, deployed: Deployed) -> Callable[[DeployedFile], bytes]:
        """What gives the bytes of the version's files. Raises as the call does."""
        return lambda file: self._fetch(deployed.version, file)

    def _fetch(self, version: int, file: DeployedFile) -> bytes:
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=file.key, VersionId=file.version_id)
            data = answer["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise Unusable(f"version {version}: the file {file.path} cannot be read from the bucket") from error
            raise Throttled(f"S3: {error.response['Error']['Code']}") from error
        except (ConnectionError, HTTPClientError) as error:
            raise Throttled(f"S3: {type(error).__name__}") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != file.sha256:
            raise Unusable(
                f"version {version}: the bytes of {file.path} have the SHA-256 {digest[:16]}..., promoted was "
                f"{file.sha256[:16]}...; they are not loaded. Promote a version whose files are whole."
            )
        return data
