"""What a data scientist's machine fits is what the evaluator makes of a table of the same rows."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle.client import reference
from labcycle.errors import LabcycleError
from labcycle_lambdas.profiles import PREDICTION, Reference

text = st.sampled_from(["a", "b", "", "1", "x" * 101, "x" * 102])
single = st.one_of(
    st.just(0.0), st.floats(-10, 10), st.integers(-5, 5), st.floats(), st.integers(-(2**60), 2**60), st.integers()
)
anything = st.one_of(single, text, st.none(), st.booleans(), st.just([1]))
kinds = st.sampled_from([text, single, anything, st.floats(width=32), st.booleans(), st.integers(0, 3), st.just(5.0)])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", PREDICTION]), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(1, 40))
    columns = [draw(st.lists(draw(kinds), min_size=rows, max_size=rows)) for _ in names]
    return names, [list(row) for row in zip(*columns, strict=True)]


def same(fitted: dict[str, Any], made: dict[str, Any]) -> None:
    """Of means and deviations the last digits may differ: they are summed up in another order."""
    json.dumps(fitted, allow_nan=False)
    for one, other in zip(fitted["columns"], made["columns"], strict=True):
        scale, theirs = one.pop("scale", None), other.pop("scale", None)
        assert scale == (theirs and pytest.approx(theirs, rel=1e-6, abs=1e-300)), one["name"]
    assert fitted == made


@given(tables(), st.data())
def test_bins_counts_and_cohorts_are_those_of_the_same_table(
    table: tuple[list[str], list[list[Any]]], data: st.DataObject
) -> None:
    names, rows = table
    features = [name for name in names if name != PREDICTION]
    cohorts = data.draw(st.lists(st.sampled_from(features), unique=True)) if features else []
    made = Reference.from_table(names, rows, cohorts).to_doc()
    frame = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    same(reference.fit(frame, cohorts=cohorts), json.loads(json.dumps(made)))


@pytest.mark.parametrize("rows", [7, 5000])
def test_frames_of_pandas_are_read_by_their_types(rows: int) -> None:
    random = np.random.default_rng(rows)
    frame = pd.DataFrame(
        {
            "normal": random.normal(size=rows),
            "rare": np.where(random.random(rows) < 0.9, 0, random.exponential(size=rows)).astype(np.float32),
            "count": random.integers(0, 50, rows),
            "holes": pd.Series(random.integers(0, 50, rows), dtype="Int64").mask(random.random(rows) < 0.2),
            "flag": random.random(rows) < 0.3,
            "country": random.choice(list("ABCDEFGHIJK"), rows),
            "plan": pd.Categorical(random.choice(["small", "large"], rows)),
            "mostly": pd.Series(random.choice(["x", "y"], rows)).mask(random.random(rows) < 0.2),
            "nothing": [None] * rows,
        }
    )
    answers = random.integers(0, 3, rows)
    whole = frame.astype(object).where(frame.notna(), None).assign(prediction=answers)
    listed = whole.to_numpy().tolist()
    made = Reference.from_table(list(whole), listed, ["country", "plan"])
    fitted = reference.fit(frame, predictions=answers, cohorts=["country", "plan"])
    assert len(fitted["cohorts"]["country"]) == min(8, frame["country"].nunique())
    kinds = {column["name"]: column["kind"] for column in fitted["columns"]}
    assert [name for name, kind in kinds.items() if kind == "categorical"] == [
        "flag",
        "country",
        "plan",
        "mostly",
        PREDICTION,
    ]
    same(fitted, json.loads(json.dumps(made.to_doc())))


def test_it_is_logged_as_an_artifact_of_the_run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[dict[str, Any], str]] = []
    monkeypatch.setattr(mlflow, "active_run", lambda: object())
    monkeypatch.setattr(mlflow, "log_dict", lambda document, path: logged.append((document, path)))
    frame = pd.DataFrame({"x": [1.0, 2.0], "k": ["a", "b"]})
    document = reference.log(frame, predictions=[0, 1], cohorts=["k"])
    assert logged == [(document, "reference.json")]
    assert document == reference.fit(frame, predictions=[0, 1], cohorts=["k"])
    monkeypatch.setattr(mlflow, "active_run", lambda: None)
    with pytest.raises(LabcycleError, match="no run is active"):
        reference.log(frame)


@pytest.mark.parametrize(
    ("frame", "more", "wrong"),
    [
        ({}, {}, "no row or no column"),
        ({"x": []}, {}, "no row or no column"),
        ({"x": [1], "y": [1, 2]}, {}, "y has 2 values, x has 1"),
        ({"x": [1, 2]}, {"predictions": [1]}, "prediction has 1 values, x has 2"),
        ({"x": [1], "prediction": [1]}, {"predictions": [1]}, "a column 'prediction' in the frame"),
        ({"x": [1]}, {"predictions": np.array([[0.1, 0.9]])}, "prediction has 2 dimensions.*give the class"),
        ({"x": [1]}, {"cohorts": ["y"]}, "cohorts: got 'y'; allowed are the features: x"),
        ({"x": [1], "prediction": [1]}, {"cohorts": ["prediction"]}, "allowed are the features: x"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), {}, "'x' is there twice"),
        (pd.DataFrame({"x": pd.to_datetime(["2026-01-01"])}), {}, "x holds datetime64.*Convert it"),
    ],
)
def test_what_cannot_be_fitted_is_told(frame: Any, more: dict[str, Any], wrong: str) -> None:
    with pytest.raises(LabcycleError, match=wrong):
        reference.fit(frame, **more)


def test_without_numpy_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(LabcycleError, match=r"needs numpy.*pip install numpy"):
        reference.fit({"x": [1.0]})


def test_the_largest_numbers_have_a_scale() -> None:
    [column] = reference.fit({"x": np.array([-1.7e308, 0.0, 1.7e308])})["columns"]
    assert all(map(math.isfinite, column["scale"].values()))
