"""A team's whole API on this machine: tracking and life cycle over one ledger, as API Gateway routes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.tracking.routes import answer
from tests.unit.ledger.conftest import NAME
from tests.unit.tracking.conftest import BUCKET, Api, api  # noqa: F401 - a fixture
from tests.unit.tracking.server import event, member, serving, stock_client

REVIEWER = Who("reviewer-1", "labcycle-fraud-reviewer-1", "reviewer-1")


@dataclass
class Team:
    """The API of team `fraud` at `address`, called as `caller`."""

    api: Api
    lifecycle: Lifecycle
    address: str = ""
    caller: str = field(default_factory=member)

    @property
    def table(self) -> Table:
        return self.lifecycle.table

    def artifact(self, run_id: str, path: str, content: bytes = b"x") -> None:
        root = self.api.ledgers.runs.get(run_id).artifact_uri.removeprefix(f"s3://{BUCKET}/")
        self.api.file(f"{root}/{path}", content)

    def get(self, path: str) -> Any:
        """The life cycle API's document below /labcycle/1.0."""
        parts = urlsplit(f"/labcycle/1.0/{path}")
        made = event("GET", unquote(parts.path), parts.query, arn=self.caller)
        said = self.lifecycle.answer(Request.from_event(made))
        assert said.status == 200, said.body
        return said.body

    def promote(self, model: str, version: int) -> None:
        prepared = self.lifecycle.preflight.prepare(model, version)
        Deployments(self.table).promote(model, prepared, REVIEWER)

    def tags(self, run_id: str) -> dict[str, str]:
        return self.api.ledgers.runs.get(run_id).tags


@pytest.fixture
def team(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Team]:  # noqa: F811
    """The stock client is pointed at it."""
    table = Table(api.dynamodb, NAME)
    made = Team(api, Lifecycle(table, Preflight(table, api.s3, BUCKET), Members("fraud")))

    def answers(request: Request) -> Response:
        return made.lifecycle.answer(request) if request.path.startswith("/labcycle/") else answer(api.ledgers, request)

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with serving(answers, lambda: made.caller) as made.address, stock_client(made.address, monkeypatch, tmp_path):
        yield made
