"""Entry point of the anchoring function, called by EventBridge Scheduler, or by hand with {}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from labcycle_lambdas.anchor_age import age_line
from labcycle_lambdas.anchoring.anchoring import Anchoring
from labcycle_lambdas.anchoring.environment import Environment
from labcycle_lambdas.anchoring.store import AnchorStore
from labcycle_lambdas.ledger.anchors import Anchors
from labcycle_lambdas.ledger.table import Table

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 6})


def handle(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """The anchors that were written. While nothing happens in the team, it writes nothing, metrics included."""
    environment = Environment.read()
    anchors, anchoring = _made(environment)
    if not anchors.oldest():
        return {"anchors": []}
    try:
        written = [asdict(anchor) for anchor in anchoring.anchor()]
        for anchor in written:
            print(json.dumps({"level": "INFO", "anchor": anchor}))
        return {"anchors": written}
    finally:
        print(age_line(environment.team, anchors.oldest(), datetime.now(UTC)))


@cache
def _made(environment: Environment) -> tuple[Anchors, Anchoring]:
    anchors = Anchors(Table(boto3.client("dynamodb", config=_CONFIG), environment.ledger_table))
    store = AnchorStore(boto3.client("s3", config=_CONFIG), environment.anchor_bucket)
    return anchors, Anchoring(anchors, store, environment.team)
