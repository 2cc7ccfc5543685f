from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import botocore.endpoint
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

from labcycle_lambdas.ledger import custody
from labcycle_lambdas.ledger import table as ledger_table
from labcycle_lambdas.ledger.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAME = "ledger"


class Clock:
    """A second passes with every look."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@dataclass
class Faults:
    """Trouble between the ledger and DynamoDB, at chosen calls of an operation, counted from 0."""

    client: Any
    struck: list[str] = field(default_factory=list)

    def lose_answer(self, operation: str, *calls: int, then: Callable[[], None] | None = None) -> None:
        """Carry the call out (and then `then`), and break the connection before its answer."""

        def strike(request: Any) -> Any:
            botocore_stubber(f"before-send.dynamodb.{operation}", request)
            if then:
                then()
            raise ConnectionClosedError(endpoint_url=request.url)

        self._plan(operation, calls, strike)

    def refuse(self, operation: str, code: str, *calls: int, **fields: Any) -> None:
        """Answer with an error of DynamoDB."""

        def strike(request: Any) -> Any:
            body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **fields})
            headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
            return AWSResponse(
                request.url, 500 if code == "InternalServerError" else 400, headers, MockRawResponse(body)
            )

        self._plan(operation, calls, strike)

    def before(self, operation: str, call: int, do: Callable[[], None]) -> None:
        """Let somebody else be faster."""

        def strike(request: Any) -> None:
            do()

        self._plan(operation, (call,), strike)

    def _plan(self, operation: str, calls: tuple[int, ...], strike: Callable[[Any], Any]) -> None:
        seen = -1

        def handler(request: Any, **rest: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen in calls:
                self.struck.append(operation)
                return strike(request)
            return None

        self.client.meta.events.register_first(f"before-send.dynamodb.{operation}", handler)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(ledger_table, "pause", lambda attempt: None)
    monkeypatch.setattr(custody, "pause", lambda attempt: None)
    with mock_aws():
        config = Config(retries={"mode": "standard", "total_max_attempts": 3})
        made = boto3.client(
            "dynamodb", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s", config=config
        )
        made.create_table(
            TableName=NAME,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield made


@pytest.fixture
def table(client: DynamoDBClient) -> Table:
    return Table(client, NAME)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def faults(client: DynamoDBClient) -> Faults:
    return Faults(client)
