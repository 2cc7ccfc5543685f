"""What the function is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from zoneinfo import ZoneInfo

from labcycle_lambdas.profiles import Method
from labcycle_lambdas.variables import required

_REQUIRED = (
    *("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM", "MODEL", "BUSINESS_OWNER", "SENDER", "RECIPIENTS"),
    *("DAYS", "TIME_ZONE", "DRIFT_METHOD", "DRIFT_THRESHOLD", "DRIFT_MINIMUM_ROWS"),
)


@dataclass(frozen=True)
class Environment:
    """`days` is how many whole days a report looks back on; `minimum_rows` is below what a figure is mostly chance."""

    ledger_table: str
    artifact_bucket: str
    team: str
    model: str
    business_owner: str
    sender: str
    recipients: tuple[str, ...]
    days: int
    zone: ZoneInfo
    method: Method
    threshold: float
    minimum_rows: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises RuntimeError if a variable is missing, ValueError if a number is none."""
        required(_REQUIRED, variables, "report function")
        return cls(
            ledger_table=variables["LEDGER_TABLE"],
            artifact_bucket=variables["ARTIFACT_BUCKET"],
            team=variables["TEAM"],
            model=variables["MODEL"],
            business_owner=variables["BUSINESS_OWNER"],
            sender=variables["SENDER"],
            recipients=tuple(variables["RECIPIENTS"].split(",")),
            days=int(variables["DAYS"]),
            zone=ZoneInfo(variables["TIME_ZONE"]),
            method=cast(Method, variables["DRIFT_METHOD"]),
            threshold=float(variables["DRIFT_THRESHOLD"]),
            minimum_rows=int(variables["DRIFT_MINIMUM_ROWS"]),
        )
