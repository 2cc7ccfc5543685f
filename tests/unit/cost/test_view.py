"""Figures and bars, as people read them."""

from __future__ import annotations

import pytest

from labcycle.cost.view import bar, cents, digits


@pytest.mark.parametrize(
    ("usd", "text"), [(0, "0.00"), (0.004, "<0.01"), (0.005, "0.01"), (0.424, "0.42"), (1234.5, "1,234.50")]
)
def test_cents(usd: float, text: str) -> None:
    assert cents(usd) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0, "0.00"),
        (0.00004376, "0.0000438"),
        (0.0103004, "0.0103"),
        (0.115, "0.115"),
        (0.3, "0.30"),
        (8.8, "8.80"),
        (5.672, "5.67"),
        (1234.567, "1,234.57"),
    ],
)
def test_three_digits_count(usd: float, text: str) -> None:
    assert digits(usd) == text


@pytest.mark.parametrize(
    ("value", "top", "drawn"),
    [(0, 1, ""), (1, 1, "█" * 16), (0.5, 1, "█" * 8), (1, 128, "▏"), (3, 32, "█▌"), (0, 0, "")],
)
def test_bars_are_shares_of_the_longest(value: float, top: float, drawn: str) -> None:
    assert bar(value, top) == drawn
