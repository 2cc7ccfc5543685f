"""The bucket, as far as outcomes use it. Everything raises `Throttled` where S3 asks for patience."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.table import Changed
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.outcomes.claims import Known
from labcycle_lambdas.outcomes.prediction_id import Window
from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BEGINS = b'{"row":'  # each line of joined rows
_NOT_THERE = {"NoSuchKey", "404"}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_OTHERS_WERE_FASTER = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


@dataclass(frozen=True)
class Incoming:
    """An object with outcomes, as it lies in the bucket. `name` is its key below the folder."""

    key: str
    name: str
    etag: str
    arrived: datetime
    size: int

    @property
    def id(self) -> str:
        """The same as long as the object is not overwritten by another content."""
        return hashlib.sha256(f"{self.key}\n{self.etag}".encode()).hexdigest()[:16]

    @property
    def arrived_at(self) -> str:
        return stamp(self.arrived)


@dataclass(frozen=True)
class Joined:
    """The rows of a window whose outcomes are known, as lines; `etag` is what they were read with, "" where there are none yet."""

    lines: dict[int, bytes]
    etag: str = ""

    def row(self, number: int) -> Known:
        return Known.from_doc(json.loads(self.lines[number]))


def folder(model: str) -> str:
    """Where the incoming objects of a model lie in the artifact bucket."""
    return f"outcomes/{model}/in/"


@dataclass(frozen=True)
class Store:
    s3: S3Client
    bucket: str
    model: str

    def incoming(self) -> list[Incoming]:
        """The objects that are there, what arrived first first; placeholders of folders left out."""
        return sorted(s3_call(self._incoming), key=lambda one: (one.arrived, one.key))

    def _incoming(self) -> list[Incoming]:
        prefix = folder(self.model)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [
            Incoming(one["Key"], one["Key"].removeprefix(prefix), one["ETag"], one["LastModified"], one["Size"])
            for page in pages
            for one in page.get("Contents", ())
            if not one["Key"].endswith("/")
        ]

    def content(self, incoming: Incoming) -> bytes | None:
        """What the object holds; None where it is not there any more, or another one is in its place."""
        try:
            return s3_call(
                lambda: self.s3.get_object(Bucket=self.bucket, Key=incoming.key, IfMatch=incoming.etag)["Body"].read()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE | _OTHERS_WERE_FASTER:
                return None
            raise

    def log(self, window: Window) -> list[bytes] | None:
        """The lines of a window of the prediction log; None where there is none."""
        found = self._lines(window.log_key(self.model))
        return None if found is None else found[0]

    def joined(self, window: Window) -> Joined:
        found = self._lines(window.joined_key(self.model))
        if found is None:
            return Joined({})
        lines, etag = found
        return Joined({int(line[len(_BEGINS) : line.index(b",")]): line for line in lines}, etag)

    def keep_joined(self, window: Window, rows: Iterable[Known], over: Joined) -> None:
        """Write these rows of a window besides the others. Raises `Changed` where somebody else did since `over` was read."""
        lines = over.lines | {row.row: _line(row.to_doc()) for row in rows if row.claims}
        body = gzip.compress(b"\n".join(lines[number] for number in sorted(lines)) + b"\n", 5, mtime=0)
        condition: Any = {"IfMatch": over.etag} if over.etag else {"IfNoneMatch": "*"}
        try:
            s3_call(
                lambda: self.s3.put_object(
                    Bucket=self.bucket,
                    Key=window.joined_key(self.model),
                    Body=body,
                    ContentType="application/jsonl",
                    ContentEncoding="gzip",
                    **condition,
                )
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _OTHERS_WERE_FASTER | _NOT_THERE:
                raise Changed(window.name) from None
            raise

    def keep_rejected(self, incoming: Incoming, rejected: Sequence[Mapping[str, Any]]) -> str:
        """Write which rows of an object came to nothing, and why; the key."""
        key = f"outcomes/{self.model}/rejected/{incoming.name}.jsonl"
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected)
        s3_call(
            lambda: self.s3.put_object(
                Bucket=self.bucket, Key=key, Body=lines.encode(), ContentType="application/jsonl"
            )
        )
        return key

    def take_away(self, incoming: Incoming) -> None:
        """Delete an object that is taken in, unless it was overwritten meanwhile; as the bucket has versions, its content stays."""
        try:
            s3_call(lambda: self.s3.delete_object(Bucket=self.bucket, Key=incoming.key, IfMatch=incoming.etag))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OTHERS_WERE_FASTER | _NOT_THERE:
                raise

    def _lines(self, key: str) -> tuple[list[bytes], str] | None:
        def read() -> tuple[bytes, str]:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
            return answer["Body"].read(), answer["ETag"]

        try:
            body, etag = s3_call(read)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise
        return gzip.decompress(body).splitlines(), etag


def _line(doc: Mapping[str, Any]) -> bytes:
    return json.dumps(doc, separators=(",", ":"), ensure_ascii=False).encode()
