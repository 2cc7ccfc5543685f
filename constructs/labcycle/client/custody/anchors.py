"""Read the anchors from their bucket, with the reader's own credentials."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from labcycle.client.custody.material import AnchorObject
from labcycle.config import names

PREFIX = "custody/"
_AT_ONCE = 16
_API = re.compile(r"[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")


class Unreadable(Exception):
    """The anchors may not be read, or are not there; the message says why."""


def region_of(address: str, session: Any) -> str:
    """The region of the API at `address`; of the session, where the address does not tell."""
    match = _API.fullmatch(urlsplit(address).hostname or "")
    return str(match[1] if match else session.region_name)


def bucket_of(team: str, address: str, session: Any) -> str:
    """The name of a team's anchor bucket, in the account of the credentials and the region of the API at `address`."""
    region = region_of(address, session)
    account = session.client("sts", region_name=region).get_caller_identity()["Account"]
    return names.bucket(team, "anchors", account, region)


def read_anchors(s3: Any, bucket: str) -> list[AnchorObject]:
    """Every anchor that was ever written, also one that a delete marker hides. Raises `Unreadable`."""
    from botocore.exceptions import ClientError

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


def _first(s3: Any, bucket: str, key: str, versions: list[dict[str, Any]], hidden: bool) -> AnchorObject:
    # S3 lists the newest first; https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    content = s3.get_object(Bucket=bucket, Key=key, VersionId=versions[-1]["VersionId"])["Body"].read()
    return AnchorObject(key, content.decode(errors="replace"), len(versions), hidden)
