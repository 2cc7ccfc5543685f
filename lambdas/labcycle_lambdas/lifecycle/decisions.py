"""Which version of a model is live: promote, roll back, look."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.deployments import Change, Deployments
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.preflight import notes
from labcycle_lambdas.mlflow_error import invalid, is_text, kind_of


def promote(call: Call) -> dict[str, Any]:
    who, body, model = call.who, call.body(), call.path["model"]
    if "version" not in body:
        raise invalid("Missing value for required parameter 'version'.")
    deployed = call.preflight.prepare(model, _version(body["version"], "version"))
    change = Deployments(call.table).promote(model, deployed, who, reason=_reason(body))
    return {**_doc(change), "notes": notes(deployed)}


def roll_back(call: Call) -> dict[str, Any]:
    who, body, model = call.who, call.body(), call.path["model"]
    expected = body.get("from_version")
    number = None if expected is None else _version(expected, "from_version")
    reason = _reason(body)
    Registry(call.table).model(model)
    return _doc(Deployments(call.table).roll_back(model, who, from_version=number, reason=reason))


def deployment(call: Call) -> dict[str, Any]:
    model = call.path["model"]
    found = Deployments(call.table).current(model)
    if found.live is None:
        Registry(call.table).model(model)
    return {"deployment": asdict(found)}


def _doc(change: Change) -> dict[str, Any]:
    return {"deployment": asdict(change.deployment), "changed": change.changed}


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
