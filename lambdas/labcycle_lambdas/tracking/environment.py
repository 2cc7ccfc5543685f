"""What the function is told by its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Environment:
    ledger_table: str
    artifact_bucket: str
    team: str

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        names = ("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM")
        missing = [name for name in names if not variables.get(name)]
        if missing:
            raise RuntimeError(f"the tracking function needs the environment variable {', '.join(missing)}")
        return cls(*(variables[name] for name in names))
