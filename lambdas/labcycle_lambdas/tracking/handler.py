"""The tracking function: MLflow's REST protocol over the ledger."""

from __future__ import annotations

from functools import cache
from typing import Any

from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.responding import LEDGER, PATIENCE, client, respond, settle
from labcycle_lambdas.tracking.artifacts import SIGNING, ArtifactStore
from labcycle_lambdas.tracking.environment import Environment
from labcycle_lambdas.tracking.ledgers import Ledgers
from labcycle_lambdas.tracking.routes import answer


@cache
def ledgers() -> Ledgers:
    """Made once a sandbox. The S3 client is made when it is first needed: most requests do without."""
    environment = Environment.read()
    table = Table(client("dynamodb", LEDGER), environment.ledger_table)
    signing = PATIENCE.merge(SIGNING)
    artifacts = ArtifactStore(lambda: client("s3", signing), environment.artifact_bucket)
    members = Members.read(environment.team, environment.members)
    made = Ledgers.over(table, artifacts, members, requests_per_second=environment.requests_per_second)
    settle()
    return made


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(event, "tracking function", lambda: ledgers().members.team, lambda call: answer(ledgers(), call))
