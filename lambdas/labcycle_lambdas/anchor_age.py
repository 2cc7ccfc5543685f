"""How long the oldest event waits to be anchored: the one metric that tells that anchoring does not keep up."""

from __future__ import annotations

from datetime import datetime

from labcycle_lambdas.embedded_metric import metric_line

NAME = "OldestUnanchoredSeconds"


def age_line(team: str, oldest: str, now: datetime) -> str:
    """The metric, as a line of the log; `oldest` as `Anchors.oldest` tells it."""
    seconds = max(0.0, (now - datetime.fromisoformat(oldest)).total_seconds()) if oldest else 0.0
    return metric_line(team, NAME, seconds, "Seconds", now)
