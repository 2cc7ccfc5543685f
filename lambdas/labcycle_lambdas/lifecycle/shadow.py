"""A version that scores what the live one answers, and answers nothing: begin it, end it, and see how it does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Seen, Shadows
from labcycle_lambdas.lifecycle.call import Call
from labcycle_lambdas.lifecycle.decisions import change_doc, percent_of, reason_of, version_of
from labcycle_lambdas.lifecycle.preflight import notes
from labcycle_lambdas.lifecycle.trial import side
from labcycle_lambdas.mlflow_error import invalid


def begin(call: Call) -> dict[str, Any]:
    """`percent` of the requests that the live version answers are shown to the version; absent: all of them."""
    who, body, model = call.who, call.body(), call.path["model"]
    if "version" not in body:
        raise invalid("Missing value for required parameter 'version'.")
    number, percent, reason = version_of(body["version"], "version"), percent_of(body, 100, "for all"), reason_of(body)
    Registry(call.table).version(model, number)
    place = call.preflight.shadow_place(model)
    if place is None:
        raise Refused(
            f"{model} has no place for a shadow. Add it to the api of the model in the team file, deploy, and begin again: "
            f"deliver: [{{form: api, runtime: lambda, shadow: {{concurrency: 2}}}}]. On Fargate and on instances of SageMaker nothing "
            f"needs to be added, but the model must have been deployed since there are shadows."
        )
    deployed = call.preflight.prepare(model, number, as_shadow=True)
    call.preflight.check_inputs(model, deployed, "A shadow sees what they send: it would fail.")
    change = Deployments(call.table).begin_shadow(
        model, deployed, percent or 100, who, in_process=place == "process", reason=reason
    )
    return {**change_doc(change), "notes": notes(deployed)}


def end(call: Call) -> dict[str, Any]:
    """No version is the shadow any more; what it did can be seen no longer but in the history."""
    who, body, model = call.who, call.body(), call.path["model"]
    reason = reason_of(body)
    Registry(call.table).model(model)
    return change_doc(Deployments(call.table).end_shadow(model, who, reason=reason))


def shadow(call: Call) -> dict[str, Any]:
    """What the shadow saw since it began, or since another version is live, and how it agrees; without sides where there is none."""
    model = call.path["model"]
    found = Deployments(call.table).current(model)
    if found.live is None:
        Registry(call.table).model(model)
    if found.live is None or found.shadow is None:
        nothing = {"version": None, "percent": None, "since": None, "requests": None, "agreement": None}
        return {"model": model, **nothing, "sides": [], "problem": None}
    deployed = found.shadow.deployed
    of = Comparison(deployed.version, deployed.promoted_at, found.live.version)
    offered, seen = Shadows(call.table).read(model, of)
    since = max(deployed.promoted_at, found.live.promoted_at)
    began = datetime.fromisoformat(since)
    sides = (
        side(Profiles(call.table), model, "live", found.live, began, seen.live),
        side(Profiles(call.table, "SHADOWPROFILE"), model, "shadow", deployed, began, seen.tally),
    )
    return {
        "model": model,
        "version": deployed.version,
        "percent": found.shadow.percent,
        "since": since,
        "requests": _requests(offered, seen),
        "sides": [one.to_doc() for one in sides],
        "agreement": _agreement(seen),
        "problem": seen.problem or None,
    }


def _requests(offered: Offered, seen: Seen) -> dict[str, int]:
    """Those that are neither seen nor known to be lost are on their way, or were dropped: by the limit, by their age, or by a
    function that broke."""
    known = seen.tally.requests + offered.too_large + offered.not_taken
    meant = max(offered.requests, known)  # what it saw is written at once, what was meant for it every ten seconds
    return {
        "offered": meant,
        "seen": seen.tally.requests,
        "failed": seen.tally.failed,
        "too_large": offered.too_large,
        "not_taken": offered.not_taken,
        "not_arrived": meant - known,
    }


def _agreement(seen: Seen) -> dict[str, Any]:
    return {
        "rows": seen.rows,
        "same": seen.same,
        "same_share": round(seen.same / seen.rows, 6) if seen.rows else None,
        "numbers": seen.numbers,
        "mean_absolute_difference": seen.difference / seen.numbers if seen.numbers else None,
    }
