from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
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
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from labcycle_lambdas.ledger import custody
from labcycle_lambdas.ledger import table as ledger_table
from labcycle_lambdas.ledger.table import Table
from tests.unit.ledger.tables import make_table

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


_CARRY_OUT = BotocoreStubber.__call__


class Faults:
    """Trouble between the ledger and DynamoDB, at chosen calls of an operation, counted from 0 since it was planned.

    `struck` names the operations that were struck, so that a test can prove that its fault happened.
    """

    def __init__(self) -> None:
        self.struck: list[str] = []
        self._planned: list[tuple[str, Iterator[bool], Callable[[Any, Callable[[], Any]], Any]]] = []

    def lose_answer(self, operation: str, *calls: int, then: Callable[[], None] | None = None) -> None:
        """Carry the call out (and then `then`), and break the connection before its answer."""

        def strike(request: Any, carry_out: Callable[[], Any]) -> Any:
            carry_out()
            if then:
                then()
            raise ConnectionClosedError(endpoint_url=request.url)

        self.strike(operation, calls, strike)

    def refuse(self, operation: str, code: str, *calls: int, **fields: Any) -> None:
        """Answer with an error of DynamoDB; nothing is carried out."""

        def strike(request: Any, carry_out: Callable[[], Any]) -> Any:
            body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **fields})
            headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
            status = 500 if code.startswith("Internal") else 400
            return AWSResponse(request.url, status, headers, MockRawResponse(body))

        self.strike(operation, calls, strike)

    def say(self, operation: str, document: dict[str, Any], *calls: int) -> None:
        """Answer with `document`; nothing is carried out."""

        def strike(request: Any, carry_out: Callable[[], Any]) -> Any:
            headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
            return AWSResponse(request.url, 200, headers, MockRawResponse(json.dumps(document)))

        self.strike(operation, calls, strike)

    def before(self, operation: str, call: int, do: Callable[[], None]) -> None:
        """Let somebody else be faster."""

        def strike(request: Any, carry_out: Callable[[], Any]) -> Any:
            do()
            return carry_out()

        self.strike(operation, (call,), strike)

    def strike(self, operation: str, calls: tuple[int, ...], strike: Callable[[Any, Callable[[], Any]], Any]) -> None:
        """Do `strike` (of a request, and what carries it out) in the place of the call."""
        self._planned.append((operation, (number in calls for number in count()), strike))

    def clear(self) -> None:
        """No more trouble."""
        self._planned.clear()

    def answer(self, operation: str, request: Any, carry_out: Callable[[], Any]) -> Any:
        """The answer to a call, struck or not."""
        for planned, strikes, strike in self._planned:
            if planned == operation and next(strikes):
                self.struck.append(operation)
                return strike(request, carry_out)
        return carry_out()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    found = Faults()
    # moto undoes a failed transaction by putting back a copy of all tables, other threads' writes included.
    lock = threading.RLock()

    def call(stubber: BotocoreStubber, event_name: str, request: Any, **rest: Any) -> Any:
        with lock:
            return found.answer(
                event_name.rpartition(".")[2], request, lambda: _CARRY_OUT(stubber, event_name, request, **rest)
            )

    monkeypatch.setattr(BotocoreStubber, "__call__", call)
    return found


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> Iterator[DynamoDBClient]:
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
        make_table(made, NAME)
        yield made


@pytest.fixture
def table(client: DynamoDBClient) -> Table:
    return Table(client, NAME)


@pytest.fixture
def clock() -> Clock:
    return Clock()
