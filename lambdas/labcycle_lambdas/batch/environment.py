"""What the function is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from labcycle_lambdas.variables import required


@dataclass(frozen=True)
class Environment:
    """`tolerated_failure_percent`: of the rows of a run."""

    ledger_table: str
    artifact_bucket: str
    team: str
    model: str
    tolerated_failure_percent: float
    capture: str = ""  # what is kept of predictions, as `model_server.keeping` reads it

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        names = ("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM", "MODEL", "TOLERATED_FAILURE_PERCENT")
        table, bucket, team, model, percent = required(names, variables, "batch function")
        return cls(table, bucket, team, model, float(percent), variables.get("CAPTURE", ""))
