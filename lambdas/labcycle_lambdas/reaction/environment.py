"""The reaction's settings, from its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from labcycle_lambdas.reaction.scoring import METRICS
from labcycle_lambdas.variables import required

AUTOMATIC, AFTER_REVIEW = "automatic", "after_review"
_REQUIRED = (
    "LEDGER_TABLE",
    "ARTIFACT_BUCKET",
    "TEAM",
    "MODEL",
    "TRAINING_METRIC",
    "MINIMUM_GAIN",
    "PROMOTE",
    "COOL_DOWN_HOURS",
    "LONGEST_SECONDS",
)


@dataclass(frozen=True)
class Environment:
    """`longest` is how long one reaction can take: the time-out of the state machine."""

    ledger_table: str
    artifact_bucket: str
    team: str
    model: str
    metric: str
    minimum_gain: float
    promote: str
    cool_down: timedelta
    longest: timedelta

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises RuntimeError if a variable is missing, ValueError if one has no allowed value."""
        required(_REQUIRED, variables, "reaction function")
        if variables["PROMOTE"] not in (AUTOMATIC, AFTER_REVIEW):
            raise ValueError(f"PROMOTE is {variables['PROMOTE']!r}; allowed: {AUTOMATIC}, {AFTER_REVIEW}")
        if variables["TRAINING_METRIC"] not in METRICS:
            raise ValueError(f"TRAINING_METRIC is {variables['TRAINING_METRIC']!r}; allowed: {', '.join(METRICS)}")
        return cls(
            ledger_table=variables["LEDGER_TABLE"],
            artifact_bucket=variables["ARTIFACT_BUCKET"],
            team=variables["TEAM"],
            model=variables["MODEL"],
            metric=variables["TRAINING_METRIC"],
            minimum_gain=float(variables["MINIMUM_GAIN"]),
            promote=variables["PROMOTE"],
            cool_down=timedelta(hours=float(variables["COOL_DOWN_HOURS"])),
            longest=timedelta(seconds=float(variables["LONGEST_SECONDS"])),
        )
