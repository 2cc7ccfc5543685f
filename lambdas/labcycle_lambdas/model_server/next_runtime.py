"""The packages of the runtime that is deployed beside the first: in the image of a container, and on Lambda in an archive.

A function's code has no room for two of them, so that the archive is fetched once a sandbox, when a version needs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

import labcycle_lambdas
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.loading import NEXT_RUNTIME
from labcycle_lambdas.model_server.runnable import Unusable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FORBIDDEN = {"NoSuchKey", "404", "AccessDenied", "403"}
_CHUNK_BYTES = 1 << 20
_fetching = threading.Lock()


@dataclass(frozen=True)
class NextRuntime:
    """`folder` has the packages, and our own code, and an answer may take `seconds`. Where `bucket` is named, the folder is made from the
    archive `key`, whose bytes must hash to `sha256`."""

    digest: str
    folder: Path
    seconds: float
    bucket: str = ""
    key: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, deployed: Deployed, variables: Mapping[str, str] = os.environ) -> NextRuntime | None:
        """That in which this version is loaded; None where the first runtime loads it."""
        told = variables.get(NEXT_RUNTIME)
        found = json.loads(told) if told else {}
        if not found or found["digest"] != (deployed.runtime or {}).get("digest"):
            return None
        return cls(**{**found, "folder": Path(found["folder"])})

    def fetch(self, s3: S3Client) -> None:
        """Make the folder, where it is not there.

        Raises
        ------
        Unusable
            If the archive cannot be read, is another than was deployed, or has no room.
        Throttled
            If S3 asks for patience.
        """
        with _fetching:
            if self.folder.is_dir() or not self.bucket:
                return
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=self.folder.parent))
            try:
                with tempfile.TemporaryFile(dir=self.folder.parent) as archive:
                    self._download(s3, archive)
                    zipfile.ZipFile(archive).extractall(made)
                # The code that runs here; by the packages beside it, those of this process are not seen.
                (made / "labcycle_lambdas").symlink_to(Path(next(iter(labcycle_lambdas.__path__))).resolve())
                made.rename(self.folder)
            except (ClientError, ConnectionError, HTTPClientError, OSError, zipfile.BadZipFile) as error:
                raise _told(error) from error
            finally:
                shutil.rmtree(made, ignore_errors=True)

    def _download(self, s3: S3Client, to: IO[bytes]) -> None:
        digest = hashlib.sha256()
        for chunk in s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].iter_chunks(_CHUNK_BYTES):
            to.write(chunk)
            digest.update(chunk)
        if digest.hexdigest() != self.sha256:
            raise Unusable(
                "the packages of the next runtime are not those that were deployed; deploy the model's stack again"
            )


def _told(error: Exception) -> Exception:
    if isinstance(error, ConnectionError | HTTPClientError):
        return Throttled(f"S3: {type(error).__name__}")
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code not in _FORBIDDEN:
            return Throttled(f"S3: {code}")
        return Unusable(f"the packages of the next runtime cannot be read from their bucket ({code})")
    return Unusable(f"the packages of the next runtime cannot be unpacked: {error}")
