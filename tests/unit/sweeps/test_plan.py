from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labcycle.config import ConfigError
from labcycle.sweeps.plan import (
    MOST_POINTS,
    Parameter,
    Point,
    SweepFile,
    arguments_of,
    load_sweep,
    text_of,
    variables_of,
)

SWEEP: dict[str, Any] = {
    "experiment": "tuning",
    "script": "train.py",
    "parameters": {"rate": {"low": 0.001, "high": 0.1, "scale": "log"}, "kind": {"choices": ["a", "b"]}},
    "method": "random",
    "points": 50,
    "metric": "accuracy",
    "mode": "max",
}


def sweep(**changed: Any) -> SweepFile:
    return SweepFile.model_validate({**SWEEP, **changed})


def test_points_are_the_same_for_the_same_seed() -> None:
    assert sweep().all_points() == sweep().all_points()
    assert sweep(seed=1).all_points() != sweep().all_points()


def test_a_grid_is_all_combinations() -> None:
    parameters = {
        "depth": {"low": 1, "high": 9, "steps": 3},
        "rate": {"low": 0.01, "high": 1.0, "scale": "log", "steps": 3},
        "kind": {"choices": ["a", True]},
    }
    points = sweep(method="grid", points=None, parameters=parameters).all_points()
    assert len(points) == 18 == len({tuple(point.values()) for point in points})
    assert {point["depth"] for point in points} == {1, 5, 9}
    assert sorted({round(float(point["rate"]), 9) for point in points}) == [0.01, 0.1, 1.0]


def test_latin_hypercube_meets_each_part_of_each_range_once() -> None:
    parameters = {"x": {"low": 0.0, "high": 10.0}, "rate": {"low": 0.001, "high": 1.0, "scale": "log"}}
    points = sweep(method="latin_hypercube", points=100, parameters=parameters).all_points()
    assert sorted(int(float(point["x"]) * 10) for point in points) == list(range(100))
    decades = Counter(math.floor(math.log10(float(point["rate"]))) for point in points)
    assert sorted(decades.values()) == [33, 33, 34]


def test_whole_numbers_are_as_likely_at_the_ends() -> None:
    points = sweep(points=9_000, parameters={"n": {"low": 1, "high": 3}}).all_points()
    counts = Counter(point["n"] for point in points)
    assert set(counts) == {1, 2, 3} and min(counts.values()) > 2_800


@given(low=st.floats(1e-6, 1e3), wider=st.floats(1e-3, 1e3), share=st.floats(0, 1, exclude_max=True), log=st.booleans())
def test_values_stay_in_their_range(low: float, wider: float, share: float, log: bool) -> None:
    parameter = Parameter(low=low, high=low + wider, scale="log" if log else "linear")
    assert low * (1 - 1e-9) <= float(parameter.at(share)) <= (low + wider) * (1 + 1e-9)
    whole = Parameter(low=int(low), high=int(low) + 1 + int(wider), scale="linear")
    assert int(low) <= int(whole.at(share)) <= int(low) + 1 + int(wider)


def test_a_point_as_arguments_and_environment() -> None:
    point: Point = {"learning-rate": 1e-05, "shift": -2, "warm": True, "kind": "a b"}
    assert arguments_of(point) == ["--learning-rate", "1e-05", "--shift=-2", "--warm", "true", "--kind", "a b"]
    assert variables_of(point) == {
        "PARAM_LEARNING_RATE": "1e-05",
        "PARAM_SHIFT": "-2",
        "PARAM_WARM": "true",
        "PARAM_KIND": "a b",
    }
    assert text_of(0.1 + 0.2) == "0.30000000000000004"  # none is lost


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"points": 20_000}, "points: got 20,000 points; allowed 10,000 at most in one sweep"),
    ({"points": None}, "method: got random without points"),
    ({"method": "grid", "parameters": {"x": {"choices": [1]}}}, "points: got points with method: grid"),
    ({"method": "grid", "points": None}, "parameters.rate: got a range without steps in a grid"),
    ({"method": "gird"}, "method: got gird; allowed grid, random or latin_hypercube. Did you mean grid?"),
    ({"parameters": {"a b": {"choices": [1]}}}, "parameters.a b: got a b; allowed letters, digits"),
    ({"parameters": {"x": {}}}, "parameters.x: got neither choices nor a range, or both"),
    ({"parameters": {"x": {"choices": [1], "low": 1}}}, "parameters.x: got neither choices nor a range, or both"),
    ({"parameters": {"x": {"low": 3, "high": 3}}}, "parameters.x: got a range from 3 to 3"),
    ({"parameters": {"x": {"low": 0, "high": 3, "scale": "log"}}}, "parameters.x.low: got 0 with scale: log"),
    ({"parameters": {"x": {"choices": ["v" * 501]}}}, "parameters.x.choices[0]: got a text of 501 characters"),
    ({"parameters": {"x": {"lo": 1}}}, "parameters.x.lo: got an unknown key"),
    ({"script": "/etc/passwd"}, "script: got /etc/passwd; allowed the path of a .py file"),
    ({"concurrency": 0}, "concurrency: got 0; allowed 1 to 10000"),
    ({"budget_usd": 0}, "budget_usd: got 0; allowed more than 0"),
    ({"retries": 1.5}, "retries: got 1.5; allowed a whole number"),
    ({"machine": {"vcpus": 1000}}, "machine.vcpus: got 1000; allowed 1 to 128"),
]


@pytest.mark.parametrize(("changed", "told"), WRONG, ids=[told[:40] for _, told in WRONG])
def test_what_is_wrong_is_told_with_its_place(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in {**SWEEP, **changed}.items() if value is not None}))
    with pytest.raises(ConfigError) as caught:
        load_sweep(file)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")


def test_a_grid_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    ranges = {name: {"low": 0, "high": 1000, "steps": 101} for name in ("a", "b")}
    file.write_text(
        yaml.safe_dump({**{k: v for k, v in SWEEP.items() if k != "points"}, "method": "grid", "parameters": ranges})
    )
    with pytest.raises(ConfigError, match=f"got 10,201 points; allowed {MOST_POINTS:,}"):
        load_sweep(file)
