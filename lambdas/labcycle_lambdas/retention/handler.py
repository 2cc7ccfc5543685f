"""The retention function: what a team's rules let go, and letting it go."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from botocore.config import Config

from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.responding import client, respond
from labcycle_lambdas.retention.environment import Environment
from labcycle_lambdas.retention.erasure import Retention
from labcycle_lambdas.retention.routes import Api
from labcycle_lambdas.retention.rules import read_rules

_CONFIG = Config(connect_timeout=2, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})


@cache
def api() -> Api:
    """Made once a sandbox."""
    environment = Environment.read()
    retention = Retention(
        Table(client("dynamodb", _CONFIG), environment.ledger_table),
        cache(lambda: client("s3", _CONFIG)),
        environment.artifact_bucket,
        read_rules(environment.rules),
        lambda: int(time.time() * 1000),
    )
    return Api(retention, Members.read(environment.team, environment.members))


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(event, "retention function", lambda: api().members.team, lambda call: api().answer(call))
