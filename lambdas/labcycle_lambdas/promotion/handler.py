"""Entry point of the promotion function: one call a step of the state machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.flavours import Runtime
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.promotion.environment import Environment
from labcycle_lambdas.promotion.probing import Probing
from labcycle_lambdas.promotion.steps import Steps


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """`event` holds `action`, `execution` (its name), and what a step that failed said."""
    environment, execution = Environment.read(), event["execution"]
    table, preflight = _means(environment)
    probing = Probing(preflight, environment.server_memory_mb, environment.server_timeout_seconds)
    who = Who.service(context.function_name, execution)
    return Steps(environment, table, preflight, probing, execution, datetime.now(UTC), who).do(event)


@cache
def _means(environment: Environment) -> tuple[Table, Preflight]:
    table, s3 = Table(boto3.client("dynamodb"), environment.ledger_table), boto3.client("s3")
    memory, runtime = environment.server_memory_mb, Runtime.read(environment.runtime)
    return table, Preflight(
        table,
        s3,
        environment.artifact_bucket,
        lambda model: memory,
        server_runtime=lambda model: runtime,
        cohorts=lambda model: environment.cohorts,
    )
