"""Artifacts in S3: what the function lists and hides, where it sends those who want bytes, and how it fixes a version's.

The function never touches content: who signs requests reads and writes objects with their own credentials, all others
through addresses that the function signs.
"""

from __future__ import annotations

import json
import posixpath
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.config import Config
from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.registry import MAXIMUM_FILES, PinnedFile
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What an S3 client needs whose addresses others use: the bucket's key asks for Signature Version 4, the endpoint of the
# region answers at once where the global one redirects for hours after a bucket was made, and a checksum that botocore
# computed of nothing would not be the file's.
SIGNING = Config(
    signature_version="s3v4",
    s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    request_checksum_calculation="when_required",
)
PROXIED = "mlflow-artifacts:/"  # of MLflow's scheme for roots behind the API
URL_SECONDS = 300
PART_SECONDS = 43_200  # the client gets the addresses of all parts at once, and no others
MOST_PARTS = 10_000
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_LISTED = 20_000
_KEY_BYTES = 1024
_ANSWER_BYTES = 5_500_000  # of Lambda's 6 MB
_FIELDS_BYTES = 60  # of a file or a part in an answer, beside its name or address
_LISTED_AT_ONCE = 1000
_UPLOAD = "upload"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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

    def stored(self, location: str) -> str:
        """A location as the ledger keeps it: in S3, also where it was given as one behind the API."""
        match = re.fullmatch(rf"{PROXIED}(?://)?([^/].*)", location, re.DOTALL)
        return f"{self.root}/{match[1]}" if match else location

    def proxied(self, location: str) -> str:
        """A location for those who have no credentials of AWS: behind the API, where it lies below the team's root."""
        rest = location.removeprefix(self.root + "/")
        return location if rest == location else PROXIED + rest

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
        page = s3_call(
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

    def whole_listing(self, path: str) -> list[dict[str, Any]]:
        """As `listing` below the team's root, all pages: MLflow's client asks for no second one.

        Raises
        ------
        MlflowError
            Also if there are more than 20,000 files and folders, or their names do not fit into one answer.
        """
        found: list[dict[str, Any]] = []
        size, token = 0, ""
        while True:
            files, token = self.listing(self.root, path, token)
            found += files
            size += sum(len(json.dumps(posixpath.basename(file["path"]))) + _FIELDS_BYTES for file in files)
            if len(found) > MOST_LISTED or size > _ANSWER_BYTES:
                raise invalid(
                    f"The folder '{path[:200]}' holds more than one answer can name: at most {MOST_LISTED} files and folders, "
                    f"fewer where names are long. Log into sub-folders."
                )
            if not token:
                return found

    def size(self, location: str) -> int:
        """Bytes of the object at `location`. Raises `NotFound`, `Throttled`."""
        key = self._key(location)
        # A list, not a HEAD: that answers 403 instead of 404 to who may list only below a prefix.
        page = s3_call(lambda: self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1))
        for item in page.get("Contents", []):
            if item["Key"] == key:
                return int(item["Size"])
        raise NotFound(f"No such artifact: '{location.removeprefix(self.root + '/')}'")

    def download_url(self, location: str, *, version_id: str = "", seconds: int = URL_SECONDS) -> str:
        """Where the object at `location` can be read for so long. It need not be there."""
        version = {"VersionId": version_id} if version_id else {}
        # A browser keeps it as a file, and never shows a page that somebody logged.
        asked = {
            "Bucket": self._bucket,
            "Key": self._key(location),
            "ResponseContentDisposition": "attachment",
            **version,
        }
        return self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)

    def upload_url(self, location: str, *, seconds: int = URL_SECONDS) -> str:
        """Where an object can be put to `location` for so long; the bucket encrypts it with its own key."""
        asked = {"Bucket": self._bucket, "Key": self._new_key(location)}
        return self._client.generate_presigned_url("put_object", Params=asked, ExpiresIn=seconds)

    def put(self, location: str, content: bytes, content_type: str) -> None:
        """Write a small object. Raises `Throttled`."""
        key = self._new_key(location)
        s3_call(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type))

    def begin_upload(self, location: str, parts: int) -> tuple[str, list[str]]:
        """The identifier of a new multipart upload, and where each of its parts can be put.

        Raises
        ------
        MlflowError
            If the addresses of so many parts do not fit into one answer.
        Throttled
            If S3 did not answer.
        """
        key = self._new_key(location)
        # The mark is on the object, so that a completion that is repeated knows the object for its own.
        mark = uuid.uuid4().hex
        longest = self._part_url(key, "u" * 200, MOST_PARTS)
        if (most := _ANSWER_BYTES // (len(longest) + _FIELDS_BYTES)) < parts:
            raise invalid(
                f"{parts} parts are more than one answer can carry; {most} are possible for this path. Set "
                f"MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE to a larger number of bytes."
            )
        upload = s3_call(
            lambda: self._client.create_multipart_upload(Bucket=self._bucket, Key=key, Metadata={_UPLOAD: mark})
        )["UploadId"]
        return f"{mark}.{upload}", [self._part_url(key, upload, number) for number in range(1, parts + 1)]

    def complete_upload(self, location: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Make the object of its parts (number, ETag); once more, where that was done already.

        Raises
        ------
        NotFound
            If there is no such upload.
        MlflowError
            If the parts are not what was uploaded.
        Throttled
            If S3 did not answer.
        """
        key = self._key(location)
        mark, _, upload = upload_id.partition(".")
        listed: Any = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        try:
            s3_call(
                lambda: self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload or "none", MultipartUpload={"Parts": listed}
                )
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchUpload":
                if self._is_of_upload(key, mark):
                    return
                raise _no_upload(upload_id) from None
            if code in ("EntityTooSmall", "InvalidPart", "InvalidPartOrder", "InvalidRequest", "MalformedXML"):
                raise invalid(f"The upload cannot be completed: {error.response['Error']['Message']}") from None
            raise

    def abort_upload(self, location: str, upload_id: str) -> None:
        """Give up an upload and its parts. One that is over already is no error. Raises `Throttled`."""
        key, upload = self._key(location), upload_id.partition(".")[2]
        try:
            s3_call(
                lambda: self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload or "none")
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise

    def hide(self, location: str) -> None:
        """Put a delete marker over the object at `location` and all below it: every version stays in the bucket.

        Raises
        ------
        MlflowError
            If there are more than 20,000.
        Throttled
            If S3 did not answer.
        """
        keys = list(self._keys(self._key(location)))
        for start in range(0, len(keys), _LISTED_AT_ONCE):
            objects: Any = [{"Key": key} for key in keys[start : start + _LISTED_AT_ONCE]]
            said = s3_call(
                lambda: self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})  # noqa: B023
            )
            if errors := said.get("Errors"):
                raise Throttled(f"S3 did not hide {len(errors)} objects: {errors[0].get('Code')}")

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
            page = s3_call(
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

    def _keys(self, key: str) -> Iterator[str]:
        """`key` and what lies below it."""
        count = 0
        for prefix in (key, f"{key}/"):
            marker: dict[str, Any] = {}
            while True:
                page = s3_call(
                    lambda: self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **marker)  # noqa: B023
                )
                for item in page.get("Contents", []):
                    if item["Key"] == key or prefix != key:
                        count += 1
                        yield item["Key"]
                if count > MOST_LISTED:
                    raise invalid(f"There are more than {MOST_LISTED} files; delete folder by folder.")
                if prefix == key or not page.get("IsTruncated"):
                    break
                marker = {"ContinuationToken": page["NextContinuationToken"]}

    def _is_of_upload(self, key: str, mark: str) -> bool:
        try:
            head = s3_call(lambda: self._client.head_object(Bucket=self._bucket, Key=key))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return False
            raise
        return bool(head["Metadata"].get(_UPLOAD) == mark)

    def _part_url(self, key: str, upload: str, number: int) -> str:
        asked = {"Bucket": self._bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        return self._client.generate_presigned_url("upload_part", Params=asked, ExpiresIn=PART_SECONDS)

    def _new_key(self, location: str) -> str:
        key = self._key(location)
        if (length := len(key.encode())) > _KEY_BYTES:
            raise invalid(f"The path is too long: its key in S3 has {length} bytes, at most {_KEY_BYTES} are possible.")
        return key

    def _key(self, location: str) -> str:
        return location.removeprefix(f"s3://{self._bucket}/").rstrip("/")

    @cached_property
    def _client(self) -> S3Client:
        return self._make()


def plain_path(path: str) -> str:
    """A path of an artifact, relative to some root, without the slash at its end.

    Raises
    ------
    MlflowError
        If it leaves its root however often it is decoded, has empty segments or control characters, or is empty.
    """
    decoded = path
    for _ in range(10):
        if (once := unquote(decoded)) == decoded:
            break
        decoded = once
    plain = path.removesuffix("/")
    if (
        any(part in ("", ".") for part in plain.split("/"))
        or ".." in re.split(r"[/\\]", decoded)
        or _CONTROL.search(decoded)
    ):
        raise invalid("Invalid path")
    return plain


def _no_upload(upload_id: str) -> NotFound:
    return NotFound(
        f"There is no upload {upload_id[:100]!r} under this path: it was completed, aborted, or gave up after some days."
    )
