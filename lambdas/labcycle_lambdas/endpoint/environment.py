"""What the door is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from labcycle_lambdas.variables import required


@dataclass(frozen=True)
class Environment:
    """`body_bytes` is the longest request that the endpoint takes; `patience_seconds` how long its answer is waited for."""

    team: str
    model: str
    endpoint: str
    body_bytes: int
    patience_seconds: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises RuntimeError if a variable is missing, ValueError if a number is none."""
        named = ("TEAM", "MODEL", "ENDPOINT", "BODY_BYTES", "PATIENCE_SECONDS")
        team, model, endpoint, body_bytes, patience = required(named, variables, "door of the endpoint")
        return cls(team, model, endpoint, int(body_bytes), int(patience))


@dataclass(frozen=True)
class AsynchronousEnvironment:
    """Of the door of a model that answers later; `timeout_seconds` is the longest that an answer may take."""

    team: str
    model: str
    endpoint: str
    ledger_table: str
    artifact_bucket: str
    timeout_seconds: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> AsynchronousEnvironment:
        """Raises RuntimeError if a variable is missing, ValueError if a number is none."""
        named = ("TEAM", "MODEL", "ENDPOINT", "LEDGER_TABLE", "ARTIFACT_BUCKET", "TIMEOUT_SECONDS")
        team, model, endpoint, table, bucket, seconds = required(named, variables, "door of the endpoint")
        return cls(team, model, endpoint, table, bucket, int(seconds))
