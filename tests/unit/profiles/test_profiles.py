"""Profiles are sums, and the index is what its formula says."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.profiles import PREDICTION, Profile, Reference, compare
from labcycle_lambdas.profiles.bins import CategoricalBins, NumericBins, category
from labcycle_lambdas.profiles.distances import EMPTY_BIN_PROPORTION, psi

COLUMNS = ["amount", "kind"]
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)
odd_rows = st.lists(st.tuples(anything, anything), max_size=30)
counts = st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any)


def reference() -> Reference:
    rows = [[i / 7, "abc"[i % 3], i % 2] for i in range(200)]
    return Reference.from_table([*COLUMNS, PREDICTION], rows)


def profiled(rows: list[tuple[object, object]]) -> Profile:
    profile = Profile(reference())
    profile.add(COLUMNS, rows, [first for first, _ in rows])
    return profile


@given(odd_rows, odd_rows, odd_rows)
def test_merging_is_associative_commutative_and_equals_counting_all_at_once(
    a: list[tuple[object, object]], b: list[tuple[object, object]], c: list[tuple[object, object]]
) -> None:
    at_once = profiled(a + b + c).to_doc()
    assert profiled(a).merge(profiled(b)).merge(profiled(c)).to_doc() == at_once
    assert profiled(c).merge(profiled(b).merge(profiled(a))).to_doc() == at_once


@given(odd_rows)
def test_every_row_is_counted_once_in_every_column_whatever_it_holds(rows: list[tuple[object, object]]) -> None:
    profile = profiled(rows)
    assert profile.rows == len(rows)
    assert [sum(counts) for counts in profile.counts] == [len(rows)] * 3
    assert Profile.from_doc(reference(), json.loads(json.dumps(profile.to_doc()))).to_doc() == profile.to_doc()


@given(st.lists(st.tuples(anything, anything, anything), min_size=1, max_size=30))
def test_any_table_makes_a_reference_that_survives_json_and_does_not_drift_from_itself(
    rows: list[tuple[object, object, object]],
) -> None:
    made = Reference.from_table([*COLUMNS, PREDICTION], rows)
    again = Reference.from_doc(json.loads(json.dumps(made.to_doc(), allow_nan=False)))
    assert again == made and again.fingerprint == made.fingerprint
    profile = Profile(again)
    profile.add(COLUMNS, [row[:2] for row in rows], [row[2] for row in rows])
    assert [feature.psi for feature in compare(made, profile)] == [0.0] * 3


@given(counts, st.data())
def test_the_index_is_never_negative_and_symmetric(expected: list[int], data: st.DataObject) -> None:
    actual = data.draw(st.lists(st.integers(0, 1000), min_size=len(expected), max_size=len(expected)).filter(any))
    assert psi(expected, actual) >= 0
    assert psi(expected, actual) == pytest.approx(psi(actual, expected))


@given(counts, st.integers(1, 50))
def test_the_index_is_zero_on_the_same_proportions(expected: list[int], factor: int) -> None:
    assert psi(expected, [count * factor for count in expected]) == pytest.approx(0, abs=1e-12)


def test_the_index_agrees_with_numpy_on_the_same_bins() -> None:
    random = np.random.default_rng(3)
    train, live = random.normal(size=5000), random.normal(0.4, 1.3, size=3000)
    made = Reference.from_table(["x"], [[float(v)] for v in train])
    profile = Profile(made)
    profile.add(["x"], [[float(v)] for v in live])
    bins = made.columns[0].bins
    assert isinstance(bins, NumericBins) and len(bins.edges) == 9
    edges = [-np.inf, *bins.edges, np.inf]
    p = np.maximum(np.histogram(train, edges)[0] / len(train), EMPTY_BIN_PROPORTION)
    q = np.maximum(np.histogram(live, edges)[0] / len(live), EMPTY_BIN_PROPORTION)
    [feature] = compare(made, profile)
    assert feature.psi == pytest.approx(float(np.sum((q - p) * np.log(q / p))))
    assert feature.psi > 0.1
    assert (feature.rows, feature.reference_rows) == (3000, 5000)
    np.testing.assert_allclose(made.columns[0].counts[:-1], 500, atol=1)


def test_the_index_of_known_proportions() -> None:
    assert psi([50, 50], [80, 20]) == pytest.approx(0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5))
    assert psi([100, 0], [0, 100]) == pytest.approx(2 * (1 - 1e-4) * math.log(1e4))


def drift_of(train: Sequence[object], live: Sequence[object]) -> float:
    made = Reference.from_table(["x"], [[v] for v in train])
    profile = Profile(made)
    profile.add(["x"], [[v] for v in live])
    return compare(made, profile)[0].psi


def test_leaving_a_constant_is_seen_in_either_direction() -> None:
    assert drift_of([5.0] * 100, [5.0] * 300) == 0.0
    assert drift_of([5.0] * 100, [5.1] * 300) > 1
    assert drift_of([5.0] * 100, [4.9] * 300) > 1


def test_rounding_of_a_frequent_value_is_no_drift() -> None:
    third = 1 / 3
    train: list[float] = [round(third, 10)] * 50 + [float(i) for i in range(50)]
    live: list[float] = [third] * 25 + [float(np.float32(third))] * 25 + [float(i) for i in range(50)]
    assert drift_of(train, live) == 0.0


def test_values_beyond_the_training_range_fall_into_the_outer_bins() -> None:
    train: list[float] = [float(i) for i in range(100)]
    assert drift_of(train, [-1e9] * 100) > 1
    assert drift_of(train, [math.inf] * 100) == pytest.approx(drift_of(train, [10**400] * 100))


def test_missing_is_a_bin_of_its_own() -> None:
    train: list[float] = [float(i) for i in range(100)]
    for nothing in (None, math.nan, "seven", [1.0]):
        assert drift_of(train, [*train[:50], *[nothing] * 50]) > 1
    assert drift_of([None] * 10, [None] * 20) == 0.0
    assert drift_of([None] * 10, [1.0] * 20) > 1


def test_whole_numbers_are_labels_as_predictions_and_amounts_as_features() -> None:
    made = Reference.from_table(["x", PREDICTION], [[i % 3, float(i % 3)] for i in range(30)])
    assert isinstance(made.columns[0].bins, NumericBins)
    assert made.columns[1].bins == CategoricalBins(("0", "1", "2"))
    regression = Reference.from_table([PREDICTION], [[i / 10] for i in range(30)])
    assert isinstance(regression.columns[0].bins, NumericBins)


def test_labels_are_compared_by_value_not_by_type() -> None:
    assert category(1) == category(1.0) == category("1") == category(np.int64(1)) == category(np.float32(1))
    assert category(True) == "true"
    assert category(math.nan) is None
    assert category(0.5) == "0.5"


def test_only_the_top_categories_have_a_bin() -> None:
    values: list[object] = [f"c{i:02}" for i in range(30) for _ in range(i + 1)]
    bins = CategoricalBins.of(values)
    assert len(bins.categories) == 20
    assert bins.categories[0] == "c29"
    assert bins.labels()[bins.index("c00")] == "other"
    assert bins.labels()[bins.index(None)] == "missing"


@given(st.lists(st.tuples(anything, anything, st.booleans()), max_size=10))
def test_each_value_falls_into_the_bin_of_its_index(rows: list[tuple[object, object, bool]]) -> None:
    """Also where the columns come in another order from one request to the next."""
    profile = Profile(reference())
    bins = [column.bins for column in profile.reference.columns]
    expected = [[0] * each.size for each in bins]
    for amount, kind, turned in rows:
        if turned:
            profile.add(["kind", "amount"], [[kind, amount]], [amount])
        else:
            profile.add(COLUMNS, [[amount, kind]], [amount])
        for each, counted, value in zip(bins, expected, (amount, kind, amount), strict=True):
            counted[each.index(value)] += 1
    assert profile.counts == expected


def test_a_row_may_be_too_short_or_too_long() -> None:
    profile = Profile(reference())
    profile.add(COLUMNS, [[1.0], [1.0, "a", 3.0]], [0])
    assert [counted[-1] for counted in profile.counts] == [0, 1, 1]
    assert profile.rows == 2


def test_columns_may_come_in_any_order_lack_or_be_too_many() -> None:
    made = reference()
    straight, turned, lacking = Profile(made), Profile(made), Profile(made)
    straight.add(["amount", "kind"], [[1.0, "a"]], [1])
    turned.add(["other", "kind", "amount"], [[0, "a", 1.0]], [1])
    lacking.add(["kind"], [["a"]])
    assert straight.to_doc() == turned.to_doc()
    assert lacking.counts[0][-1] == 1 and lacking.counts[2][-1] == 1


@pytest.mark.parametrize(
    ("columns", "rows", "wrong"),
    [
        ([], [], "at least one column"),
        (["x"], [], "one row"),
        (["x", "x"], [[1, 2]], "named twice"),
        (["x", "y"], [[1, 2], [3]], "row 1"),
    ],
)
def test_a_table_that_is_none_is_refused(columns: list[str], rows: list[list[object]], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Reference.from_table(columns, rows)


def test_profiles_of_another_reference_are_refused() -> None:
    other = Profile(Reference.from_table(["amount"], [[1.0], [2.0]]))
    with pytest.raises(ValueError, match="against reference"):
        Profile(reference()).merge(other)
    with pytest.raises(ValueError, match="against reference"):
        Profile.from_doc(reference(), other.to_doc())
    with pytest.raises(ValueError, match="another reference"):
        compare(reference(), other)


BY_KIND = ["kind", "flag"]
cohort_rows = st.lists(st.tuples(anything, st.sampled_from(["a", "b", "zz", None, 1]), st.booleans()), max_size=20)


def reference_of_cohorts() -> Reference:
    rows = [[i / 7, "aab"[i % 3], i % 5 == 0, i % 2] for i in range(200)]
    return Reference.from_table(["amount", *BY_KIND, PREDICTION], rows, cohorts=BY_KIND)


def profiled_apart(rows: Sequence[tuple[object, object, object]], cohorts: Sequence[str] = BY_KIND) -> Profile:
    profile = Profile(reference_of_cohorts(), cohorts)
    profile.add(["amount", *BY_KIND], rows, [row[0] for row in rows])
    return profile


def test_a_reference_counts_its_cohorts_in_the_bins_of_all() -> None:
    made = reference_of_cohorts()
    assert {name: set(labels) for name, labels in made.cohorts.items()} == {
        "kind": {"a", "b"},
        "flag": {"true", "false"},
    }
    for name in BY_KIND:
        for column, *apart in zip(made.columns, *made.cohorts[name].values(), strict=True):
            assert tuple(map(sum, zip(*apart, strict=True))) == column.counts
    assert Reference.from_doc(json.loads(json.dumps(made.to_doc()))) == made
    of_b = made.of_cohorts["kind"]["b"]
    assert of_b.columns[1].counts == (0, 66, 0, 0) and of_b.columns[0].rows == 66
    assert [column.bins for column in of_b.columns] == [column.bins for column in made.columns]


def test_only_the_most_frequent_categories_are_cohorts() -> None:
    rows = [[f"c{i:02}"] for i in range(30) for _ in range(i + 1)]
    assert list(Reference.from_table(["x"], rows, ["x"]).cohorts["x"]) == [f"c{i}" for i in range(29, 21, -1)]


@pytest.mark.parametrize("cohort", ["else", PREDICTION])
def test_a_cohort_that_is_no_feature_is_refused(cohort: str) -> None:
    with pytest.raises(ValueError, match=f"got '{cohort}'; allowed are the features: x, y"):
        Reference.from_table(["x", "y", PREDICTION], [[1, 2, 3]], ["x", cohort])


@given(cohort_rows, cohort_rows)
def test_each_cohort_is_counted_as_if_its_rows_were_alone(
    a: list[tuple[object, object, object]], b: list[tuple[object, object, object]]
) -> None:
    merged = profiled_apart(a).merge(profiled_apart(b))
    assert merged.to_doc() == profiled_apart(a + b).to_doc()
    assert Profile.from_doc(merged.reference, json.loads(json.dumps(merged.to_doc()))).to_doc() == merged.to_doc()
    assert merged.counts == profiled_apart(a + b, ()).counts
    for name, at in (("kind", 1), ("flag", 2)):
        known = merged.reference.cohorts[name]
        assert set(merged.cohorts.get(name, {})) == {category(row[at]) for row in a + b} & set(known)
        for label, cohort in merged.cohorts.get(name, {}).items():
            alone = profiled_apart([row for row in a + b if category(row[at]) == label], ())
            assert (cohort.rows, cohort.counts) == (alone.rows, alone.counts)
            assert cohort.reference == merged.reference.of_cohorts[name][label]


def test_cohorts_that_the_reference_lacks_are_not_counted() -> None:
    plain = Profile(reference(), ["kind"])
    plain.add(COLUMNS, [[1.0, "a"]], [0])
    assert plain.cohorts == {} and set(plain.to_doc()) == {"reference", "rows", "counts"}
    lacking = Profile(reference_of_cohorts(), BY_KIND)
    lacking.add(["kind"], [["a"], []], [0, 1])
    assert {name: list(labels) for name, labels in lacking.cohorts.items()} == {"kind": ["a"], "flag": []}
    assert list(lacking.to_doc()["cohorts"]) == ["kind"]


def test_a_document_that_was_deployed_before_keeps_its_fingerprint() -> None:
    """What was counted against it would be lost otherwise."""
    doc = {
        "columns": [
            {"name": "x", "kind": "numeric", "edges": [1.5, 2.5], "counts": [3, 4, 3, 1]},
            {"name": PREDICTION, "kind": "categorical", "categories": ["0", "1"], "counts": [6, 5, 0, 0]},
        ]
    }
    made = Reference.from_doc(doc)
    assert made.to_doc() == doc and made.fingerprint == "e2bcd7f73a1d5abd"
