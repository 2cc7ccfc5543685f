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
    model: str
    shadow_function: str = ""  # which is shown what the live version answers, while a version is shadow
    consumers: str = ""  # those whose requests are counted here, as `quota.HardQuota.several` reads them
    runs_on: str = ""  # form and size of what the server runs on, in JSON, with the keys of the team file
    capture: str = ""  # what is kept beside profiles, as `keeping.Keeping.of` reads it
    suspended: bool = False  # whether a process may stand still between requests

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises `RuntimeError`, which names the variable, where one is missing."""
        named = ("LEDGER_TABLE", "ARTIFACT_BUCKET", "TEAM", "MODEL")
        table, bucket, team, model = required(named, variables, "model server")
        return cls(
            table,
            bucket,
            team,
            model,
            variables.get("SHADOW_FUNCTION", ""),
            variables.get("CONSUMERS", ""),
            variables.get("RUNS_ON", ""),
            variables.get("CAPTURE", ""),
            bool(variables.get("SUSPENDED")),
        )
