"""One movable clock for schedules, alarms, metrics, events and queues; the rest of the server keeps the real time.

MiniStack's modules read `time.time()` and `datetime.now()`: the names are replaced in the modules that decide when
something is due. SQS belongs to them, since EventBridge stamps a message's time and SQS compares it.
"""

from __future__ import annotations

import datetime as datetime_module
import time as time_module
from typing import Any

from ministack.services import cloudwatch, eventbridge, scheduler, sqs

_offset_seconds = 0.0


def now() -> float:
    """Seconds since the epoch on the local cloud's clock."""
    return time_module.time() + _offset_seconds


def offset() -> float:
    """Seconds that the local cloud's clock is ahead."""
    return _offset_seconds


def advance(seconds: float) -> float:
    """Move the clock forward; returns the new time."""
    global _offset_seconds
    if seconds < 0:
        raise ValueError(f"the clock moves forward only: got {seconds} s")
    _offset_seconds += seconds
    return now()


class _Time:
    """Stands in for the module `time`."""

    time = staticmethod(now)

    def __getattr__(self, name: str) -> Any:
        return getattr(time_module, name)


class _Moment(datetime_module.datetime):
    """Stands in for the class `datetime`."""

    @classmethod
    def now(cls, tz: datetime_module.tzinfo | None = None) -> Any:
        return datetime_module.datetime.now(tz) + datetime_module.timedelta(seconds=_offset_seconds)


def install() -> None:
    for module in (cloudwatch, eventbridge, scheduler, sqs):
        module.time = _Time()
    for module in (eventbridge, scheduler):
        if hasattr(module, "datetime"):
            module.datetime = _Moment
