"""The life cycle function: promote, roll back, deployment, custody."""

from __future__ import annotations

from functools import cache
from typing import Any

from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lifecycle.environment import Environment
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.parameters import (
    cohorts,
    declared,
    kept_of_records,
    remembered,
    server_memory_mb,
    server_runs_on,
    server_runtime,
    shadow_place,
)
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from labcycle_lambdas.responding import PATIENCE, client, respond


@cache
def lifecycle() -> Lifecycle:
    """Made once a sandbox."""
    environment = Environment.read()
    table = Table(client("dynamodb"), environment.ledger_table)
    ssm = client("ssm")
    preflight = Preflight(
        table,
        client("s3"),
        environment.artifact_bucket,
        lambda model: server_memory_mb(ssm, environment.team, model),
        lambda model: shadow_place(ssm, environment.team, model),
        lambda model: server_runtime(ssm, environment.team, model),
        lambda model: server_runs_on(ssm, environment.team, model),
        lambda model: declared(ssm, environment.team, model),
        lambda model: cohorts(ssm, environment.team, model),
        remembered(lambda model: kept_of_records(ssm, environment.team, model)),
    )
    machines = Machines(ssm, client("stepfunctions", PATIENCE), environment.team)
    return Lifecycle(table, preflight, Members.read(environment.team, environment.members), machines)


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(
        event, "life cycle function", lambda: lifecycle().members.team, lambda call: lifecycle().answer(call)
    )
