"""The life cycle function: promote, roll back, deployment, custody."""

from __future__ import annotations

import json
import traceback
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lifecycle.environment import Environment
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.lifecycle.server_memory import server_memory_mb
from labcycle_lambdas.members import Members
from labcycle_lambdas.mlflow_error import INTERNAL_ERROR, MlflowError


@cache
def lifecycle() -> Lifecycle:
    """Made once a sandbox."""
    environment = Environment.read()
    table = Table(boto3.client("dynamodb"), environment.ledger_table)
    ssm = boto3.client("ssm")
    preflight = Preflight(
        table,
        boto3.client("s3"),
        environment.artifact_bucket,
        lambda model: server_memory_mb(ssm, environment.team, model),
    )
    return Lifecycle(table, preflight, environment.team, Members.read(environment.team, environment.members))


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    request = Request.from_event(event)
    try:
        return lifecycle().answer(request).to_event()
    except Exception:  # noqa: BLE001 - ours: the log has the trace, the caller its shape
        print(json.dumps({"level": "ERROR", "request_id": request.request_id, "trace": traceback.format_exc()}))
        message = f"The life cycle function failed; its log has the cause under request {request.request_id}."
        return MlflowError(INTERNAL_ERROR, message).response().to_event()
