"""The reaction's settings, from its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from labcycle_lambdas.reaction.policies import Policies
from labcycle_lambdas.reaction.scoring import METRICS
from labcycle_lambdas.variables import required

_REQUIRED = ("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM", "MODEL", "POLICIES", "LONGEST_SECONDS")


@dataclass(frozen=True)
class Environment:
    """`longest` is how long one reaction can take, without the wait for a review."""

    ledger_table: str
    artifact_bucket: str
    team: str
    model: str
    policies: Policies
    longest: timedelta

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises RuntimeError if a variable is missing, ValueError if one has no allowed value."""
        table, bucket, team, model, policies, seconds = required(_REQUIRED, variables, "reaction function")
        read = Policies.read(policies)
        if read.training and read.training.metric not in METRICS:
            raise ValueError(f"the metric is {read.training.metric!r}; allowed: {', '.join(METRICS)}")
        return cls(table, bucket, team, model, read, timedelta(seconds=float(seconds)))
