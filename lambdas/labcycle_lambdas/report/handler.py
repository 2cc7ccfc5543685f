"""Entry point of the report function, called by EventBridge Scheduler, or by hand with {}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.reports import Reports
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.report.content import Reader
from labcycle_lambdas.report.environment import Environment
from labcycle_lambdas.report.sending import Sending
from labcycle_lambdas.scheduled import scheduled_time

# A repeat of botocore's own after a lost answer would send the mail a second time.
_ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=10, read_timeout=60)


def handle(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """The report of the event's `scheduled_time` (without one: of now)."""
    sent = _sending(Environment.read()).report(scheduled_time(event) or datetime.now(UTC))
    print(json.dumps({"level": "INFO", "report": sent}))
    return dict(sent)


@cache
def _sending(environment: Environment) -> Sending:
    table = Table(boto3.client("dynamodb"), environment.ledger_table)
    custody = Custody(table)
    reader = Reader(environment, Deployments(table), custody, Profiles(table), Evaluations(table, custody))
    ses: Any = boto3.client("sesv2", config=_ONCE)
    return Sending(environment, reader, Reports(table), boto3.client("s3"), ses)
