"""What the function is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from labcycle_lambdas.variables import required


@dataclass(frozen=True)
class Environment:
    ledger_table: str
    artifact_bucket: str
    team: str
    members: str  # see labcycle_lambdas.members; "" where the stack tells none

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        table, bucket, team = required(("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM"), variables, "life cycle function")
        return cls(table, bucket, team, variables.get("MEMBERS", ""))
