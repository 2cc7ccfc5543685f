"""The p-values are SciPy's, also where they are next to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from labcycle_lambdas.profiles.significance import (
    chi_squared,
    chi_squared_survival,
    p_value,
    share_p_value,
    significant,
)

EXACT = 1e-9
large = st.lists(st.integers(50, 10**6), min_size=2, max_size=22)


@given(st.integers(1, 200), st.floats(0, 1400))
def test_the_survival_function_is_scipys_in_its_tails_too(degrees: int, statistic: float) -> None:
    theirs = float(stats.chi2.sf(statistic, degrees))
    assert chi_squared_survival(statistic, degrees) == pytest.approx(theirs, rel=EXACT)


@pytest.mark.parametrize(("statistic", "degrees"), [(1e4, 3), (1e300, 20), (0.0, 1), (5e-324, 1), (1e-12, 2)])
def test_the_survival_function_has_ends(statistic: float, degrees: int) -> None:
    assert chi_squared_survival(statistic, degrees) == pytest.approx(
        float(stats.chi2.sf(statistic, degrees)), rel=EXACT
    )


@given(large, st.data())
def test_the_test_of_large_bins_is_scipys(e: list[int], data: st.DataObject) -> None:
    a = data.draw(st.lists(st.integers(50, 10**6), min_size=len(e), max_size=len(e)))
    theirs = stats.chi2_contingency([e, a], correction=False)
    if theirs.expected_freq.min() < 5:
        return
    assert chi_squared(e, a) == pytest.approx(theirs.statistic, rel=EXACT, abs=EXACT)
    assert p_value(e, a) == pytest.approx(theirs.pvalue, rel=1e-8, abs=EXACT)
    assert p_value([*e, 0], [*a, 0]) == p_value(e, a) == pytest.approx(p_value(a, e), rel=1e-8, abs=EXACT)


@given(st.integers(5, 3000), st.integers(5, 200_000), st.data())
def test_a_share_that_is_too_small_for_it_is_tested_exactly(n: int, m: int, data: st.DataObject) -> None:
    a, e = data.draw(st.integers(0, min(n, 40))), data.draw(st.integers(0, min(m, 40)))
    found = share_p_value(e, m, a, n)
    smallest = min((a + e) * min(n, m), (n + m - a - e) * min(n, m)) / (n + m)
    if smallest < 5 and (n + m - a - e) * min(n, m) / (n + m) >= 5:
        theirs = stats.fisher_exact([[e, m - e], [a, n - a]]).pvalue
        assert found == pytest.approx(theirs, rel=1e-8)
    assert 0 <= found <= 1


def test_a_share_that_never_was_is_found_at_once_in_a_large_reference() -> None:
    assert share_p_value(0, 1_000_000, 3, 500) == pytest.approx(
        stats.fisher_exact([[0, 1_000_000], [3, 497]]).pvalue, rel=1e-8
    )
    assert share_p_value(0, 1_000_000, 500, 500) < 1e-300
    assert share_p_value(0, 100, 0, 100) == 1.0


def test_small_bins_are_joined_until_they_are_enough() -> None:
    """Thirty rows in ten bins: three each are too few, six in each second one are not."""
    e, a = [100] * 10, [30, *[0] * 9]
    assert p_value(e, a) < 1e-20
    joined = [30, 0, 0, 0, 0], [200, 200, 200, 200, 200]
    assert p_value(e, a) == pytest.approx(stats.chi2_contingency(joined, correction=False).pvalue, rel=EXACT)


def test_what_is_left_over_counts_twice_beside_the_rest() -> None:
    e, a = [500, 500, 0], [260, 240, 4]
    exact = stats.fisher_exact([[0, 1000], [4, 500]]).pvalue
    assert p_value(e, a) == pytest.approx(2 * exact, rel=1e-8)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=12), st.integers(0, 4))
def test_fewer_than_five_rows_prove_nothing(e: list[int], rows: int) -> None:
    assert p_value(e, [rows, *[0] * (len(e) - 1)]) == p_value([rows, *[0] * (len(e) - 1)], e) == 1.0


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=30), st.floats(0.001, 0.5))
def test_the_correction_is_holms(p_values: dict[str, float], level: float) -> None:
    """By its adjusted p-values: the largest of (k - i) p(i) so far."""
    adjusted, most = {}, 0.0
    for i, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        most = max(most, (len(p_values) - i) * p_values[name])
        adjusted[name] = most
    borderline = any(abs(p - level) < EXACT for p in adjusted.values())
    assert borderline or significant(p_values, level) == {name for name, p in adjusted.items() if p <= level}


def test_the_levels_of_the_correction() -> None:
    assert significant({"a": 0.004, "b": 0.024, "c": 0.9}, 0.05) == {"a", "b"}
    assert significant({"a": 0.02, "b": 0.02, "c": 0.9}, 0.05) == set()
    assert significant({}, 0.05) == set()


def test_the_exact_test_of_millions_of_rows_is_scipys() -> None:
    for table in ([[2, 999_998], [9, 1999]], [[0, 5_000_000], [2, 700]], [[40, 10**6], [1, 10**4]]):
        (e, rest_e), (a, rest_a) = table
        theirs = stats.fisher_exact(np.array(table)).pvalue
        assert share_p_value(e, e + rest_e, a, a + rest_a) == pytest.approx(theirs, rel=1e-6)
