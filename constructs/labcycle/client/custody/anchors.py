"""Read the anchors from their bucket, with the reader's own credentials."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from labcycle.client.custody.material import AnchorObject
from labcycle.client.signing import CannotSign, region_of
from labcycle.config import names

PREFIX = "custody/"
_AT_ONCE = 16


class Unreadable(Exception):
    """The anchors may not be read, or are not there; the message says why."""


def anchors_of(team: str, address: str, bucket: str = "") -> list[AnchorObject]:
    """Every anchor of a team, by the credentials of the usual AWS chain. Raises `Unreadable`.

    Parameters
    ----------
    bucket
        Absent: the team's, in the account of the credentials and the region of the API at `address`.
    """
    try:
        session = boto3.Session()
        return read_anchors(session.client("s3"), bucket or _bucket_of(team, region_of(address), session))
    except ClientError as error:  # of STS
        raise Unreadable(f"the account of your credentials is not known: {error}") from None
    except (BotoCoreError, CannotSign) as error:
        raise Unreadable(str(error).rstrip(".")) from None


def read_anchors(s3: Any, bucket: str) -> list[AnchorObject]:
    """Every anchor that was ever written, also one that a delete marker hides. Raises `Unreadable`."""
    versions: dict[str, list[dict[str, Any]]] = {}
    hidden: set[str] = set()
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=PREFIX):
            for version in page.get("Versions", ()):
                versions.setdefault(version["Key"], []).append(version)
            hidden |= {marker["Key"] for marker in page.get("DeleteMarkers", ()) if marker["IsLatest"]}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda key: _first(s3, bucket, key, versions[key], key in hidden), sorted(versions)))
    except ClientError as error:
        said = error.response["Error"]
        raise Unreadable(f"s3://{bucket}/{PREFIX} answers {said.get('Code')}: {said.get('Message')}") from None


def _bucket_of(team: str, region: str, session: boto3.Session) -> str:
    account = session.client("sts", region_name=region).get_caller_identity()["Account"]
    return names.bucket(team, "anchors", account, region)


def _first(s3: Any, bucket: str, key: str, versions: list[dict[str, Any]], hidden: bool) -> AnchorObject:
    # S3 lists the newest first; https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    content = s3.get_object(Bucket=bucket, Key=key, VersionId=versions[-1]["VersionId"])["Body"].read()
    return AnchorObject(key, content.decode(errors="replace"), len(versions), hidden)
