"""Fetch a deployed version from S3 and load it, but only if its bytes are those that were promoted."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.ledger.deployments import Deployed, DeployedFile
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.runnable import Runnable, Unusable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GONE = {"NoSuchKey", "NoSuchVersion", "404", "AccessDenied", "403"}


ONNX = "onnx"
_MODULES = {
    ONNX: "labcycle_lambdas.model_server.graph",
    "sklearn": "labcycle_lambdas.model_server.sklearn_model",
    "xgboost": "labcycle_lambdas.model_server.xgboost_model",
    "lightgbm": "labcycle_lambdas.model_server.lightgbm_model",
    "pyfunc": "labcycle_lambdas.model_server.pyfunc_model",
}


def import_at_start() -> None:
    """Import the libraries of the function's flavour where it starts, when Lambda gives it a processor for that. What is not there
    is told when a version is loaded."""
    with suppress(Unusable):
        _module(os.environ.get("FLAVOUR", ONNX))


def _module(flavour: str) -> Any:
    try:
        return importlib.import_module(_MODULES[flavour])
    except ImportError as error:
        raise Unusable(
            f"the server has not what the flavour {flavour} needs ({error}): the runtime of the model in the team file is another"
        ) from error


def graph_of(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Runnable:
    """A version, ready to predict, of files that `read` gives. Raises `Unusable` where it cannot be run."""
    loaded: Runnable = _module((deployed.runtime or {}).get("flavour", ONNX)).load(deployed, read)
    return loaded


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
        return graph_of(deployed, lambda file: self._fetch(deployed.version, file))

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
