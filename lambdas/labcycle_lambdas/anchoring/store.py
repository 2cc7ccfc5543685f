"""The anchors in their bucket: one object a number, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "custody/"
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
_MISSING = {"NoSuchKey", "AccessDenied"}  # the latter is S3's answer to who may not list


class Taken(Exception):
    """An anchor of that number is there already."""


def key_of(number: int) -> str:
    return f"{PREFIX}{number:010d}.json"


class AnchorStore:
    """The bucket locks each object by its default retention; a number that is taken is never written again."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def read(self, number: int) -> bytes | None:
        """The bytes of an anchor; None where it is not to be had."""
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key_of(number))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise

    def write(self, number: int, content: bytes) -> None:
        """Raises `Taken`."""
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key_of(number),
                Body=content,
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",  # a lock needs one
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                raise Taken(key_of(number)) from None
            raise
