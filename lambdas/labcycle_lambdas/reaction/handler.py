"""Entry point of the reaction function: one call a step of the state machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.promotions import Promotions
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.parameters import server_memory_mb, server_runtime
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.steps import Steps


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """`event` holds `action`, `execution` (its name), and what the steps before answered."""
    who = Who.service(context.function_name, event["execution"])
    return _steps(Environment.read()).do(event, datetime.now(UTC), who)


@cache
def _steps(environment: Environment) -> Steps:
    table, s3, ssm = Table(boto3.client("dynamodb"), environment.ledger_table), boto3.client("s3"), boto3.client("ssm")
    training = environment.policies.training
    return Steps(
        environment,
        table,
        s3,
        Deployments(table),
        Promotions(table),
        Machines(ssm, boto3.client("stepfunctions"), environment.team),
        Runs(table, experiments=Experiments(table, f"s3://{environment.artifact_bucket}/experiments")),
        Registry(table),
        Reactions(table, Custody(table)),
        Preflight(
            table,
            s3,
            environment.artifact_bucket,
            lambda model: server_memory_mb(ssm, environment.team, model),
            server_runtime=lambda model: server_runtime(ssm, environment.team, model),
            cohorts=lambda model: training.cohorts if training else (),
        ),
    )
