"""The life cycle API: promote, roll back, what is live, and the chain of custody of a model."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Change, Deployments
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.table import Table, Throttled
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight, notes
from labcycle_lambdas.mlflow_error import (
    ENDPOINT_NOT_FOUND,
    PERMISSION_DENIED,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_DOES_NOT_EXIST,
    MlflowError,
    invalid,
    is_text,
    json_body,
    kind_of,
)

_PATH = re.compile(r"/labcycle/1\.0/models/(?P<model>.+)/(?P<action>promote|rollback|deployment|custody)", re.DOTALL)
_METHODS = {"promote": "POST", "rollback": "POST", "deployment": "GET", "custody": "GET"}


@dataclass(frozen=True)
class Lifecycle:
    """Answers requests for one team."""

    table: Table
    preflight: Preflight
    team: str

    def answer(self, request: Request) -> Response:
        """The answer, errors of the caller included."""
        try:
            return Response(body=self._do(request))
        except MlflowError as error:
            return error.response()
        except NotFound as error:
            return MlflowError(RESOURCE_DOES_NOT_EXIST, str(error)).response()
        except Refused as error:
            return invalid(str(error)).response()
        except Throttled as error:
            return MlflowError(REQUEST_LIMIT_EXCEEDED, f"The ledger is busy, try again: {error}").response()

    def _do(self, request: Request) -> dict[str, Any]:
        match = _PATH.fullmatch(request.path)
        if not match or _METHODS[match["action"]] != request.method:
            raise MlflowError(
                ENDPOINT_NOT_FOUND,
                f"No endpoint {request.method} {request.path[:200]}. There are POST .../models/NAME/promote and /rollback, "
                f"GET .../models/NAME/deployment and /custody below /labcycle/1.0.",
            )
        model, who = match["model"], Who.from_user_arn(request.user_arn, self.team)
        match match["action"]:
            case "promote":
                return self._promote(model, json_body(request), who)
            case "rollback":
                return self._roll_back(model, json_body(request), who)
            case "deployment":
                return self._deployment(model)
            case _:
                return self._custody(model)

    def _promote(self, model: str, body: dict[str, Any], who: Who) -> dict[str, Any]:
        _must_be_member(who, "promote")
        if "version" not in body:
            raise invalid("Missing value for required parameter 'version'.")
        deployed = self.preflight.prepare(model, _version(body["version"], "version"))
        change = Deployments(self.table).promote(model, deployed, who, reason=_reason(body))
        return {**_doc(change), "notes": notes(deployed)}

    def _roll_back(self, model: str, body: dict[str, Any], who: Who) -> dict[str, Any]:
        _must_be_member(who, "roll back")
        expected = body.get("from_version")
        number = None if expected is None else _version(expected, "from_version")
        reason = _reason(body)
        Registry(self.table).model(model)
        return _doc(Deployments(self.table).roll_back(model, who, from_version=number, reason=reason))

    def _deployment(self, model: str) -> dict[str, Any]:
        deployment = Deployments(self.table).current(model)
        if deployment.live is None:
            Registry(self.table).model(model)
        return {"deployment": asdict(deployment)}

    def _custody(self, model: str) -> dict[str, Any]:
        custody, subject = Custody(self.table), f"model/{model}"
        events = custody.events(subject)
        if not events:
            Registry(self.table).model(model)
        problems = custody.verify(subject)
        return {"events": [asdict(event) for event in events], "verified": not problems, "problems": problems}


def _doc(change: Change) -> dict[str, Any]:
    return {"deployment": asdict(change.deployment), "changed": change.changed}


def _must_be_member(who: Who, verb: str) -> None:
    if who.member is None:
        raise MlflowError(
            PERMISSION_DENIED,
            f"{who} is no member of this team: only members may {verb}. Assume your own role "
            f"(labcycle-<team>-<member>, with the member's name as session name).",
        )


def _version(value: object, parameter: str) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12 else value
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,12}", text):
        shown = repr(value)[:60] if isinstance(value, str | int | float) else kind_of(value)
        raise invalid(f"Parameter '{parameter}' must be an integer, got {shown}.")
    return int(text)


def _reason(body: dict[str, Any]) -> str:
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > 1000 or not is_text(reason):
        raise invalid("Parameter 'reason' must be a string of at most 1,000 characters.")
    return reason
