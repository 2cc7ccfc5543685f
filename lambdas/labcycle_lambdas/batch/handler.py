"""Entry point of the batch function: one call a step of the state machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.batch.environment import Environment
from labcycle_lambdas.batch.steps import Steps
from labcycle_lambdas.batch.store import Store
from labcycle_lambdas.batch.watching import Watching
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.loading import Loader, import_at_start

import_at_start()


def handle(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """`event` holds `action`, `execution` (its name), and what the step before answered."""
    return _steps(Environment.read()).do(event)


@cache
def _steps(environment: Environment) -> Steps:
    s3, table = boto3.client("s3"), Table(boto3.client("dynamodb"), environment.ledger_table)
    store = Store(s3, environment.artifact_bucket)
    return Steps(
        environment,
        store,
        Deployments(table),
        Loader(s3, environment.artifact_bucket),
        Watching(Profiles(table), store, environment.model, Keeping.of(environment.capture)),
    )
