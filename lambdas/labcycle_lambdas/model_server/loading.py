"""Fetch a deployed version from S3 and load it, but only if its bytes are those that were promoted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.ledger.deployments import Deployed, DeployedFile
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.graph import Graph, Unusable
from labcycle_lambdas.model_server.model_files import loaded_files
from labcycle_lambdas.model_server.schema import Schema

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GONE = {"NoSuchKey", "NoSuchVersion", "404", "AccessDenied", "403"}


def graph_of(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Graph:
    """The graph of a version, ready to predict, of files that `read` gives. Raises `Unusable` where it cannot be run."""
    folder = PurePosixPath(deployed.model_file.path).parent
    _, *weights = loaded_files(deployed)
    external = {str(PurePosixPath(file.path).relative_to(folder)): read(file) for file in weights}
    schema = Schema.from_doc(deployed.signature["inputs"]) if deployed.signature else None
    return Graph(read(deployed.model_file), schema, external)


@dataclass(frozen=True)
class Loader:
    """Loads versions from `bucket`."""

    s3: S3Client
    bucket: str

    def __call__(self, deployed: Deployed) -> Graph:
        """The graph of this version, ready to predict.

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
