"""Tallies of what versions answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.traffic import BINS, Tally, Traffic

START = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.lists(st.tuples(st.floats(0, 25_000), st.booleans()), min_size=1), st.floats(0.01, 1))
def test_a_time_is_the_upper_end_of_the_bin_that_the_share_is_in(
    answers: list[tuple[float, bool]], share: float
) -> None:
    tally = Tally()
    for milliseconds, failed in answers:
        tally.count(milliseconds, failed=failed)
    ranked = sorted(milliseconds for milliseconds, _ in answers)
    wanted = next(value for number, value in enumerate(ranked, 1) if number >= share * len(ranked))
    assert tally.milliseconds(share) == next(upper for upper in BINS if wanted <= upper)
    assert tally.failed_share == sum(failed for _, failed in answers) / len(answers)
    assert Tally.from_doc(tally.to_doc()) == tally


def test_nothing_was_answered() -> None:
    assert (Tally().milliseconds(0.5), Tally().failed_share) == (None, 0.0)
    slow = Tally()
    slow.count(60_000, failed=True)
    assert (slow.milliseconds(0.5), slow.failed) == (None, 1)


def test_windows_add_up_and_the_last_document_of_one_counts(table: Table) -> None:
    traffic = Traffic(table)
    for sandbox in ("a", "b"):
        for number in (1, 2):
            for requests in (1, 5):
                tally = Tally(requests, 1, [requests] + [0] * len(BINS))
                traffic.write("m", 3, sandbox, number, START + timedelta(minutes=number), tally)
    traffic.write("m", 4, "a", 3, START, Tally(100, 100, [100] + [0] * len(BINS)))
    assert traffic.since("m", 3, START) == Tally(20, 4, [20] + [0] * len(BINS))
    assert traffic.since("m", 3, START + timedelta(seconds=90)).requests == 10
    assert traffic.since("m", 5, START) == Tally()
