"""Calls that the client repeats because their answer was lost: done once, and answered again.

Only those are remembered whose repetition would make a second object or fail because it is done; any other call changes
nothing when it comes again. A call that failed did nothing, so that it is tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger import repeats
from labcycle_lambdas.ledger.errors import AlreadyExists, InUse, NotFound, Refused
from labcycle_lambdas.ledger.table import Repeated, Throttled
from labcycle_lambdas.mlflow_error import MlflowError, invalid
from labcycle_lambdas.tracking import experiments, logged_models, model_versions, registered_models, runs, shapes
from labcycle_lambdas.tracking.ledgers import Call
from labcycle_lambdas.tracking.shapes import Doc

HEADER = "idempotency-key"
LONGEST = 255
Serve = Callable[[Call], Doc | Response]
Again = Callable[[Call, dict[str, Any]], Doc]


def _nothing(call: Call, done: dict[str, Any]) -> Doc:
    return {}


def _model(call: Call, name: str) -> Doc:
    return {"registered_model": shapes.registered_model(call.ledgers.registry.model(call.arguments.text(name)))}


def _logged_model(call: Call, done: dict[str, Any]) -> Doc:
    return {"model": shapes.logged_model(call.ledgers.logged_models.get(done["model_id"], deleted=True))}


def _version(call: Call, done: dict[str, Any]) -> Doc:
    version = call.ledgers.registry.version(call.arguments.text("name"), done["version"])
    return {"model_version": shapes.model_version(version)}


# How each is answered when it comes again, from what was noted when it was done.
REMEMBERED: dict[Serve, Again] = {
    experiments.create: lambda call, done: {"experiment_id": done["experiment_id"]},
    experiments.delete: _nothing,
    experiments.restore: _nothing,
    experiments.delete_tag: _nothing,
    runs.create: lambda call, done: runs.created(call.ledgers.runs.get(done["run_id"])),
    runs.delete_tag: _nothing,
    logged_models.create: _logged_model,
    logged_models.delete_tag: _nothing,
    registered_models.create: lambda call, done: _model(call, "name"),
    registered_models.rename: lambda call, done: _model(call, "new_name"),
    registered_models.delete: _nothing,
    model_versions.create: _version,
    model_versions.delete: _nothing,
}


def answer(call: Call, serve: Serve) -> Doc | Response:
    """Do what is asked, or answer as when it was done.

    Raises
    ------
    MlflowError
        Also where the call's key belongs to another call.
    """
    again = REMEMBERED.get(serve)
    request = _request(call.request) if again else None
    if again is None or request is None:
        return serve(call)
    ledger = call.ledgers.repeats
    with ledger.marking(request):
        try:
            return serve(call)
        except Repeated:
            failure: Exception | None = None
        except (AlreadyExists, InUse, NotFound, Refused, MlflowError) as error:
            failure = error  # maybe because it was done
    try:
        done = ledger.done(request)
    except repeats.OtherContent:
        raise invalid(
            f"The {HEADER} of this request was sent with another request before: a key stands for one request, which is "
            f"repeated as it was."
        ) from None
    if done is not None:
        return again(call, done)
    raise failure or Throttled("the call is under way")


def _request(request: Request) -> repeats.Request | None:
    """By what the request is known when it comes again; None without a key."""
    key = request.headers.get(HEADER, "")
    if not key:
        return None
    if len(key) > LONGEST:
        raise invalid(f"The {HEADER} has {len(key)} characters; at most {LONGEST} are possible.")
    asked = "\0".join((request.method, request.path, repr(request.query)))
    return repeats.Request(
        key=hashlib.sha256(f"{request.caller}\0{key}".encode()).hexdigest(),
        content=hashlib.sha256(asked.encode() + b"\0" + request.body).hexdigest(),
    )
