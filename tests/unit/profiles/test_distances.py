"""The figures are SciPy's on the same bins, and near those of the values themselves by as much as is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from labcycle_lambdas.profiles import Profile, Reference, compare
from labcycle_lambdas.profiles import distances as ours
from labcycle_lambdas.profiles.bins import NumericBins
from labcycle_lambdas.profiles.scale import Scale

EXACT = 1e-9


@st.composite
def sides(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    size = draw(st.integers(1, 22))
    count = st.one_of(st.integers(0, 5), st.integers(0, 1000), st.integers(0, 10**9))
    both = [draw(st.lists(count, min_size=size, max_size=size).filter(any)) for _ in range(2)]
    return both[0], both[1]


@given(sides())
def test_the_jensen_shannon_distance_is_scipys(counts: tuple[list[int], list[int]]) -> None:
    e, a = counts
    found = ours.jensen_shannon(e, a)
    p, q = np.array(e) / sum(e), np.array(a) / sum(a)
    with np.errstate(invalid="ignore"):  # below 1e-7 SciPy's root is of rounding errors, or of less than nothing
        theirs = float(np.nan_to_num(jensenshannon(p, q, base=2)))
    assert found**2 == pytest.approx(theirs**2, abs=1e-14)
    if theirs > 1e-6:
        assert found == pytest.approx(theirs, abs=EXACT)
    assert 0 <= found <= 1 and found == pytest.approx(ours.jensen_shannon(a, e), abs=1e-15)


def test_the_jensen_shannon_distance_keeps_its_digits_where_little_differs() -> None:
    """Of proportions 1/2 + d and 1/2 - d it is d / sqrt(ln 2 / 2) and terms of d cubed."""
    d = 1e-9
    assert ours.jensen_shannon([10**9, 10**9], [10**9 + 2, 10**9 - 2]) == pytest.approx(
        d / (2 * np.log(2)) ** 0.5, rel=1e-6
    )


@given(sides(), st.data())
def test_the_wasserstein_distance_is_scipys(counts: tuple[list[int], list[int]], data: st.DataObject) -> None:
    e, a = counts
    at = st.floats(-1e3, 1e3)
    positions = sorted(data.draw(st.lists(at, min_size=len(e), max_size=len(e))))
    theirs = stats.wasserstein_distance(positions, positions, e, a)
    assert ours.wasserstein(e, a, positions) == pytest.approx(theirs, abs=EXACT)


@given(sides())
def test_the_kolmogorov_smirnov_statistic_is_scipys_on_the_numbers_of_the_bins(
    counts: tuple[list[int], list[int]],
) -> None:
    e, a = ([min(count, 500) for count in side] for side in counts)
    numbers = range(len(e))
    theirs = stats.ks_2samp(np.repeat(numbers, e), np.repeat(numbers, a), method="asymp").statistic
    assert ours.kolmogorov_smirnov(e, a) == pytest.approx(theirs, abs=EXACT)


@given(sides())
def test_the_total_variation_is_half_the_taxi_way_and_the_largest_difference_of_any_set(
    counts: tuple[list[int], list[int]],
) -> None:
    e, a = counts
    p, q = np.array(e) / sum(e), np.array(a) / sum(a)
    found = ours.total_variation(e, a)
    assert found == pytest.approx(np.abs(p - q).sum() / 2, abs=EXACT)
    assert found == pytest.approx((p - q)[p > q].sum(), abs=EXACT)
    assert found >= ours.kolmogorov_smirnov(e, a) - EXACT


values = st.lists(
    st.one_of(st.floats(-100, 100), st.floats(-1e6, 1e6), st.integers(-3, 3).map(float)), min_size=20, max_size=200
)


@given(values, values)
def test_of_the_values_themselves_the_figures_are_off_by_no_more_than_the_bins_are_wide(
    train: list[float], live: list[float]
) -> None:
    reference = Reference.from_table(["x"], [[value] for value in train])
    profile = Profile(reference)
    profile.add(["x"], [[value] for value in live])
    [found], [column] = compare(reference, profile), reference.columns
    bins, scale = column.bins, column.scale
    assert isinstance(bins, NumericBins) and scale
    e, a = np.array(column.counts[:-1]) / len(train), np.array(profile.counts[0][:-1]) / len(live)
    raw = stats.ks_2samp(train, live, method="asymp").statistic
    assert -EXACT <= raw - found.kolmogorov_smirnov <= np.minimum(e, a).max() + EXACT
    if found.standing == "constant":
        return
    at = scale.positions(bins)
    assert at
    positions = np.array(at) * scale.deviation
    ways = [np.abs(np.array(side) - positions[[bins.index(v) for v in side]]).mean() for side in (train, live)]
    assert found.wasserstein is not None
    off = found.wasserstein * scale.deviation - stats.wasserstein_distance(train, live)
    assert abs(off) <= sum(ways) * (1 + EXACT) + 1e-6


def test_a_shift_of_a_normal_column_is_found_within_a_fourteenth() -> None:
    """The Wasserstein distance of a shift is the shift."""
    random = np.random.default_rng(5)
    train = random.normal(3, 2, 20_000)
    reference = Reference.from_table(["x"], train[:, None].tolist())
    for shift in (0.05, 0.1, 0.3, 0.5):
        profile = Profile(reference)
        profile.add(["x"], (train + 2 * shift)[:, None].tolist())
        [found] = compare(reference, profile)
        assert found.wasserstein == pytest.approx(shift, rel=0.07)
        exact = stats.ks_2samp(train, train + 2 * shift).statistic
        assert exact - 0.05 <= found.kolmogorov_smirnov <= exact + EXACT


@given(st.lists(st.one_of(st.floats(allow_nan=False), st.integers()), min_size=1, max_size=50))
def test_any_values_have_a_scale(train: list[float]) -> None:
    """However large or small: it is finite, its positions are in order, and it is numpy's where that has one."""
    bins = NumericBins.of(train)
    scale = Scale.of(train, bins)
    finite = [float(v) for v in train if abs(v) < np.inf]
    assert (scale is None) == (not finite)
    if scale is None:
        return
    assert Scale.from_doc(scale.to_doc()) == scale
    assert scale.low <= bins.edges[0] and scale.high >= bins.edges[-1] and np.isfinite([scale.low, scale.high]).all()
    if max(map(abs, finite)) < 1e150 and scale.deviation > 1e-150:
        assert scale.deviation == pytest.approx(float(np.std(finite)), rel=1e-6)
    positions = scale.positions(bins)
    assert (positions is None) == (not scale.deviation)
    if positions:
        assert np.isfinite(positions).all() and positions == sorted(positions)


def test_rounding_leads_no_position_over_an_edge() -> None:
    """1.7 / 10 * 10 is a little less than 1.7."""
    high = Scale.of([1.7, -10.0], NumericBins((1.7,)))
    assert high and high.high == 1.7
