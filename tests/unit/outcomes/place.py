"""A team's bucket and table in moto, with a prediction log and files of outcomes in it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from moto.core.botocore_stubber import MockRawResponse

from labcycle_lambdas.ledger.outcomes import Day, Outcomes
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.sums import Kind, Row, Sums
from labcycle_lambdas.outcomes.taking_in import Taken, take_in
from tests.unit.ledger.conftest import NAME, Faults

MODEL, BUCKET = "card-fraud", "artifacts"
NOW = datetime.now(UTC) + timedelta(days=1)  # S3 in moto dates by the clock; its objects must be of the past
START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


class Crash(BaseException):
    """The function is gone."""


class Place:
    def __init__(self, dynamodb: Any, faults: Faults) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=20)
        self.s3 = boto3.client(
            "s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s", config=config
        )
        where: Any = {"LocationConstraint": "eu-west-1"}
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.faults = faults
        self.table = Table(dynamodb, NAME)
        self.outcomes = Outcomes(self.table)
        self.model = MODEL
        self._names = count()

    def store(self) -> Store:
        return Store(self.s3, BUCKET, self.model)

    def anew(self) -> None:
        """Another model, of which nothing is known."""
        self.model = f"model-{uuid4().hex}"

    def log(self, version: int, name: str, lines: Sequence[Mapping[str, Any]]) -> str:
        """A window of the prediction log, as the model server writes it; `<version>-<window id>`."""
        text = "".join(
            json.dumps({"row": row, "request": f"r-{row}", "at": "2026-03-01T10:00:07Z", **line}) + "\n"
            for row, line in enumerate(lines)
        )
        key = f"predictions/{self.model}/{version}/{name}.jsonl.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(text.encode()))
        return f"{version}-{name}"

    def send(self, rows: Iterable[Mapping[str, Any]], name: str = "") -> str:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        return self.put(name or f"{next(self._names):04d}.jsonl", text)

    def put(self, name: str, text: str) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=f"outcomes/{self.model}/in/{name}", Body=text.encode())
        return name

    def slow_down(self, operation: str, *calls: int) -> None:
        """Let S3 ask for patience."""

        def strike(request: Any, carry_out: Callable[[], Any]) -> Any:
            body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            return AWSResponse(request.url, 503, HTTPHeaders.from_dict({}), MockRawResponse(body))

        self.faults.strike(operation, calls, strike)

    def take_in(
        self, kind: Kind = "classes", *, has_time: Callable[[], bool] = lambda: True, now: datetime = NOW
    ) -> Taken:
        return take_in(self.table, self.store(), kind, now=lambda: now, has_time=has_time)

    def days(self, version: int = 1) -> list[Day]:
        return self.outcomes.days(self.model, version)

    def sums(self, version: int = 1) -> dict[str, Sums]:
        return {day.day: Sums.from_doc(day.sums) for day in self.days(version)}

    def keys(self, below: str) -> list[str]:
        prefix = f"outcomes/{self.model}/{below}/"
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [one["Key"].removeprefix(prefix) for one in found]

    def lines(self, key: str) -> list[dict[str, Any]]:
        body = self.s3.get_object(Bucket=BUCKET, Key=f"outcomes/{self.model}/{key}")["Body"].read()
        text = gzip.decompress(body) if key.endswith(".gz") else body
        return [json.loads(line) for line in text.splitlines()]


def window(start: datetime = START, sandbox: str = "a1b2", number: int = 1) -> str:
    return f"{start:%Y%m%dT%H%M%SZ}-{sandbox}-{number}"


def summed(rows: Iterable[Row], kind: Kind = "classes") -> Sums:
    made = Sums(kind)
    for row in rows:
        made.count(row)
    return made
