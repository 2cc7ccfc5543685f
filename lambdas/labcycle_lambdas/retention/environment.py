"""What the function is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from labcycle_lambdas.variables import required


@dataclass(frozen=True)
class Environment:
    """`rules` as in rules.py; `members` as in labcycle_lambdas.members."""

    ledger_table: str
    artifact_bucket: str
    team: str
    rules: str
    members: str

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        names = ("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM", "RETENTION")
        table, bucket, team, rules = required(names, variables, "retention function")
        return cls(table, bucket, team, rules, variables.get("MEMBERS", ""))
