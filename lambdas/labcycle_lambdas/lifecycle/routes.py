"""The life cycle API: which endpoint is served by what, and what each error of the ledger is in MLflow's codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.table import Table, Throttled
from labcycle_lambdas.lifecycle import custody, decisions, lineage
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.members import Members, Right
from labcycle_lambdas.mlflow_error import (
    ENDPOINT_NOT_FOUND,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_DOES_NOT_EXIST,
    MlflowError,
    invalid,
)

BASE = "/labcycle/1.0"
Serve = Callable[[Call], dict[str, Any]]

# Below BASE. `{name}` stands for whatever is there, slashes included.
ROUTES: dict[tuple[str, str], Serve] = {
    ("POST", "/models/{model}/promote"): decisions.promote,
    ("POST", "/models/{model}/rollback"): decisions.roll_back,
    ("GET", "/models/{model}/deployment"): decisions.deployment,
    ("GET", "/models/{model}/custody"): custody.history,
    ("GET", "/custody/subjects"): custody.subjects,
    ("GET", "/custody/events"): custody.events,
    ("GET", "/custody/registration"): custody.registration,
    ("GET", "/custody/state"): custody.state,
    ("GET", "/models/{model}/explanation"): lineage.explanation,
    ("GET", "/runs/{run_id}/completeness"): lineage.completeness,
    ("GET", "/runs/{run_id}/ancestry"): lineage.ancestry,
}
# What each endpoint takes; those asked with GET take `read`.
RIGHTS: dict[Serve, Right] = {decisions.promote: "promote", decisions.roll_back: "promote"}


@dataclass(frozen=True)
class Lifecycle:
    """Answers requests for one team. Without `members`, they may do what IAM lets their roles."""

    table: Table
    preflight: Preflight
    team: str
    members: Members | None = None

    def answer(self, request: Request) -> Response:
        """The answer, errors of the caller included."""
        try:
            serve, path = _find(request)
            members = self.members or Members(self.team)
            members.require(RIGHTS.get(serve, "read" if request.method == "GET" else "administer"), request)
            return Response(body=serve(Call(self.table, self.preflight, members, request, path)))
        except MlflowError as error:
            return error.response()
        except NotFound as error:
            return MlflowError(RESOURCE_DOES_NOT_EXIST, str(error)).response()
        except Refused as error:
            return invalid(str(error)).response()
        except Throttled as error:
            return MlflowError(REQUEST_LIMIT_EXCEEDED, f"The ledger is busy, try again: {error}").response()


def _find(request: Request) -> tuple[Serve, dict[str, str]]:
    for (method, template), serve in ROUTES.items():
        if method == request.method and (match := _pattern(template).fullmatch(request.path)):
            return serve, match.groupdict()
    known = ", ".join(f"{method} {template}" for method, template in ROUTES)
    raise MlflowError(
        ENDPOINT_NOT_FOUND, f"No endpoint {request.method} {request.path[:200]}. Below {BASE} there are {known}."
    )


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", template)  # no other character of a template is special
    return re.compile(re.escape(BASE) + pattern, re.DOTALL)
