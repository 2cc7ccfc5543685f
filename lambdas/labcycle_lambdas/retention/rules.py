"""What a team lets go: runs of a status that nobody wrote to for so many days."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

DELETED = "deleted"
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Rule:
    """`status` is `deleted` (whatever the run's own status is) or one of MLflow's, in lower case."""

    status: str
    days: int

    def lets_go(self, status: str, stage: str, changed_ms: int, now_ms: int) -> bool:
        of_it = stage == "deleted" if self.status == DELETED else stage == "active" and status.lower() == self.status
        return of_it and now_ms - changed_ms >= self.days * _DAY_MS


def read_rules(text: str) -> list[Rule]:
    """From `[{"status": "failed", "days": 90}, ...]`."""
    return [Rule(rule["status"], int(rule["days"])) for rule in json.loads(text)]


def first_that_lets_go(rules: Sequence[Rule], status: str, stage: str, changed_ms: int, now_ms: int) -> Rule | None:
    return next((rule for rule in rules if rule.lets_go(status, stage, changed_ms, now_ms)), None)
