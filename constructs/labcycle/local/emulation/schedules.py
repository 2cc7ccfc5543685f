"""EventBridge schedules fire: checked every second, on the movable clock, `at()` in the schedule's own time zone."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ministack.services import eventbridge, scheduler

EVERY_SECONDS = 1.0
_AT = re.compile(r"at\((.+)\)$")


def install() -> None:
    """MiniStack looks every ten seconds and reads `at()` as UTC whatever ScheduleExpressionTimezone says."""
    original = scheduler._tick_schedules

    def tick() -> None:
        changed: list[tuple[dict[str, Any], str]] = []
        for schedule in list(scheduler._schedules._data.values()):
            expression = schedule.get("ScheduleExpression", "")
            zone = schedule.get("ScheduleExpressionTimezone") or "UTC"
            found = _AT.match(expression)
            if found and zone != "UTC":
                changed.append((schedule, expression))
                moment = datetime.fromisoformat(found[1]).replace(tzinfo=ZoneInfo(zone))
                schedule["ScheduleExpression"] = f"at({moment.isoformat()})"
        try:
            original()
        finally:
            for schedule, expression in changed:
                schedule["ScheduleExpression"] = expression

    scheduler._tick_schedules = tick
    scheduler._SCHEDULE_TICK_INTERVAL = EVERY_SECONDS


def fire_due() -> None:
    """Fire what is due now: schedules, and rules with a schedule."""
    scheduler._tick_schedules()
    tick_rules = getattr(eventbridge, "_tick_scheduled_rules", None)
    if tick_rules is not None:
        tick_rules()
