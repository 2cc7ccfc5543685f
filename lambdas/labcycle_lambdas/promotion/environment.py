"""What the function is told by its stack."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from labcycle_lambdas.variables import required

_REQUIRED = (
    "LEDGER_TABLE",
    "ARTIFACT_BUCKET",
    "TEAM",
    "MODEL",
    "CANARY_PERCENTS",
    "STEP_MINUTES",
    "LONGEST_HOURS",
    "MINIMUM_REQUESTS",
    "SERVER_MEMORY_MB",
    "SERVER_TIMEOUT_SECONDS",
)


@dataclass(frozen=True)
class Environment:
    """The policy of a model. A share is watched for `step` at least, and until it had `minimum_requests` for `longest` at most."""

    ledger_table: str
    artifact_bucket: str
    team: str
    model: str
    percents: tuple[int, ...]
    step: timedelta
    longest: timedelta
    minimum_requests: int
    server_memory_mb: int
    server_timeout_seconds: int
    complete_runs: bool = False
    second_person: bool = False
    newest_data_days: int | None = None
    cohorts: tuple[str, ...] = ()
    runtime: str = ""  # as `lifecycle.flavours.Runtime` reads it

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        table, bucket, team, model, percents, minutes, hours, requests, memory, seconds = required(
            _REQUIRED, variables, "promotion function"
        )
        days = variables.get("NEWEST_DATA_DAYS", "")
        return cls(
            ledger_table=table,
            artifact_bucket=bucket,
            team=team,
            model=model,
            percents=tuple(int(percent) for percent in percents.split(",")),
            step=timedelta(minutes=int(minutes)),
            longest=timedelta(hours=int(hours)),
            minimum_requests=int(requests),
            server_memory_mb=int(memory),
            server_timeout_seconds=int(seconds),
            complete_runs=variables.get("COMPLETE_RUNS") == "true",
            second_person=variables.get("SECOND_PERSON") == "true",
            newest_data_days=int(days) if days else None,
            cohorts=tuple(json.loads(variables.get("COHORTS") or "[]")),
            runtime=variables.get("RUNTIME", ""),
        )
