"""Artifacts of runs in S3, with the caller's own AWS credentials."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from labcycle.errors import LabcycleError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}


class ArtifactError(LabcycleError):
    """An artifact cannot be read or written; the message says which and why."""


class Artifacts:
    """Reads and writes below `s3://` addresses."""

    def read(self, root: str, path: str) -> bytes | None:
        """One file, None where it is not there. Raises `ArtifactError`."""
        bucket, key = _place(f"{root.rstrip('/')}/{path}" if path else root)
        try:
            return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise ArtifactError(f"s3://{bucket}/{key} cannot be read: {error}") from None
        except BotoCoreError as error:
            raise ArtifactError(f"s3://{bucket}/{key} cannot be read: {error}") from None

    def paths(self, root: str) -> list[str]:
        """All files below an address, relative to it. Raises `ArtifactError`."""
        bucket, prefix = _place(root)
        prefix = prefix.rstrip("/") + "/"
        try:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise ArtifactError(f"s3://{bucket}/{prefix} cannot be listed: {error}") from None
        return [key.removeprefix(prefix) for key in keys if not key.endswith("/")]

    def download(self, root: str, folder: Path) -> list[str]:
        """All files below an address, into a folder; their paths. Raises `ArtifactError`."""
        found = self.paths(root)
        for path in found:
            if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
                raise ArtifactError(f"{root}/{path} would leave the folder {folder}: it is not downloaded.")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(root, path) or b"")
        return found

    def write(self, root: str, path: str, content: bytes) -> None:
        """Raises `ArtifactError`."""
        bucket, key = _place(f"{root.rstrip('/')}/{path}")
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        except (ClientError, BotoCoreError) as error:
            raise ArtifactError(f"s3://{bucket}/{key} cannot be written: {error}") from None

    @cached_property
    def _s3(self) -> S3Client:
        return boto3.client("s3")


def _place(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme != "s3" or not parts.netloc:
        raise ArtifactError(f"{uri[:200]} is not in S3: only s3:// addresses are read and written.")
    return parts.netloc, uri.partition(parts.netloc)[2].lstrip("/")
