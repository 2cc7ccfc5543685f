"""The evaluator's settings, from its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from labcycle_lambdas.variables import required

_REQUIRED = ("LEDGER_TABLE", "TEAM", "MODEL", "DRIFT_THRESHOLD", "DRIFT_MINIMUM_ROWS", "DRIFT_PERSISTENCE")


@dataclass(frozen=True)
class Environment:
    """`window` is how far back an evaluation looks, never beyond the last promotion."""

    ledger_table: str
    team: str
    model: str
    threshold: float
    minimum_rows: int
    persistence: int
    window: timedelta

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises RuntimeError if a variable is missing, ValueError if a number is none."""
        required(_REQUIRED, variables, "drift evaluator")
        return cls(
            ledger_table=variables["LEDGER_TABLE"],
            team=variables["TEAM"],
            model=variables["MODEL"],
            threshold=float(variables["DRIFT_THRESHOLD"]),
            minimum_rows=int(variables["DRIFT_MINIMUM_ROWS"]),
            persistence=int(variables["DRIFT_PERSISTENCE"]),
            window=timedelta(hours=float(variables.get("DRIFT_WINDOW_HOURS") or 24)),
        )
