"""Empty and delete a bucket: all versions, delete markers and unfinished uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .account import Account
from .failure import StepFailed

_ROUNDS = 100  # access logs may arrive while the bucket is being emptied


@dataclass(frozen=True)
class Contents:
    """What a bucket holds.

    Parameters
    ----------
    versions
        Objects with all their versions.
    size_bytes
        Their sum.
    markers
        Marks of deleted objects.
    uploads
        Uploads that were begun and not finished.
    """

    versions: int = 0
    size_bytes: int = 0
    markers: int = 0
    uploads: int = 0

    def __str__(self) -> str:
        more = [f"{self.markers:,} delete markers"] * bool(self.markers)
        more += [f"{self.uploads:,} unfinished uploads"] * bool(self.uploads)
        return ", ".join([f"{self.versions:,} object versions, {self.size_bytes:,} bytes", *more])


def contents(account: Account, bucket: str) -> Contents:
    """Count what a bucket holds, a request for each 1,000 versions."""
    versions = size = markers = 0
    for page in _pages(account, bucket):
        versions += len(page.get("Versions", []))
        size += sum(version["Size"] for version in page.get("Versions", []))
        markers += len(page.get("DeleteMarkers", []))
    uploads = account.pages("s3", "list_multipart_uploads", "Uploads", Bucket=bucket)
    return Contents(versions, size, markers, len(uploads))


def remove_bucket(account: Account, bucket: str, say: Callable[[str], None]) -> str:
    """Empty a bucket and delete it. Objects under a governance lock are deleted too.

    Returns
    -------
    str
        Why it stays: objects that nobody can delete yet. Empty when it is gone.

    Raises
    ------
    StepFailed
        If S3 refuses to delete an object, and it is not for a lock in compliance mode.
    """
    s3 = account.client("s3")
    locked = _has_lock(account, bucket)
    for _ in range(_ROUNDS):
        for upload in account.pages("s3", "list_multipart_uploads", "Uploads", Bucket=bucket):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        refused = _empty(account, bucket, locked, say)
        if refused:
            return _why_it_stays(account, bucket, refused)
        try:
            s3.delete_bucket(Bucket=bucket)
            return ""
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                return ""
            if error.response["Error"]["Code"] != "BucketNotEmpty":
                raise
    raise StepFailed(f"bucket {bucket}", "objects arrive faster than they are deleted; find out who writes to it")


def _pages(account: Account, bucket: str) -> Iterator[dict[str, Any]]:
    yield from account.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)


def _empty(account: Account, bucket: str, locked: bool, say: Callable[[str], None]) -> list[dict[str, str]]:
    """Delete every version and marker; gives what S3 refused."""
    bypass = {"BypassGovernanceRetention": True} if locked else {}
    refused: list[dict[str, str]] = []
    deleted = 0
    for page in _pages(account, bucket):  # 1,000 at most, which is what one request deletes
        keys = [
            {"Key": one["Key"], "VersionId": one["VersionId"]}
            for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if keys:
            answer = account.client("s3").delete_objects(
                Bucket=bucket, Delete={"Objects": keys, "Quiet": True}, **bypass
            )
            refused += answer.get("Errors", [])
            deleted += len(keys) - len(answer.get("Errors", []))
            say(f"  {bucket}: {deleted:,} deleted")
    return refused


def _has_lock(account: Account, bucket: str) -> bool:
    try:
        found = account.client("s3").get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ObjectLockConfigurationNotFoundError":
            return False
        raise
    return bool(found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")


def _why_it_stays(account: Account, bucket: str, refused: list[dict[str, str]]) -> str:
    until = ""
    for error in refused:
        retention = _retention(account, bucket, error)
        if retention.get("Mode") != "COMPLIANCE":
            raise StepFailed(
                f"bucket {bucket}",
                f"S3 did not delete {len(refused):,} versions; the first is {error['Key']}: {error.get('Code')} "
                f"{error.get('Message', '')}".rstrip(" .")
                + ". You need s3:DeleteObjectVersion, for locked objects s3:BypassGovernanceRetention, and no legal hold on them",
            )
        until = max(until, f"{retention['RetainUntilDate']:%Y-%m-%d}")
    return f"{len(refused):,} versions are locked in compliance mode, the last until {until}: nobody can delete them before"


def _retention(account: Account, bucket: str, error: dict[str, str]) -> dict[str, Any]:
    try:
        version = {"VersionId": error["VersionId"]} if error.get("VersionId") else {}
        found: dict[str, Any] = account.client("s3").get_object_retention(Bucket=bucket, Key=error["Key"], **version)[
            "Retention"
        ]
    except ClientError:
        return {}
    return found
