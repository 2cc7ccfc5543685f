"""What the function is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from labcycle_lambdas.variables import required


@dataclass(frozen=True)
class Environment:
    ledger_table: str
    anchor_bucket: str
    team: str

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        return cls(*required(("LEDGER_TABLE", "ANCHOR_BUCKET", "TEAM"), variables, "anchoring function"))
