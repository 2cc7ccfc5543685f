"""Entry point of the evaluator function, called by EventBridge Scheduler, or by hand with {}."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.monitoring.coverage import Counted
from labcycle_lambdas.monitoring.drift import DriftJudge
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.monitoring.evaluation import Evaluator
from labcycle_lambdas.monitoring.evaluation_line import evaluation_line
from labcycle_lambdas.monitoring.freshness import FreshnessJudge
from labcycle_lambdas.monitoring.judging import Judge
from labcycle_lambdas.monitoring.metrics import publish
from labcycle_lambdas.scheduled import scheduled_time


class NotAllJudged(Exception):
    """Some subjects could not be judged; what was found of the others is recorded and published."""


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The evaluation of the event's `scheduled_time` (without one: of now).

    Raises
    ------
    NotAllJudged
        If a subject could not be judged, so that the call is made again, and ends among the dead letters.
    """
    environment = Environment.read()
    at = scheduled_time(event) or datetime.now(UTC)
    who = Who.service(context.function_name, context.aws_request_id)
    evaluation = evaluator(environment).evaluate(at, who)
    publish(_client("cloudwatch"), environment.team, evaluation)
    print(evaluation_line(evaluation))
    if errors := evaluation["errors"]:
        raise NotAllJudged("; ".join(f"{subject}: {error}" for subject, error in errors.items()))
    return evaluation


@cache
def evaluator(environment: Environment) -> Evaluator:
    table = Table(_client("dynamodb"), environment.ledger_table)
    return Evaluator(
        environment, table, Deployments(table), Evaluations(table, Custody(table)), judges(environment, table)
    )


def judges(environment: Environment, table: Table) -> list[Judge]:
    """One for each subject that is watched."""
    model, profiles = environment.model, Profiles(table)
    counted = Counted(_client("cloudwatch"), environment.requests) if environment.requests else None
    found: list[Judge] = [DriftJudge(model, environment.drift, profiles, counted)]
    if environment.freshness:
        found.append(FreshnessJudge(model, environment.freshness, profiles, table))
    return found


@cache
def _client(service: Any) -> Any:
    return boto3.client(service)
