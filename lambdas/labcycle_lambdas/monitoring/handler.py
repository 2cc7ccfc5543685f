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
from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.monitoring.arrivals import AfterTakingIn, Arrivals
from labcycle_lambdas.monitoring.coverage import Counted
from labcycle_lambdas.monitoring.drift import DriftJudge
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.monitoring.evaluation import Evaluator
from labcycle_lambdas.monitoring.evaluation_line import evaluation_line
from labcycle_lambdas.monitoring.freshness import FreshnessJudge
from labcycle_lambdas.monitoring.judging import Judge
from labcycle_lambdas.monitoring.metrics import publish
from labcycle_lambdas.monitoring.realised import BusinessJudge, PerformanceJudge
from labcycle_lambdas.outcomes.store import Store
from labcycle_lambdas.outcomes.sums import KINDS
from labcycle_lambdas.scheduled import scheduled_time

_LEFT_MS = 90_000  # for judging, once outcomes are taken in


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
    evaluation = evaluator(environment).evaluate(at, who, lambda: context.get_remaining_time_in_millis() > _LEFT_MS)
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
    if environment.performance or environment.outcome:
        found += _of_outcomes(environment, table, profiles)
    if environment.freshness:
        found.append(FreshnessJudge(model, environment.freshness, profiles, table))
    return found


def _of_outcomes(environment: Environment, table: Table, profiles: Profiles) -> list[Judge]:
    model, outcomes = environment.model, Outcomes(table)
    kind = KINDS[environment.performance.metric] if environment.performance else "none"
    arrivals = Arrivals(table, Store(_client("s3"), environment.artifact_bucket, model), kind)
    found: list[Judge] = []
    if environment.performance:
        found.append(PerformanceJudge(model, environment.performance, outcomes, profiles))
    if environment.outcome:
        found.append(BusinessJudge(model, environment.outcome, outcomes, profiles))
    return [AfterTakingIn(judge, arrivals) for judge in found]


@cache
def _client(service: Any) -> Any:
    return boto3.client(service)
