"""Entry point of the door, called by the API of a model."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.config import Config

from labcycle_lambdas.endpoint.door import Door
from labcycle_lambdas.endpoint.environment import Environment
from labcycle_lambdas.responding import client, respond, settle


@cache
def environment() -> Environment:
    return Environment.read()


@cache
def door() -> Door:
    """Made once a sandbox."""
    # Once: who asks again does so knowingly, and an endpoint that is too slow would only get more to do.
    patience = Config(connect_timeout=2, read_timeout=environment().patience_seconds, retries={"total_max_attempts": 1})
    made = Door(environment(), client("sagemaker-runtime", patience))
    settle()
    return made


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(event, "door of the model's endpoint", lambda: environment().team, lambda call: door().answer(call))
