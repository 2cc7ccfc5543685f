"""Retention: what would go, and let it go. Below /labcycle/1.0/retention."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.members import Members
from labcycle_lambdas.mlflow_error import ENDPOINT_NOT_FOUND, MlflowError, invalid, json_body
from labcycle_lambdas.responding import answered
from labcycle_lambdas.retention.erasure import Retention

BASE = "/labcycle/1.0/retention/"
PLAN, ERASE = ("GET", f"{BASE}plan"), ("POST", f"{BASE}erase")
_SECONDS = 20  # of the 30 that API Gateway waits


@dataclass(frozen=True)
class Api:
    """Answers requests for one team. `clock` counts seconds."""

    retention: Retention
    members: Members
    clock: Callable[[], float] = time.monotonic

    def answer(self, request: Request) -> Response:
        """The answer, errors of the caller included."""
        return answered(lambda: Response(body=self._do(request)))

    def _do(self, request: Request) -> dict[str, Any]:
        match request.method, request.path:
            case asked if asked == PLAN:
                self.members.require("read", request)
                return self._plan(dict(request.query))
            case asked if asked == ERASE:
                self.members.require("erase", request)
                return self._erase(request)
        raise MlflowError(
            ENDPOINT_NOT_FOUND,
            f"No endpoint {request.method} {request.path[:200]}. There are {' '.join(PLAN)} and {' '.join(ERASE)}.",
        )

    def _plan(self, query: dict[str, str]) -> dict[str, Any]:
        """A page of the plan: of one experiment, those behind it in `next`."""
        table = self.retention.table
        ids = sorted(experiment.experiment_id for experiment in Experiments(table).all())
        experiment_id, after = query.get("experiment_id", ids[0] if ids else ""), query.get("after", "")
        runs, last = self.retention.plan(experiment_id, after) if experiment_id else ([], "")
        later = [other for other in ids if other > experiment_id]
        following = (
            {"experiment_id": experiment_id, "after": last}
            if last
            else {"experiment_id": later[0], "after": ""}
            if later
            else None
        )
        rules = [{"status": rule.status, "days": rule.days} for rule in self.retention.rules]
        return {"rules": rules, "experiment_id": experiment_id, "runs": runs, "next": following}

    def _erase(self, request: Request) -> dict[str, Any]:
        run_id = json_body(request).get("run_id")
        if not isinstance(run_id, str) or not run_id:
            raise invalid("Missing value for required parameter 'run_id'.")
        end = self.clock() + _SECONDS
        done = self.retention.erase(run_id, self.members.who(request), lambda: self.clock() < end)
        return {"run_id": run_id, "finished": done}
