"""Artifacts in S3: what the function lists, and how it fixes the bytes of a model version.

Clients read and write objects by themselves, with their own credentials; the function never touches content.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.ledger.registry import MAXIMUM_FILES, PinnedFile
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.mlflow_error import invalid

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THROTTLES = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "503"}
_LISTED_AT_ONCE = 1000


class ArtifactStore:
    """The artifacts of one team, below `s3://<bucket>/experiments`. `client` makes the S3 client when it is needed."""

    def __init__(self, client: Callable[[], S3Client], bucket: str) -> None:
        self._make = client
        self._bucket = bucket
        self.root = f"s3://{bucket}/experiments"

    def holds(self, location: str) -> bool:
        """Whether `location` lies below the team's root, and says so plainly."""
        rest = location.removeprefix(self.root + "/")
        return (
            rest != location
            and all(part not in ("", ".", "..") for part in rest.rstrip("/").split("/"))
            and "\0" not in rest
        )

    def listing(self, root: str, path: str, token: str) -> tuple[list[dict[str, Any]], str]:
        """Files and folders right below `root/path`, in MLflow's shape (paths relative to `root`), and the next page's token.

        Raises
        ------
        MlflowError
            If `path` leaves `root`.
        Throttled
            If S3 did not answer.
        """
        plain = path.strip("/")
        if path.startswith("/") or "\0" in path or any(part in (".", "..") for part in plain.split("/")):
            raise invalid("Invalid path")
        base = self._key(root) + "/"
        prefix = f"{base}{plain}/" if plain else base
        arguments: dict[str, Any] = {"StartAfter": token} if token else {}
        page = self._call(
            lambda: self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/", MaxKeys=_LISTED_AT_ONCE, **arguments
            )
        )
        files = [
            {"path": item["Key"].removeprefix(base), "is_dir": False, "file_size": item["Size"]}
            for item in page.get("Contents", [])
            if item["Key"] != prefix
        ]
        folders = [
            {"path": item["Prefix"].removeprefix(base).rstrip("/"), "is_dir": True}
            for item in page.get("CommonPrefixes", [])
        ]
        last = max(
            [item["Key"] for item in page.get("Contents", [])]
            # behind everything in the folder, so that it is not listed again
            + [item["Prefix"] + "\U0010ffff" for item in page.get("CommonPrefixes", [])],
            default="",
        )
        return sorted(files + folders, key=lambda file: str(file["path"])), last if page.get("IsTruncated") else ""

    def pin(self, location: str) -> list[PinnedFile]:
        """The current version of every object below `location`.

        Raises
        ------
        MlflowError
            If there is none, or there are more than 5,000.
        Throttled
            If S3 did not answer.
        """
        prefix = self._key(location) + "/"
        found: list[PinnedFile] = []
        marker: dict[str, Any] = {}
        while True:
            page = self._call(
                lambda: self._client.list_object_versions(Bucket=self._bucket, Prefix=prefix, **marker)  # noqa: B023
            )
            found += [
                PinnedFile(item["Key"].removeprefix(prefix), item["Key"], item["VersionId"], item["Size"])
                for item in page.get("Versions", [])
                if item["IsLatest"] and not item["Key"].endswith("/")
            ]
            if len(found) > MAXIMUM_FILES:
                raise invalid(
                    f"A model version can hold {MAXIMUM_FILES} files at most; there are more below {location}."
                )
            if not page.get("IsTruncated"):
                break
            marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        if not found:
            raise invalid(
                f"Unable to register the model: there are no files below {location}. A registered version fixes its bytes, "
                f"so log the model's files first."
            )
        return found

    def _key(self, location: str) -> str:
        return location.removeprefix(f"s3://{self._bucket}/").rstrip("/")

    @cached_property
    def _client(self) -> S3Client:
        return self._make()

    def _call(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except ClientError as error:
            if error.response["Error"]["Code"] in _THROTTLES:
                raise Throttled(error.response["Error"]["Code"]) from error
            raise
        except (ConnectionError, HTTPClientError) as error:
            raise Throttled(type(error).__name__) from error
