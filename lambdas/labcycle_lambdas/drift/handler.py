"""Entry point of the evaluator function, called by EventBridge Scheduler, or by hand with {}."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.drift.environment import Environment
from labcycle_lambdas.drift.evaluation import Evaluator
from labcycle_lambdas.drift.metric import publish
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.scheduled import scheduled_time


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The evaluation of the event's `scheduled_time` (without one: of now)."""
    environment = Environment.read()
    at = scheduled_time(event) or datetime.now(UTC)
    who = Who.service(context.function_name, context.aws_request_id)
    evaluation = _evaluator(environment).evaluate(at, who)
    publish(_client("cloudwatch"), environment.team, evaluation)
    return evaluation


@cache
def _evaluator(environment: Environment) -> Evaluator:
    table = Table(_client("dynamodb"), environment.ledger_table)
    return Evaluator(environment, table, Deployments(table), Profiles(table), Evaluations(table, Custody(table)))


@cache
def _client(service: Any) -> Any:
    return boto3.client(service)
