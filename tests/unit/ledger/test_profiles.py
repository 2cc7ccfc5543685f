"""Profiles of live traffic: kept once a window, read from a moment on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_last_document_of_a_window_counts(table: Table) -> None:
    profiles = Profiles(table)
    for rows in (10, 10, 25):  # a repeat, and a repeat that grew since the answer was lost
        profiles.write("m", 3, "sandbox", 0, START, {"rows": rows})
    [found] = profiles.read("m", 3, START)
    assert (found.window_start, found.sandbox_id, found.number, found.doc) == (START, "sandbox", 0, {"rows": 25})


def test_reading_begins_with_the_moment_and_keeps_to_the_version(table: Table) -> None:
    profiles = Profiles(table)
    for number, minutes in enumerate((-1, 0, 1)):
        profiles.write("m", 3, "a", number, START + timedelta(minutes=minutes), {"rows": number})
    profiles.write("m", 3, "2026/[$LATEST]b#c", 0, START, {"rows": 9})
    profiles.write("m", 30, "a", 0, START, {"rows": 7})
    found = profiles.read("m", 3, START)
    assert sorted((p.sandbox_id, p.number) for p in found) == [("2026/[$LATEST]b#c", 0), ("a", 1), ("a", 2)]
    assert [p.window_start for p in found] == sorted(p.window_start for p in found)
    assert profiles.read("other", 3, START) == []


def test_moments_of_any_zone_are_one_time(table: Table) -> None:
    profiles = Profiles(table)
    tokyo = START.astimezone(timezone(timedelta(hours=9)))
    profiles.write("m", 1, "a", 0, tokyo, {"rows": 1})
    assert len(profiles.read("m", 1, START)) == 1
    assert len(profiles.read("m", 1, tokyo + timedelta(milliseconds=1))) == 0
