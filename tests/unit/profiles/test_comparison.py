"""What is compared, what its figures are worth, and what counts as moved."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.profiles import PREDICTION, ColumnComparison, Method, Profile, Reference, compare, moved
from labcycle_lambdas.profiles.bins import NumericBins
from labcycle_lambdas.profiles.comparison import LEVEL
from labcycle_lambdas.profiles.reference import Column
from labcycle_lambdas.profiles.scale import Scale
from tests.unit.profiles.counted import categorical, compared, numeric, profile

METHODS: list[Method] = ["psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov"]
EVEN = [100] * 10 + [0]
count = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 10**7))


@st.composite
def any_column(draw: st.DrawFn) -> tuple[Column, list[int]]:
    size = draw(st.integers(2, 22))
    counts = [draw(st.lists(count, min_size=size, max_size=size)) for _ in range(2)]
    if draw(st.booleans()):
        return categorical(counts[0]), counts[1]
    edges = tuple(sorted(draw(st.sets(st.floats(-1e300, 1e300), min_size=size - 2, max_size=size - 2))))
    ends = (edges[0], edges[-1]) if edges else (0.0, 0.0)
    deviation = draw(st.sampled_from([0.0, 5e-324, 1.0, 1e300]))
    scale = draw(st.sampled_from([None, Scale(*ends, deviation)])) if edges else None
    return Column("x", NumericBins(edges), tuple(counts[0]), scale), counts[1]


@given(any_column())
def test_every_figure_is_a_number_whatever_was_counted(given: tuple[Column, list[int]]) -> None:
    found = compared(*given)
    json.dumps(found.to_doc(), allow_nan=False)
    figures = [value for value in found.to_doc().values() if isinstance(value, float)]
    assert all(math.isfinite(figure) and figure >= 0 for figure in figures)
    for p in (found.p_value, found.missing_p_value, found.new_p_value):
        assert p is None or p <= 1
    assert max(found.jensen_shannon, found.kolmogorov_smirnov, found.missing_fraction, found.new_fraction or 0) <= 1
    assert (found.new_fraction is None) == (found.kind == "numeric")
    for method in METHODS:
        assert found.figure(method) >= 0
        assert len(moved([found], method=method, threshold=0.1, minimum_rows=1)) <= 1


@pytest.mark.parametrize("column", [numeric(EVEN), categorical(EVEN)])
def test_an_empty_window_has_no_figures(column: Column) -> None:
    found = compared(column, [0] * 11)
    assert found.standing == "empty"
    assert {found.figure(method) for method in METHODS} == {0.0} and found.p_value == found.missing_p_value == 1.0
    assert (found.rows, found.reference_rows, found.missing_fraction) == (0, 1000, 0.0)
    other_way = compared(replace(column, counts=(0,) * 11), EVEN)
    assert other_way.standing == "empty" and {other_way.figure(method) for method in METHODS} == {0.0}
    assert moved([found, other_way], method="psi", threshold=0.0, minimum_rows=0) == []


def test_a_tiny_window_has_figures_but_proves_nothing() -> None:
    found = compared(numeric(EVEN), [4, *[0] * 10])
    assert found.standing == "tiny" and found.psi > 1 and found.p_value == 1.0
    assert moved([found], method="psi", threshold=0.1, minimum_rows=1) == []
    five = compared(numeric(EVEN), [5, *[0] * 10])
    assert five.standing == "compared"
    assert compared(numeric([1, 3, 0]), EVEN[:3]).standing == "tiny"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("column", [numeric(EVEN), categorical(EVEN)])
def test_a_column_whose_values_all_went_missing_moved_by_any_method(column: Column, method: Method) -> None:
    found = compared(column, [*[0] * 10, 500])
    assert found.standing == "all_missing"
    assert (found.kolmogorov_smirnov, found.wasserstein) == (0.0, 0.0 if found.kind == "numeric" else None)
    assert found.missing_fraction == 1.0 and found.missing_p_value < 1e-300
    assert moved([found], method=method, threshold=0.2, minimum_rows=500) == [found]
    never_there = compared(replace(column, counts=(*[0] * 10, 1000)), [*[0] * 10, 500])
    assert never_there.standing == "all_missing"
    assert moved([never_there], method=method, threshold=0.0, minimum_rows=1) == []


def test_of_a_constant_the_share_that_left_it_is_the_distance() -> None:
    made = Reference.from_table(["x"], [[5.0]] * 1000)
    live = Profile(made)
    live.add(["x"], [[5.0]] * 450 + [[5.1]] * 50)
    [found] = compare(made, live)
    assert found.standing == "constant"
    assert found.wasserstein == pytest.approx(0.1) and found.kolmogorov_smirnov == pytest.approx(0.1)
    assert moved([found], method="wasserstein", threshold=0.09, minimum_rows=500) == [found]
    stays = Profile(made)
    stays.add(["x"], [[5.0]] * 500)
    assert {compare(made, stays)[0].figure(method) for method in METHODS} == {0.0}


def test_a_constant_is_one_though_rounding_spreads_it() -> None:
    values = [1 / 3, round(1 / 3, 10)] * 500
    made = Reference.from_table(["x"], [[value] for value in values])
    scale = made.columns[0].scale
    assert scale and 0 < scale.deviation < 1e-9
    live = Profile(made)
    live.add(["x"], [[1 / 3]] * 750 + [[0.4]] * 250)
    [found] = compare(made, live)
    assert (found.standing, found.wasserstein) == ("constant", 0.25)


def test_a_reference_from_before_there_were_scales_is_judged_by_the_jensen_shannon_distance() -> None:
    found = compared(numeric(EVEN, scale=None), [500, *[0] * 10])
    assert found.wasserstein is None and found.figure("wasserstein") == found.jensen_shannon > 0.5
    assert found.standing == "compared"


def test_figures_of_a_column_are_those_of_its_bins() -> None:
    """Edges 0, 1, 2 and ends at -1 and 3 for a deviation of 2: values stand at -0.5, 0.25, 0.75 and 1.5."""
    column = numeric([25, 25, 25, 25, 100], scale=Scale(-1.0, 3.0, 2.0))
    found = compared(column, [0, 0, 0, 100, 300])
    assert found.wasserstein == pytest.approx(0.25 * 0.75 + 0.5 * 0.5 + 0.75 * 0.75)
    assert found.kolmogorov_smirnov == 0.75
    assert (found.missing_fraction, found.reference_missing_fraction) == (0.75, 0.5)
    assert (found.rows, found.reference_rows, found.kind) == (400, 200, "numeric")
    assert found.figure("kolmogorov_smirnov") == 0.75 and found.figure("wasserstein") == found.wasserstein


def test_categories_that_have_no_bin_are_told() -> None:
    """Three categories, other, missing."""
    found = compared(categorical([300, 300, 300, 100, 0]), [100, 100, 100, 200, 0])
    assert (found.new_fraction, found.reference_new_fraction) == (0.4, 0.1)
    assert found.new_p_value is not None and found.new_p_value < 1e-20 and found.missing_p_value == 1.0
    assert found.kolmogorov_smirnov == pytest.approx(0.3)  # the total variation


def test_moved_needs_effect_significance_and_rows() -> None:
    large = numeric([10**6] * 10 + [0], "far too little")
    significant_only = compared(large, [11_000, 9_000, *[10_000] * 8, 0])
    effect_only = compared(numeric([4, 1, *[2] * 8, 0], "by chance"), [2, 2, 5, 2, 3, 2, 3, 2, 2, 2, 0])
    both = compared(numeric(EVEN, "less"), [200, 20, *[50] * 8, 0])
    more = compared(numeric(EVEN, "more"), [320, 20, *[35] * 8, 0])
    assert significant_only.p_value < 1e-9 and effect_only.psi > 0.2
    everything = [significant_only, effect_only, both, more]
    assert moved(everything, method="psi", threshold=0.2, minimum_rows=20) == [more, both]
    assert moved(everything, method="psi", threshold=0.2, minimum_rows=621) == []
    assert moved(everything, method="psi", threshold=both.psi, minimum_rows=620) == [more, both]


def test_the_more_columns_are_looked_at_the_less_chance_is_believed() -> None:
    suspect = compared(numeric(EVEN, "suspect"), [155, 45, *[100] * 8, 0])
    assert LEVEL / 20 < suspect.p_value < LEVEL
    others = [compared(numeric(EVEN, f"x{i}"), EVEN) for i in range(19)]
    assert moved([suspect], method="psi", threshold=0.0, minimum_rows=1) == [suspect]
    assert moved([suspect, *others], method="psi", threshold=0.0, minimum_rows=1) == []


def test_columns_come_in_the_order_of_the_reference_and_of_one_reference_only() -> None:
    made = Reference((numeric(EVEN, "b"), categorical(EVEN, "a"), numeric(EVEN, PREDICTION)))
    found = compare(made, profile(made, [EVEN] * 3))
    assert [one.name for one in found] == ["b", "a", PREDICTION]
    assert [type(one) for one in found] == [ColumnComparison] * 3
    again = Reference.from_doc(made.to_doc())
    assert compare(again, profile(made, [EVEN] * 3)) == found
    with pytest.raises(ValueError, match="another reference"):
        compare(Reference((numeric(EVEN, "b"),)), profile(made, [EVEN] * 3))


def test_a_cohort_is_compared_with_its_own_training_rows() -> None:
    """Country a has small amounts and b large ones: that more of b come is no drift within either."""
    rows = [[float(i % 100 + 1000 * (i % 2)), "ab"[i % 2]] for i in range(2000)]
    made = Reference.from_table(["amount", "country"], rows, ["country"])
    live = Profile(made, ["country"])
    live.add(["amount", "country"], [row for row in rows if row[1] == "b"] * 4 + rows)
    assert moved(compare(made, live), method="psi", threshold=0.2, minimum_rows=500)
    for label, cohort in live.cohorts["country"].items():
        apart = compare(made.of_cohorts["country"][label], cohort)
        assert [one.psi for one in apart] == pytest.approx([0.0, 0.0], abs=1e-12)
