"""How often a schedule runs, and what is there in the mean where schedules change it.

Counted over four years with one leap day: a weekday comes 4.3 times a month, the 31st seven times in twelve months. A year in the expression
says when it runs at all, not how often.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

from labcycle.config.price_list import HOURS_A_MONTH
from labcycle.config.schedules import is_schedule

_BEGIN, _DAYS, _MONTHS = date(2025, 1, 1), 4 * 365 + 1, 48
_HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0}
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@lru_cache
def runs_a_month(expression: str) -> float | None:
    """Runs in a month of 730 hours, or in the mean of 48 months of a calendar; 0 of what runs once, None where it cannot be read."""
    if expression.startswith("at("):
        return 0.0
    if not is_schedule(expression):
        return None
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return HOURS_A_MONTH / (int(rate[1]) * _HOURS[rate[2]])
    minutes, hours, *_ = _fields(expression)
    times = len(_numbers(minutes, 0, 59)) * len(_numbers(hours, 0, 23))
    return sum(times for _ in days(expression)) / _MONTHS


def mean(before: float, changes: Sequence[tuple[str, float]]) -> float | None:
    """The mean of a number that crons change, each to a value of its own; None where one is no cron.

    Parameters
    ----------
    before
        What it is where nothing changes it.
    """
    if not all(expression.startswith("cron(") and is_schedule(expression) for expression, _ in changes):
        return None
    moments = sorted((moment, value) for expression, value in changes for moment in _moments(expression))
    if not moments:
        return before
    begin = datetime.combine(_BEGIN, datetime.min.time())
    end = begin + timedelta(days=_DAYS)
    value, since, total = moments[-1][1], begin, 0.0  # as the four years before ended
    for moment, following in [*moments, (end, 0.0)]:
        total += value * ((moment - since) / timedelta(hours=1))
        value, since = following, moment
    return total / ((end - begin) / timedelta(hours=1))


def _moments(expression: str) -> Iterator[datetime]:
    minutes, hours, *_ = _fields(expression)
    for day in days(expression):
        for hour in _numbers(hours, 0, 23):
            for minute in _numbers(minutes, 0, 59):
                yield datetime(day.year, day.month, day.day, hour, minute)


def days(expression: str) -> Iterator[date]:
    """The days of the four years on which a cron runs."""
    _, _, of_month, month, of_week, _ = _fields(expression)
    months = _numbers(month, 1, 12, _MONTH_NAMES)
    for number in range(_DAYS):
        day = _BEGIN + timedelta(days=number)
        if day.month in months and (_is_day_of_month(day, of_month) if of_week == "?" else _is_weekday(day, of_week)):
            yield day


def _fields(expression: str) -> list[str]:
    return expression.removeprefix("cron(").removesuffix(")").split(" ")


def _numbers(text: str, low: int, high: int, names: Sequence[str] = ()) -> frozenset[int]:
    """All numbers that a field stands for; those of `names` begin with `low`."""

    def number(word: str) -> int:
        return names.index(word) + low if word in names else int(word)

    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if first == "*" else number(first)
        end = number(last) if dash else high if first == "*" or step else begin
        found.update(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


def _is_day_of_month(day: date, text: str) -> bool:
    return any(_is_one_day(day, part) for part in text.split(","))


def _is_one_day(day: date, part: str) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        return day == _nearest_weekday(day.replace(day=last if part == "LW" else min(last, int(part[:-1]))))
    return day.day in _numbers(part, 1, 31)


def _nearest_weekday(day: date) -> date:
    """From Monday to Friday, within the month."""
    by = {5: (-1, 2), 6: (1, -2)}.get(day.weekday(), (0, 0))
    near = day + timedelta(days=by[0])
    return near if near.month == day.month else day + timedelta(days=by[1])


def _is_weekday(day: date, text: str) -> bool:
    number = day.isoweekday() % 7 + 1  # Sunday is 1
    for part in text.split(","):
        name, mark, which = part.partition("#")
        if part == "L":
            fits = number == 7
        elif mark:
            fits = number in _numbers(name, 1, 7, _DAY_NAMES) and (day.day + 6) // 7 == int(which)
        elif part.endswith("L"):
            in_last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
            fits = number in _numbers(part[:-1], 1, 7, _DAY_NAMES) and in_last
        else:
            fits = number in _numbers(part, 1, 7, _DAY_NAMES)
        if fits:
            return True
    return False
