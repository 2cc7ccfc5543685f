"""Which version of a model is live or tried: promote, roll back, pause, look."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.deployments import Change, Deployments
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.preflight import notes
from labcycle_lambdas.mlflow_error import invalid, is_text, kind_of


def promote(call: Call) -> dict[str, Any]:
    """With `percent`, from 1 to 99, the version is tried with this share of the requests; else it goes live. A version that
    refuses what the live one takes needs `new_inputs`."""
    who, body, model = call.who, call.body(), call.path["model"]
    if "version" not in body:
        raise invalid("Missing value for required parameter 'version'.")
    number, percent, reason = _version(body["version"], "version"), _percent(body), _reason(body)
    new_inputs = body.get("new_inputs", False)
    if not isinstance(new_inputs, bool):
        raise invalid(f"Parameter 'new_inputs' must be true or false, got {kind_of(new_inputs)}.")
    deployed, deployments = call.preflight.prepare(model, number), Deployments(call.table)
    if not new_inputs:
        call.preflight.check_inputs(model, deployed)
    if percent is None:
        change = deployments.promote(model, deployed, who, reason=reason)
    else:
        change = deployments.try_out(model, deployed, percent, who, reason=reason)
    return {**_doc(change), "notes": notes(deployed)}


def roll_back(call: Call) -> dict[str, Any]:
    who, body, model = call.who, call.body(), call.path["model"]
    expected = body.get("from_version")
    number = None if expected is None else _version(expected, "from_version")
    reason = _reason(body)
    Registry(call.table).model(model)
    return _doc(Deployments(call.table).roll_back(model, who, from_version=number, reason=reason))


def pause(call: Call) -> dict[str, Any]:
    """`answer` is what the model answers for each row; absent or null: an error."""
    who, body, model = call.who, call.body(), call.path["model"]
    answer, reason = _answer(body), _reason(body)
    Registry(call.table).model(model)
    return _doc(Deployments(call.table).pause(model, answer, who, reason=reason))


def resume(call: Call) -> dict[str, Any]:
    who, body, model = call.who, call.body(), call.path["model"]
    reason = _reason(body)
    Registry(call.table).model(model)
    return _doc(Deployments(call.table).resume(model, who, reason=reason))


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


def _percent(body: dict[str, Any]) -> int | None:
    value = body.get("percent")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 99:
        shown = repr(value)[:60] if isinstance(value, str | int | float) else kind_of(value)
        raise invalid(f"Parameter 'percent' must be a whole number from 1 to 99, got {shown}. Leave it out to go live.")
    return value


def _answer(body: dict[str, Any]) -> Any:
    answer = body.get("answer")
    try:
        if is_text(json.dumps(answer, allow_nan=False, ensure_ascii=False)):
            return answer
    except ValueError:
        pass
    raise invalid("Parameter 'answer' must be JSON without NaN, infinities and halves of characters.")


def _reason(body: dict[str, Any]) -> str:
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > 1000 or not is_text(reason):
        raise invalid("Parameter 'reason' must be a string of at most 1,000 characters.")
    return reason
