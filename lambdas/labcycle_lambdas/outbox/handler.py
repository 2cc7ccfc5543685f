"""Entry point of the outbox function, called by Lambda's poller of the table's stream."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from labcycle_lambdas.anchor_age import age_line
from labcycle_lambdas.ledger.anchors import Anchors
from labcycle_lambdas.ledger.table import Table, Throttled
from labcycle_lambdas.outbox.environment import Environment
from labcycle_lambdas.outbox.outbox import Outbox


def handle(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """What was not sent, from where Lambda calls again.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    """
    environment = Environment.read()
    outbox, anchors = _made(environment)
    failed = outbox.send(event["Records"])
    # Told here, since only where something happens can anchoring fall behind, and anchoring itself may not run at all.
    with suppress(Throttled):  # the events are sent, and must not be sent again for it
        print(age_line(environment.team, anchors.oldest(), datetime.now(UTC)))
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}


@cache
def _made(environment: Environment) -> tuple[Outbox, Anchors]:
    table = Table(boto3.client("dynamodb"), environment.ledger_table)
    return Outbox(boto3.client("events"), environment.event_bus, environment.team), Anchors(table)
