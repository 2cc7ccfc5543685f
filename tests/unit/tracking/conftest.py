from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import boto3
import pytest
from moto import mock_aws

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.tracking.artifacts import SIGNING, ArtifactStore
from labcycle_lambdas.tracking.ledgers import Ledgers
from labcycle_lambdas.tracking.routes import answer
from tests.unit.ledger.conftest import NAME, Clock
from tests.unit.ledger.tables import make_table
from tests.unit.tracking.server import ISSUER, event, member

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

BUCKET = "labcycle-fraud-artifacts"
REGION: Literal["eu-west-1"] = "eu-west-1"


@dataclass
class Api:
    """The tracking function, called by a member."""

    ledgers: Ledgers
    s3: S3Client
    dynamodb: DynamoDBClient

    def call(
        self, method: str, path: str, body: Any = None, *, arn: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and document; `path` below /api/2.0/mlflow unless it is absolute; for GET the body is the query."""
        path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        query = urlencode(body, doseq=True) if method == "GET" and body else ""
        raw = b"" if method == "GET" or body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        made = event(method, path, query, raw, member() if arn is None else arn, headers)
        said = self.answer(made)
        is_json = said["headers"]["content-type"] == "application/json"
        return said["statusCode"], json.loads(said["body"]) if is_json else said["body"]

    def answer(self, made: dict[str, Any]) -> dict[str, Any]:
        """What the function answers to an event."""
        return answer(self.ledgers, Request.from_event(made)).to_event()

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        status, doc = self.call(method, path, body, **more)
        assert status == 200, doc
        return doc

    def fails(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
        status, doc = self.call(method, path, body, **more)
        assert status != 200, doc
        return status, doc["error_code"], doc["message"]

    def experiment(self, name: str = "e") -> str:
        return str(self.ok("POST", "experiments/create", {"name": name})["experiment_id"])

    def run(self, experiment_id: str | None = None, **more: Any) -> str:
        body = {"experiment_id": experiment_id or "0", "start_time": 1, **more}
        return str(self.ok("POST", "runs/create", body)["run"]["info"]["run_id"])

    def file(self, key: str, content: bytes = b"x") -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        make_table(dynamodb, NAME)
        s3 = boto3.client("s3", region_name=REGION, config=SIGNING)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        store = ArtifactStore(lambda: s3, BUCKET)
        members = Members("fraud", subjects={ISSUER: {"ada": "ada"}})
        yield Api(Ledgers.over(Table(dynamodb, NAME), store, members, Clock()), s3, dynamodb)
