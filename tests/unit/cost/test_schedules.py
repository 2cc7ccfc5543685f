"""How often a schedule runs, held against counts by hand."""

from __future__ import annotations

from datetime import date

import pytest

from labcycle.cost.schedules import days, mean, runs_a_month

DAY = 1461 / 48  # in a month of the mean of four years
EVENING, MORNING = "cron(0 20 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("rate(60 minutes)", 730),
        ("rate(1 hour)", 730),
        ("rate(1 day)", 730 / 24),
        ("rate(30 days)", 730 / 720),
        ("rate(1 minute)", 43_800),
        ("cron(0 5 * * ? *)", DAY),
        ("cron(0 5 ? * * *)", DAY),
        ("cron(0,30 5-8 * * ? *)", 8 * DAY),
        ("cron(0/15 * * * ? *)", 96 * DAY),
        ("cron(10/20 0 * * ? *)", 3 * DAY),
        ("cron(0 0-23/6 * * ? *)", 4 * DAY),
        ("cron(0 7 1 * ? *)", 1),
        ("cron(0 7 1,15 JAN,JUL ? *)", 4 / 12),
        ("cron(0 7 31 * ? *)", 7 / 12),
        ("cron(0 7 29 2 ? *)", 1 / 48),
        ("cron(0 7 L * ? *)", 1),
        ("cron(0 7 LW * ? *)", 1),
        ("cron(0 7 ? * FRI#2 *)", 1),
        ("cron(0 7 ? * 6L *)", 1),
        ("cron(0 7 1 1 ? 2030)", 1 / 12),
        ("at(2030-01-01T00:00:00)", 0),
    ],
)
def test_runs_of_a_month_are_counted(expression: str, runs: float) -> None:
    assert runs_a_month(expression) == pytest.approx(runs)


@pytest.mark.parametrize(
    ("expression", "a_week"), [("cron(0 7 ? * MON *)", 1), ("cron(0 7 ? * 2-6 *)", 5), ("cron(0 7 ? * SAT,1 *)", 2)]
)
def test_weekdays_come_as_often_as_weeks(expression: str, a_week: int) -> None:
    assert runs_a_month(expression) == pytest.approx(a_week * DAY / 7, rel=0.005)


@pytest.mark.parametrize(
    "expression",
    ["", "rate(1 hours)", "rate(0 days)", "cron(0 5 * * * *)", "cron(61 5 * * ? *)", "every hour", "cron()"],
)
def test_what_cannot_be_read_is_not_counted(expression: str) -> None:
    assert runs_a_month(expression) is None


@pytest.mark.parametrize(
    ("expression", "month", "expected"),
    [
        ("cron(0 7 L * ? *)", 2, [28]),
        ("cron(0 7 LW * ? *)", 8, [29]),  # the 31st of August 2025 is a Sunday
        ("cron(0 7 1W * ? *)", 2, [3]),  # a Saturday, before which there is no day of the month
        ("cron(0 7 15W * ? *)", 6, [16]),  # a Sunday
        ("cron(0 7 15W * ? *)", 2, [14]),  # a Saturday
        ("cron(0 7 ? * 6#3 *)", 1, [17]),
        ("cron(0 7 ? * FRI#5 *)", 1, [31]),
        ("cron(0 7 ? * FRI#5 *)", 2, []),
        ("cron(0 7 ? * MONL *)", 3, [31]),
        ("cron(0 7 ? * L *)", 3, [1, 8, 15, 22, 29]),
        ("cron(0 7 ? * SUN *)", 3, [2, 9, 16, 23, 30]),
        ("cron(0 7 ? * 1 *)", 3, [2, 9, 16, 23, 30]),
    ],
)
def test_days_are_those_of_the_calendar(expression: str, month: int, expected: list[int]) -> None:
    assert [day.day for day in days(expression) if (day.year, day.month) == (2025, month)] == expected


def test_four_years_have_one_leap_day() -> None:
    found = list(days("cron(0 7 * * ? *)"))
    assert len(found) == 1461 and date(2028, 2, 29) in found


def test_hours_of_the_week_count_by_their_length() -> None:
    """From Monday to Friday from seven to eight in the evening are 65 of 168 hours."""
    assert mean(2, [(EVENING, 0), (MORNING, 2)]) == pytest.approx(2 * 65 / 168, rel=0.003)
    assert mean(4, [(EVENING, 1), (MORNING, 4)]) == pytest.approx((4 * 65 + 1 * 103) / 168, rel=0.003)


def test_what_was_set_last_year_still_holds() -> None:
    """One from July to September, five from October to June: the first half of the first year is a winter too."""
    found = mean(3, [("cron(0 0 1 JUL ? *)", 1), ("cron(0 0 1 OCT ? *)", 5)])
    assert found == pytest.approx((1 * 4 * 92 + 5 * (1461 - 4 * 92)) / 1461)


def test_the_last_day_of_the_month_is_a_thirtieth() -> None:
    assert mean(5, [("cron(0 0 L * ? *)", 1), ("cron(0 0 1 * ? *)", 0)]) == pytest.approx(48 / 1461)


def test_what_nothing_changes_stays() -> None:
    assert mean(3, []) == 3


@pytest.mark.parametrize("expression", ["rate(1 day)", "at(2030-01-01T00:00:00)", "cron(0 20)"])
def test_a_change_that_is_no_cron_is_not_followed(expression: str) -> None:
    assert mean(3, [(expression, 1)]) is None
