"""The time that a schedule meant, which EventBridge Scheduler fills in: repeats of one call carry one time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def scheduled_time(event: Mapping[str, Any]) -> datetime | None:
    """The time that the schedule meant, however late the call is. None where there is none, or none that was filled in."""
    try:
        at = datetime.fromisoformat(str(event.get("scheduled_time", "")))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
