"""One call of the life cycle API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.mlflow_error import PERMISSION_DENIED, MlflowError, json_body


@dataclass(frozen=True)
class Call:
    """A request of the team `team`; `path` holds what the route's path names."""

    table: Table
    preflight: Preflight
    team: str
    request: Request
    path: dict[str, str]

    @property
    def who(self) -> Who:
        """The caller, as the signature says."""
        return Who.from_user_arn(self.request.user_arn, self.team)

    def must_be_member(self, verb: str) -> Who:
        """The caller, where the team knows it. Raises `MlflowError` (403)."""
        who = self.who
        if who.member is None:
            raise MlflowError(
                PERMISSION_DENIED,
                f"{who} is no member of this team: only members may {verb}. Assume your own role "
                f"(labcycle-<team>-<member>, with the member's name as session name).",
            )
        return who

    def body(self) -> dict[str, Any]:
        """The request's JSON object. Raises `MlflowError` (400)."""
        return json_body(self.request)
