"""What EventBridge Scheduler takes as a schedule: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html"""

from __future__ import annotations

import pytest

from labcycle.config.schedules import is_schedule, is_time_zone


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(12 hours)",
        "rate(1 day)",
        "cron(0 5 * * ? *)",
        "cron(15 10 ? * 6L 2022-2026)",
        "cron(0/15 8-17 ? * MON-FRI *)",
        "cron(0 8 L * ? *)",
        "cron(0 8 LW JAN,JUL ? 2030)",
        "cron(0 8 15W * ? *)",
        "cron(0 9 ? * FRI#2 *)",
    ],
)
def test_these_are_schedules(text: str) -> None:
    assert is_schedule(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 5 * * ? *",
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 days)",
        "rate(1 week)",
        "at(2030-01-01T00:00:00)",
        "cron(0 5 * * *)",
        "cron(0 5 * * * *)",
        "cron(0 5 ? * ? *)",
        "cron(60 5 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 5 0 * ? *)",
        "cron(0 5 * 13 ? *)",
        "cron(0 5 ? * 8 *)",
        "cron(0 5 ? * FRIDAY *)",
        "cron(0 5 ? * FRI#6 *)",
        "cron(0 5 40W * ? *)",
        "cron(0 5 * * ? 1969)",
        "cron(0 17-8 * * ? *)",
        "cron(0/0 5 * * ? *)",
        "cron(? 5 * * ? *)",
        "cron(0  5 * * ? *)",
        "cron(٣ 5 * * ? *)",
        f"cron({'0,' * 130}0 5 * * ? *)",
    ],
)
def test_these_are_none(text: str) -> None:
    assert not is_schedule(text)


def test_time_zones_are_those_of_the_iana_database(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_time_zone("Europe/Berlin")
    assert not is_time_zone("Europe/Berlim")
    monkeypatch.setattr("labcycle.config.schedules.available_timezones", set)
    assert is_time_zone("Europe/Berlim"), "a machine without the database cannot tell"
