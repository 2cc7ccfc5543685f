"""The bucket, as far as batches use it. Everything raises `Throttled` where S3 asks for patience."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 1 << 20
_NOT_THERE = {"NoSuchKey", "404"}


class TooLarge(Exception):
    """The object has more bytes than are taken."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True)
class Content:
    """Bytes in the bucket. `size` in bytes."""

    key: str
    sha256: str
    size: int

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Store:
    s3: S3Client
    bucket: str

    def names(self, prefix: str) -> list[str]:
        """What lies below a prefix, without it, in the order of the keys; placeholders of folders left out."""
        return sorted(s3_call(lambda: list(self._names(prefix))))

    def _names(self, prefix: str) -> Iterator[str]:
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                if not found["Key"].endswith("/"):
                    yield found["Key"].removeprefix(prefix)

    def document(self, key: str) -> dict[str, Any] | None:
        """A JSON document; None where there is none."""
        try:
            text = s3_call(lambda: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise
        document: dict[str, Any] = json.loads(text)
        return document

    def keep(self, key: str, document: Mapping[str, Any]) -> None:
        body = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()
        s3_call(lambda: self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json"))

    def download(self, key: str, file: Path, *, most_bytes: int) -> Content | None:
        """Fetch an object into `file`; None where there is none.

        Raises
        ------
        TooLarge
            If it has more than `most_bytes`.
        """
        try:
            return s3_call(lambda: self._download(key, file, most_bytes))
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise

    def _download(self, key: str, file: Path, most_bytes: int) -> Content:
        answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        if answer["ContentLength"] > most_bytes:
            raise TooLarge(answer["ContentLength"])
        digest, size = hashlib.sha256(), 0
        with file.open("wb") as out:
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                digest.update(chunk)
                size += out.write(chunk)
        return Content(key, digest.hexdigest(), size)

    def put(self, key: str, content: bytes) -> None:
        """Put compressed lines."""
        s3_call(lambda: self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType="application/gzip"))

    def upload(self, file: Path, key: str) -> Content:
        """Put a file of JSON lines, whole or not at all."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()

        def put() -> None:
            with file.open("rb") as body:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/jsonl")

        s3_call(put)
        return Content(key, digest, file.stat().st_size)
