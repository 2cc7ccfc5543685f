"""One call of the life cycle API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.members import Members
from labcycle_lambdas.mlflow_error import json_body


@dataclass(frozen=True)
class Call:
    """A request, by a caller who may make it; `path` holds what the route's path names."""

    table: Table
    preflight: Preflight
    members: Members
    request: Request
    path: dict[str, str]
    machines: Machines | None

    @property
    def who(self) -> Who:
        """The caller, as signature or token say."""
        return self.members.who(self.request)

    def body(self) -> dict[str, Any]:
        """The request's JSON object. Raises `MlflowError` (400)."""
        return json_body(self.request)
