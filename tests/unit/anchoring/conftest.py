from __future__ import annotations

import boto3
import pytest
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client

from labcycle_lambdas.anchoring.anchoring import Anchoring
from labcycle_lambdas.anchoring.store import AnchorStore
from labcycle_lambdas.ledger.anchors import Anchors
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.table import Table
from tests.unit.ledger.conftest import Clock, client, clock, faults, table  # noqa: F401

BUCKET = "anchors"


@pytest.fixture
def s3(client: DynamoDBClient) -> S3Client:  # noqa: F811 - within whose mocked cloud it is
    made = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")
    made.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    return made


@pytest.fixture
def custody(table: Table, clock: Clock) -> Custody:  # noqa: F811
    return Custody(table, clock)


@pytest.fixture
def anchoring(table: Table, s3: S3Client, clock: Clock) -> Anchoring:  # noqa: F811
    return Anchoring(Anchors(table), AnchorStore(s3, BUCKET), "fraud", clock)
