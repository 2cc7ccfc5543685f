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
from labcycle_lambdas.mlflow_error import invalid, json_body


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

    def asked(self, name: str) -> str | None:
        """What the query says first of a name; None where it says nothing."""
        return next((value for key, value in self.request.query if key == name), None)

    def number(self, name: str, most: int) -> int | None:
        """The same as a whole number from 1 to `most`. Raises `MlflowError` (400)."""
        text = self.asked(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
            raise invalid(f"Parameter '{name}' must be a number from 1 to {most}, got {text[:60]!r}.")
        return int(text)

    def body(self) -> dict[str, Any]:
        """The request's JSON object. Raises `MlflowError` (400)."""
        return json_body(self.request)
