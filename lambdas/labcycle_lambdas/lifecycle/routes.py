"""The life cycle API: which endpoint is served by what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lifecycle import (
    consumers,
    custody,
    decisions,
    lineage,
    models,
    monitoring,
    orphans,
    outcomes,
    pace,
    reactions,
    records,
    shadow,
    trial,
    usage,
)
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.members import Members, Right
from labcycle_lambdas.mlflow_error import ENDPOINT_NOT_FOUND, MlflowError
from labcycle_lambdas.responding import answered

BASE = "/labcycle/1.0"
Serve = Callable[[Call], dict[str, Any] | Response]  # a document, or what is none

# Below BASE. `{name}` stands for whatever is there, slashes included.
ROUTES: dict[tuple[str, str], Serve] = {
    ("POST", "/models/{model}/promote"): decisions.promote,
    ("POST", "/models/{model}/rollback"): decisions.roll_back,
    ("POST", "/models/{model}/pause"): decisions.pause,
    ("POST", "/models/{model}/resume"): decisions.resume,
    ("POST", "/models/{model}/shadow"): shadow.begin,
    ("POST", "/models/{model}/shadow/end"): shadow.end,
    ("GET", "/models/{model}/shadow"): shadow.shadow,
    ("GET", "/models/{model}/deployment"): decisions.deployment,
    ("GET", "/models/{model}/promotion"): decisions.promotion,
    ("POST", "/models/{model}/review"): reactions.review,
    ("GET", "/models/{model}/reactions"): reactions.listing,
    ("GET", "/models/{model}/reactions/plan"): reactions.plan,
    ("GET", "/models/{model}/trial"): trial.trial,
    ("GET", "/models/{model}/consumers"): consumers.counted,
    ("GET", "/models/{model}/custody"): custody.history,
    ("GET", "/models"): models.listing,
    ("GET", "/models/{model}/overview"): models.overview,
    ("GET", "/models/{model}/completeness"): models.completeness,
    ("GET", "/models/{model}/pace"): pace.of_model,
    ("GET", "/models/{model}/usage"): usage.usage,
    ("GET", "/models/{model}/monitoring"): monitoring.of_model,
    ("GET", "/models/{model}/monitoring/check"): monitoring.check,
    ("GET", "/models/{model}/monitoring/report"): monitoring.report,
    ("GET", "/monitoring"): monitoring.of_team,
    ("GET", "/orphans"): orphans.of_team,
    ("POST", "/models/{model}/outcomes"): outcomes.send,
    ("GET", "/models/{model}/outcomes"): outcomes.outcomes,
    ("POST", "/models/{model}/records"): records.send,
    ("GET", "/pace"): pace.of_team,
    ("GET", "/custody/subjects"): custody.subjects,
    ("GET", "/custody/events"): custody.events,
    ("GET", "/custody/registration"): custody.registration,
    ("GET", "/custody/state"): custody.state,
    ("GET", "/models/{model}/explanation"): lineage.explanation,
    ("GET", "/runs/{run_id}/completeness"): lineage.completeness,
    ("GET", "/runs/{run_id}/ancestry"): lineage.ancestry,
}
# What each endpoint takes; those asked with GET take `read`.
RIGHTS: dict[Serve, Right] = {
    decisions.promote: "promote",
    decisions.roll_back: "promote",
    decisions.pause: "promote",
    decisions.resume: "promote",
    reactions.review: "promote",
    shadow.begin: "promote",
    shadow.end: "promote",
    outcomes.send: "log",  # a record of what happened, as runs are; it decides nothing by itself
    records.send: "log",
}


@dataclass(frozen=True)
class Lifecycle:
    """Answers requests for one team."""

    table: Table
    preflight: Preflight
    members: Members
    machines: Machines | None = None  # none: whatever is promoted goes live at once

    def answer(self, request: Request) -> Response:
        """The answer, errors of the caller included."""
        return answered(lambda: self._do(request))

    def _do(self, request: Request) -> Response:
        serve, path = _find(request)
        self.members.require(RIGHTS.get(serve, "read" if request.method == "GET" else "administer"), request)
        said = serve(Call(self.table, self.preflight, self.members, request, path, self.machines))
        return said if isinstance(said, Response) else Response(body=said)


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
