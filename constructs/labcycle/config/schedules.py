"""Schedules as EventBridge Scheduler writes them.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from .vocabulary import Allowed

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_MOST_CHARACTERS = 256
# Smallest and greatest number of each field, and its words with the number of the first.
_FIELDS: dict[str, tuple[int, int, list[str]]] = {
    "minutes": (0, 59, []),
    "hours": (0, 23, []),
    "day of month": (1, 31, []),
    "month": (1, 12, _MONTHS),
    "day of week": (1, 7, _DAYS),
    "year": (1970, 2199, []),
}
_RATE = re.compile(r"rate\(([1-9][0-9]{0,5}) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(([^()]*)\)")


def is_schedule(text: str) -> bool:
    """Whether it is a rate or a cron expression that EventBridge Scheduler takes."""
    if len(text) > _MOST_CHARACTERS:
        return False
    if rate := _RATE.fullmatch(text):
        return (rate[1] == "1") != rate[2].endswith("s")
    cron = _CRON.fullmatch(text)
    if not cron:
        return False
    fields = cron[1].split(" ")
    if len(fields) != len(_FIELDS) or not all(map(_is_field, _FIELDS, fields)):
        return False
    return (fields[2] == "?") != (fields[4] == "?")  # one of the two days says when, the other nothing


def is_time_zone(name: str) -> bool:
    """Whether it is a time zone of the IANA database; of a machine without one, whether it may be."""
    return name in (available_timezones() or {name})


def _is_field(name: str, text: str) -> bool:
    if text == "?":
        return name in ("day of month", "day of week")
    return all(_is_part(name, part) for part in text.split(","))


def _is_part(name: str, text: str) -> bool:
    if name == "day of month" and (text in ("L", "LW") or re.fullmatch(r"([1-9]|[12][0-9]|3[01])W", text)):
        return True
    if name == "day of week" and (text == "L" or re.fullmatch(r"([1-7]|[A-Z]{3})(L|#[1-5])", text)):
        return text == "L" or _number(name, re.split("[L#]", text)[0]) is not None
    span, slash, step = text.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    begin, end = _number(name, first), _number(name, last if dash else first)
    return begin is not None and end is not None and begin <= end


def _number(name: str, text: str) -> int | None:
    low, high, words = _FIELDS[name]
    if text in words:
        return words.index(text) + 1
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        return None
    return int(text) if low <= int(text) <= high else None


def as_schedule(value: str) -> str:
    """The text, if `is_schedule` says so; for a field of the configuration."""
    if not is_schedule(value):
        raise PydanticCustomError("schedule", "no schedule of EventBridge Scheduler")
    return value


def _time_zone(value: str) -> str:
    if not is_time_zone(value):
        raise PydanticCustomError("unknown_name", "unknown time zone", {"known": sorted(available_timezones())})
    return value


ScheduleExpression = Annotated[
    str,
    StringConstraints(max_length=_MOST_CHARACTERS),
    AfterValidator(as_schedule),
    Allowed(
        "cron(minutes hours day-of-month month day-of-week year), with ? for one of the two days, or rate(number unit)",
        "Write it as in cron(0 5 * * ? *), every day at five, or rate(12 hours)",
    ),
]
CronExpression = Annotated[
    str,
    StringConstraints(pattern=r"^cron\(.*\)$", max_length=_MOST_CHARACTERS),
    AfterValidator(as_schedule),
    Allowed(
        "cron(minutes hours day-of-month month day-of-week year), with ? for one of the two days",
        "Write it as in cron(0 20 ? * MON-FRI *), from Monday to Friday at eight in the evening",
    ),
]
TimeZone = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", max_length=50),
    AfterValidator(_time_zone),
    Allowed("a time zone of the IANA database such as Europe/Berlin"),
]
