"""Which version of a model is live or tried: promote, roll back, pause, look."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.deployments import Change, Deployments, under_way
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.promotions import ENDED, GIVEN_UP, Promotion, Promotions, Superseded
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import notes
from labcycle_lambdas.mlflow_error import invalid, is_text, kind_of


def promote(call: Call) -> dict[str, Any]:
    """With `percent`, from 1 to 99, the version is tried with this share of the requests. Without, it is promoted in steps where
    the model's policy has some, by its state machine; else, and with `now`, it goes live at once. A version that refuses what
    the live one takes needs `new_inputs`."""
    who, body, model = call.who, call.body(), call.path["model"]
    if "version" not in body:
        raise invalid("Missing value for required parameter 'version'.")
    number, percent, reason = version_of(body["version"], "version"), percent_of(body), reason_of(body)
    new_inputs, now = flag_of(body, "new_inputs"), flag_of(body, "now")
    if now and percent is not None:
        raise invalid("Give either 'percent' or 'now', not both.")
    deployed, deployments = call.preflight.prepare(model, number), Deployments(call.table)
    if not new_inputs:
        call.preflight.check_inputs(model, deployed)
    if percent is not None:
        change = deployments.try_out(model, deployed, percent, who, reason=reason)
    elif not now and call.machines and (machine := call.machines.find(model)):
        change, begun = _begin(call, call.machines, machine, number, new_inputs, reason)
        return {**change_doc(change), "notes": notes(deployed), "promotion": asdict(begun) if begun else None}
    else:
        change = deployments.promote(model, deployed, who, reason=reason)
    return {**change_doc(change), "notes": notes(deployed), "promotion": None}


def _begin(
    call: Call, machines: Machines, machine: str, number: int, new_inputs: bool, reason: str
) -> tuple[Change, Promotion | None]:
    """Let the state machine promote it. Where the call is repeated, the same execution is started, which is one."""
    model = call.path["model"]
    deployment = Deployments(call.table).current(model)
    if deployment.live and deployment.live.version == number and not deployment.canary:
        return Change(deployment, changed=False), None
    if deployment.canary and deployment.canary.deployed.version != number:
        raise under_way(model, deployment.canary.deployed.version, deployment.canary.percent)
    begun = Promotions(call.table).begin(model, number, call.who, new_inputs=new_inputs, reason=reason)
    machines.start(machine, begun.execution)
    return Change(deployment, changed=False), begun


def promotion(call: Call) -> dict[str, Any]:
    """The promotion that is under way, or the last one; none before the first."""
    model = call.path["model"]
    found = Promotions(call.table).current(model)
    if found is None:
        Registry(call.table).model(model)
    return {"promotion": asdict(found) if found else None}


def roll_back(call: Call) -> dict[str, Any]:
    """The newest step is taken back: a promotion that is under way, the version that is tried, or the live one."""
    who, body, model = call.who, call.body(), call.path["model"]
    expected = body.get("from_version")
    number = None if expected is None else version_of(expected, "from_version")
    reason = reason_of(body)
    Registry(call.table).model(model)
    deployments, promotions = Deployments(call.table), Promotions(call.table)
    begun = promotions.current(model)
    if begun is None or not begun.under_way:
        back = call.preflight.check_roll_back(model, number)
        return change_doc(deployments.roll_back(model, who, from_version=number, to_version=back, reason=reason))
    said = (f"{who} took it back{f': {reason}' if reason else ''}",)
    ended = {"state": ENDED, "outcome": GIVEN_UP, "percent": 0, "said": said}
    try:
        if deployments.current(model).canary is None:
            if number not in (None, begun.version):
                raise Refused(
                    f"Version {begun.version} of {model} is being promoted, and gets no traffic yet: take that back first "
                    f"(from_version {begun.version})."
                )
            detail = {"version": begun.version, "outcome": GIVEN_UP, **({"reason": reason} if reason else {})}
            promotions.tell(model, begun.execution, "promotion_given_up", who, detail, **ended)
            return change_doc(Change(deployments.current(model), changed=True))
        hold = promotions.hold(model, begun.execution, **ended)
        return change_doc(deployments.roll_back(model, who, from_version=number, reason=reason, also=hold))
    except Superseded:  # it ended in between, so that nothing is held any more
        back = call.preflight.check_roll_back(model, number)
        return change_doc(deployments.roll_back(model, who, from_version=number, to_version=back, reason=reason))


def pause(call: Call) -> dict[str, Any]:
    """`answer` is what the model answers for each row; absent or null: an error."""
    who, body, model = call.who, call.body(), call.path["model"]
    answer, reason = _answer(body), reason_of(body)
    Registry(call.table).model(model)
    return change_doc(Deployments(call.table).pause(model, answer, who, reason=reason))


def resume(call: Call) -> dict[str, Any]:
    who, body, model = call.who, call.body(), call.path["model"]
    reason = reason_of(body)
    Registry(call.table).model(model)
    return change_doc(Deployments(call.table).resume(model, who, reason=reason))


def deployment(call: Call) -> dict[str, Any]:
    """What is live and tried, and the promotion that is under way."""
    model = call.path["model"]
    found = Deployments(call.table).current(model)
    if found.live is None:
        Registry(call.table).model(model)
    begun = Promotions(call.table).current(model)
    return {"deployment": asdict(found), "promotion": asdict(begun) if begun and begun.under_way else None}


def change_doc(change: Change) -> dict[str, Any]:
    return {"deployment": asdict(change.deployment), "changed": change.changed}


def version_of(value: object, parameter: str) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12 else value
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,12}", text):
        shown = repr(value)[:60] if isinstance(value, str | int | float) else kind_of(value)
        raise invalid(f"Parameter '{parameter}' must be an integer, got {shown}.")
    return int(text)


def flag_of(body: dict[str, Any], parameter: str) -> bool:
    value = body.get(parameter, False)
    if not isinstance(value, bool):
        raise invalid(f"Parameter '{parameter}' must be true or false, got {kind_of(value)}.")
    return value


def percent_of(body: dict[str, Any], most: int = 99, without: str = "to go live") -> int | None:
    value = body.get("percent")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        shown = repr(value)[:60] if isinstance(value, str | int | float) else kind_of(value)
        raise invalid(
            f"Parameter 'percent' must be a whole number from 1 to {most}, got {shown}. Leave it out {without}."
        )
    return value


def _answer(body: dict[str, Any]) -> Any:
    answer = body.get("answer")
    try:
        if is_text(json.dumps(answer, allow_nan=False, ensure_ascii=False)):
            return answer
    except ValueError:
        pass
    raise invalid("Parameter 'answer' must be JSON without NaN, infinities and halves of characters.")


def reason_of(body: dict[str, Any]) -> str:
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > 1000 or not is_text(reason):
        raise invalid("Parameter 'reason' must be a string of at most 1,000 characters.")
    return reason
