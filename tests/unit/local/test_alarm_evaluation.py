from __future__ import annotations

import pytest

from labcycle.local.alarm_evaluation import Rule, State, evaluate, window_starts


def rule(periods: int = 1, datapoints: int | None = None, missing: str = "missing", threshold: float = 1.0) -> Rule:
    return Rule(threshold, "GreaterThanThreshold", periods, datapoints or periods, missing)


@pytest.mark.parametrize(
    ("values", "how", "state"),
    [
        ([2.0], rule(), "ALARM"),
        ([1.0], rule(), "OK"),
        ([2, 2, 0], rule(3, 2), "ALARM"),
        ([2, 0, 0], rule(3, 2), "OK"),
        ([2, 2, 0], rule(3, 3), "OK"),
        ([2, 2, 2], rule(3, 3), "ALARM"),
    ],
)
def test_m_of_n(values: list[float], how: Rule, state: State) -> None:
    assert evaluate([None, None, *values], how, "OK")[0] == state


@pytest.mark.parametrize(
    ("missing", "current", "state"),
    [
        ("missing", "ALARM", "INSUFFICIENT_DATA"),
        ("ignore", "ALARM", "ALARM"),
        ("ignore", "OK", "OK"),
        ("breaching", "OK", "ALARM"),
        ("notBreaching", "ALARM", "OK"),
    ],
)
def test_silence(missing: str, current: State, state: State) -> None:
    assert evaluate([None] * 5, rule(3, missing=missing), current)[0] == state


def test_an_older_datapoint_fills_in_for_a_missing_one() -> None:
    """Evaluation range: the most recent real datapoints are taken where younger ones are missing."""
    assert evaluate([2, None, 2, None, 2], rule(3, 3), "OK")[0] == "ALARM"
    assert evaluate([0, None, 2, None, 2], rule(3, 3), "OK")[0] == "OK"


def test_what_is_missing_counts_as_it_is_told_to() -> None:
    assert evaluate([None, None, None, 2, None], rule(3, 2, "breaching"), "OK")[0] == "ALARM"
    assert evaluate([None, None, None, 2, None], rule(3, 2, "notBreaching"), "OK")[0] == "OK"
    assert evaluate([None, None, None, 2, None], rule(3, 1), "OK")[0] == "ALARM"


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 1.0, "OK"),
        ("GreaterThanOrEqualToThreshold", 1.0, "ALARM"),
        ("LessThanThreshold", 1.0, "OK"),
        ("LessThanOrEqualToThreshold", 1.0, "ALARM"),
    ],
)
def test_comparisons(comparison: str, value: float, state: State) -> None:
    assert evaluate([value], Rule(1.0, comparison, 1, 1), "OK")[0] == state


def test_the_reason_names_values_and_threshold() -> None:
    _, reason = evaluate([2.5], rule(), "OK")
    assert "2.5" in reason and "(1)" in reason


def test_windows_are_aligned_to_the_period() -> None:
    assert window_starts(125.0, 60, 3) == [0.0, 60.0, 120.0]
