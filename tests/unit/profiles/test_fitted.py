"""A document that somebody else made is read, or refused by what is wrong with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle.client import reference
from labcycle_lambdas.profiles import PREDICTION, Profile, Reference, compare
from labcycle_lambdas.profiles.fitted import read_fitted

ROWS: dict[str, list[Any]] = {"x": [float(i % 37) for i in range(100)], "k": ["aab"[i % 3] for i in range(100)]}
SOUND = reference.fit(ROWS, predictions=[i % 2 for i in range(100)], cohorts=["k"])


def test_a_fitted_document_is_read_as_it_is() -> None:
    made = read_fitted(SOUND)
    assert made.to_doc() == SOUND
    assert [column.name for column in made.columns] == ["x", "k", PREDICTION]
    profile = Profile(made, ["k"])
    profile.add(["x", "k"], [list(row) for row in zip(*ROWS.values(), strict=True)], [i % 2 for i in range(100)])
    assert [one.figure("wasserstein") for one in compare(made, profile)] == [0.0] * 3
    assert {label: one.rows for label, one in profile.cohorts["k"].items()} == {"a": 67, "b": 33}


def test_what_nobody_knows_is_left_out() -> None:
    assert read_fitted({**SOUND, "made_by": "hand"}).to_doc() == SOUND


Change = Callable[[dict[str, Any]], Any]
COLUMN: list[tuple[Change, str]] = [
    (lambda c: c.pop("name"), r"columns\[0\]: got no name"),
    (lambda c: c.update(kind="text"), r"columns\[0\] \(x\): kind: got 'text'; allowed are numeric and categorical"),
    (lambda c: c.pop("edges"), "edges: allowed are finite numbers"),
    (lambda c: c["edges"].reverse(), "edges: allowed are finite numbers, each above the one before"),
    (lambda c: c["edges"].append(float("inf")), "edges: allowed are finite"),
    (lambda c: c["edges"].append(10**400), "edges: allowed are finite"),
    (lambda c: c["edges"].append(True), "edges: allowed are finite"),
    (lambda c: c["edges"].extend(range(100, 200)), "edges: got 109; allowed are 18"),
    (lambda c: c["counts"].pop(), "counts: allowed are 11 whole numbers"),
    (lambda c: c["counts"].__setitem__(0, -1), "counts: allowed are 11 whole numbers"),
    (lambda c: c["counts"].__setitem__(0, 0.5), "counts: allowed are 11 whole numbers"),
    (lambda c: c["counts"].__setitem__(0, 99), "each must count the same rows"),
    (lambda c: c.update(scale=3), "scale: allowed are the finite numbers low, high and deviation"),
    (lambda c: c["scale"].update(deviation=float("nan")), "scale: allowed are the finite"),
    (lambda c: c["scale"].update(deviation=-1), "scale: low must not be above"),
    (lambda c: c["scale"].update(low=1e9), "scale: low must not be above"),
    (lambda c: c.update(name=PREDICTION), "a name is there twice"),
]
WHOLE: list[tuple[Change, str]] = [
    (lambda d: d.pop("columns"), "columns: got none"),
    (lambda d: d.update(columns=[]), "columns: got none"),
    (lambda d: d.update(columns=["x"]), r"columns\[0\]: got no name"),
    (lambda d: d["columns"].reverse(), "prediction must be the last one"),
    (lambda d: d["columns"][1].update(categories=[1, 2]), r"columns\[1\] \(k\): categories: allowed is text"),
    (lambda d: d["columns"][1].update(categories=["a", "a"]), "categories: allowed are 20 different ones"),
    (lambda d: d["columns"][1].update(scale=d["columns"][0]["scale"]), "scale: allowed is one of a numeric column"),
    (lambda d: d.update(cohorts=[]), "cohorts: got no object"),
    (lambda d: d.update(cohorts={"z": {}}), "cohorts: got 'z'; allowed are the features: x, k"),
    (lambda d: d.update(cohorts={"k": []}), "cohorts: k: allowed are at most 8"),
    (lambda d: d.update(cohorts={"k": {str(i): [] for i in range(9)}}), "cohorts: k: allowed are at most 8"),
    (lambda d: d["cohorts"]["k"]["a"].pop(), "cohorts: k: a: allowed is a list of counts for each of the 3 columns"),
    (lambda d: d["cohorts"]["k"]["a"][1].append(0), "cohorts: k: a: k: counts: allowed are 4"),
    (lambda d: d["cohorts"]["k"]["a"][1].__setitem__(0, 68), "more rows in a bin than the whole"),
    (lambda d: d["cohorts"]["k"]["a"][1].__setitem__(0, 66), "k: a: each column must count the same rows"),
]


@pytest.mark.parametrize(("change", "wrong"), WHOLE)
def test_what_is_wrong_is_told(change: Change, wrong: str) -> None:
    doc = copy.deepcopy(SOUND)
    change(doc)
    with pytest.raises(ValueError, match=wrong):
        read_fitted(doc)


@pytest.mark.parametrize(("change", "wrong"), COLUMN)
def test_what_is_wrong_with_a_column_is_told(change: Change, wrong: str) -> None:
    doc = copy.deepcopy(SOUND)
    change(doc["columns"][0])
    with pytest.raises(ValueError, match=wrong):
        read_fitted(doc)


json_value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@given(st.data())
def test_any_other_value_at_any_place_is_refused_or_makes_a_reference_that_works(data: st.DataObject) -> None:
    doc = copy.deepcopy(SOUND)
    place: Any = doc
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(json_value)
            break
        place = place[key]
    try:
        made = read_fitted(doc)
    except ValueError:
        return
    assert Reference.from_doc(made.to_doc()).fingerprint == made.fingerprint
    profile = Profile(made, ["k"])
    profile.add(["x", "k"], [[1.0, "a"]] * 9, [1] * 9)
    compare(made, profile)
