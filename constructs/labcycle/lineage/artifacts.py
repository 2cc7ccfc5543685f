"""Artifacts of runs: in S3 with the caller's own AWS credentials, or through the API, where the caller has a token."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import boto3
import urllib3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from labcycle.client.api import ApiError, TeamApi
from labcycle.errors import LabcycleError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}
_PROXIED = "mlflow-artifacts:"
_API = "/api/2.0/mlflow-artifacts"
_PART_BYTES = 64 * 1024**2


class ArtifactError(LabcycleError):
    """An artifact cannot be read or written; the message says which and why."""


class Artifacts:
    """Reads and writes files below `s3://` and `mlflow-artifacts:` addresses, as the API names them."""

    def __init__(self, api: TeamApi, pool: urllib3.PoolManager | None = None) -> None:
        self._api = api
        self._pool = pool or urllib3.PoolManager()

    def read(self, root: str, path: str) -> bytes | None:
        """One file, None where it is not there. Raises `ArtifactError`, `ApiError`."""
        uri = f"{root.rstrip('/')}/{path}" if path else root
        if uri.startswith(_PROXIED):
            try:
                url = str(self._api.call("GET", f"{_API}/presigned/{_plain(uri)}")["url"])
            except ApiError as error:
                if error.status == 404:
                    return None
                raise
            return self._send("GET", url, uri)[0]
        bucket, key = _place(uri)
        try:
            return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise ArtifactError(f"{uri} cannot be read: {error}") from None
        except BotoCoreError as error:
            raise ArtifactError(f"{uri} cannot be read: {error}") from None

    def paths(self, root: str) -> list[str]:
        """All files below an address, relative to it. Raises `ArtifactError`, `ApiError`."""
        if root.startswith(_PROXIED):
            return self._listed(_plain(root, encoded=False), "")
        bucket, prefix = _place(root)
        prefix = prefix.rstrip("/") + "/"
        try:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise ArtifactError(f"{root} cannot be listed: {error}") from None
        return [key.removeprefix(prefix) for key in keys if not key.endswith("/")]

    def download(self, root: str, folder: Path) -> list[str]:
        """All files below an address, into a folder; their paths. Raises `ArtifactError`, `ApiError`."""
        found = self.paths(root)
        for path in found:
            if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
                raise ArtifactError(f"{root}/{path} would leave the folder {folder}: it is not downloaded.")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(root, path) or b"")
        return found

    def write(self, root: str, path: str, content: bytes) -> None:
        """Raises `ArtifactError`, `ApiError`."""
        uri = f"{root.rstrip('/')}/{path}"
        if uri.startswith(_PROXIED):
            return self._upload(uri, [content], 1)
        bucket, key = _place(uri)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        except (ClientError, BotoCoreError) as error:
            raise ArtifactError(f"{uri} cannot be written: {error}") from None

    def upload(self, root: str, path: str, file: Path) -> None:
        """A file of any size, part by part. Raises `ArtifactError`, `ApiError`."""
        uri = f"{root.rstrip('/')}/{path}"
        try:
            if uri.startswith(_PROXIED):
                return self._upload_file(uri, file)
            bucket, key = _place(uri)
            self._s3.upload_file(str(file), bucket, key)
        except (Boto3Error, ClientError, BotoCoreError, OSError) as error:
            raise ArtifactError(f"{file} cannot be written to {uri}: {error}") from None

    def _upload_file(self, uri: str, file: Path) -> None:
        size = file.stat().st_size
        if size == 0:  # there are no empty parts
            self._api.call("PUT", f"{_API}/artifacts/{_plain(uri)}")
            return
        with file.open("rb") as content:
            self._upload(uri, iter(lambda: content.read(_PART_BYTES), b""), -(-size // _PART_BYTES))

    def _listed(self, folder: str, below: str) -> list[str]:
        found = []
        for file in self._api.call("GET", f"{_API}/artifacts", query={"path": folder}).get("files", []):
            path = f"{below}{file['path']}"
            if file.get("is_dir"):
                found += self._listed(f"{folder}/{file['path']}", f"{path}/")
            else:
                found.append(path)
        return found

    def _upload(self, uri: str, contents: Iterable[bytes], count: int) -> None:
        """In so many parts, since the API hands out addresses for parts; the bytes go straight to S3."""
        folder, file = _plain(uri).rpartition("/")[0], {"path": uri.rpartition("/")[2]}
        begun = self._api.call("POST", f"{_API}/mpu/create/{folder}", body={**file, "num_parts": count})
        parts = []
        for place, content in zip(begun["credentials"], contents, strict=True):
            _, etag = self._send("PUT", place["url"], uri, content)
            parts.append({"part_number": place["part_number"], "etag": etag, "url": place["url"]})
        done = {**file, "upload_id": begun["upload_id"], "parts": parts}
        self._api.call("POST", f"{_API}/mpu/complete/{folder}", body=done)

    def _send(self, method: str, url: str, uri: str, content: bytes | None = None) -> tuple[bytes, str]:
        """To S3, by an address that is signed already; what it answers, and the ETag."""
        try:
            answer = self._pool.request(method, url, body=content, timeout=60.0, retries=3)
        except urllib3.exceptions.HTTPError as error:
            raise ArtifactError(f"{uri}: S3 cannot be reached ({type(error).__name__})") from None
        if answer.status != 200:
            raise ArtifactError(f"{uri}: S3 answers {answer.status}")
        return answer.data, answer.headers.get("etag", "")

    @cached_property
    def _s3(self) -> S3Client:
        return boto3.client("s3")


def _plain(uri: str, *, encoded: bool = True) -> str:
    """The path behind the API, of `mlflow-artifacts:/path` and `mlflow-artifacts://host/path`."""
    rest = uri.removeprefix(_PROXIED)
    path = (rest[2:].partition("/")[2] if rest.startswith("//") else rest).strip("/")
    return quote(path) if encoded else path


def _place(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme != "s3" or not parts.netloc:
        raise ArtifactError(f"{uri[:200]} is neither in S3 nor behind the API: it cannot be read or written from here.")
    return parts.netloc, uri.partition(parts.netloc)[2].lstrip("/")
