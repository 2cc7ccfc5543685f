"""The tracking function: MLflow's REST protocol over the ledger."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.config import Config

from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.responding import client, respond, settle
from labcycle_lambdas.tracking.artifacts import SIGNING, ArtifactStore
from labcycle_lambdas.tracking.environment import Environment
from labcycle_lambdas.tracking.ledgers import Ledgers
from labcycle_lambdas.tracking.routes import answer

# All tries together end well before API Gateway gives up at 30 s: a 504 would be retried for minutes by the client.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
# What botocore would do for each call again takes as long as the rest: it composes its name, and checks what `Table` sends,
# which makes its keys and items itself.
_LEDGER_CONFIG = _CONFIG.merge(Config(parameter_validation=False, user_agent="labcycle"))


@cache
def ledgers() -> Ledgers:
    """Made once a sandbox. The S3 client is made when it is first needed: most requests do without."""
    environment = Environment.read()
    table = Table(client("dynamodb", _LEDGER_CONFIG), environment.ledger_table)
    signing = _CONFIG.merge(SIGNING)
    artifacts = ArtifactStore(lambda: client("s3", signing), environment.artifact_bucket)
    members = Members.read(environment.team, environment.members)
    made = Ledgers.over(table, artifacts, members, requests_per_second=environment.requests_per_second)
    settle()
    return made


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(event, "tracking function", lambda: ledgers().members.team, lambda call: answer(ledgers(), call))
