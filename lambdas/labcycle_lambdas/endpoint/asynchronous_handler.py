"""Entry point of the door of a model that answers later, called by its API."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import get_session

from labcycle_lambdas.endpoint.asynchronous import AsynchronousDoor
from labcycle_lambdas.endpoint.environment import AsynchronousEnvironment
from labcycle_lambdas.endpoint.requests import Requests
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.responding import LEDGER, PATIENCE, client, respond, settle

# Once: what is asked twice is scored twice.
_ONCE = PATIENCE.merge(Config(retries={"total_max_attempts": 1}))


@cache
def environment() -> AsynchronousEnvironment:
    return AsynchronousEnvironment.read()


@cache
def door() -> AsynchronousDoor:
    """Made once a sandbox."""
    told, session = environment(), get_session()
    made = AsynchronousDoor(
        told,
        client("sagemaker-runtime", _ONCE, session),
        Requests(client("s3", PATIENCE, session), told.artifact_bucket, told.model),
        Deployments(Table(client("dynamodb", LEDGER, session), told.ledger_table)),
    )
    settle()
    return made


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(event, "door of the model's endpoint", lambda: environment().team, lambda call: door().answer(call))
