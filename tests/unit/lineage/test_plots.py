from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle.lineage.plots import HEIGHT, MOST_POINTS, WIDTH, ordered, plot


def coordinates(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    [line] = plot("t", {"a": points}).lines
    words = [word for segment in line.segments for word in segment.split()]
    return [*((float(x), float(y)) for x, _, y in (word.partition(",") for word in words)), *line.dots]


SOME = st.floats() | st.sampled_from([sys.float_info.max, -sys.float_info.max, 5e-324, 0.0])


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62).map(float), SOME), max_size=30))
def test_every_value_that_is_a_number_is_drawn_inside(points: list[tuple[float, float]]) -> None:
    drawn = coordinates(sorted(points, key=lambda point: point[0]))
    assert len(drawn) == sum(1 for _, y in points if math.isfinite(y))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)


def test_where_values_lie() -> None:
    assert coordinates([(0, 0), (1, 1)]) == [(62, 154), (348, 10)]
    assert len({y for _, y in coordinates([(0, 1.0), (1, 1.0 + 1e-15)])}) == 1
    most = sys.float_info.max
    assert coordinates([(0, -most), (1, 0), (2, most)]) == [(62, 154), (205, 82), (348, 10)]
    assert coordinates([(0, most)]) == [(205, 10)]
    assert plot("t", {"a": [(0, math.nan)]}).empty
    assert plot("t", {}).empty


def test_long_histories_are_thinned_and_keep_their_ends() -> None:
    drawn = coordinates([(float(i), float(i)) for i in range(10_000)])
    assert len(drawn) == MOST_POINTS
    assert (drawn[0], drawn[-1]) == ((62, 154), (348, 10))


@pytest.mark.parametrize(
    ("history", "points"),
    [
        ([(1, 2, 0.2), (2, 1, 0.1)], [(1.0, 0.1), (2.0, 0.2)]),
        ([(2, 0, 0.2), (1, 0, 0.1)], [(0.0, 0.1), (1.0, 0.2)]),
        ([], []),
    ],
)
def test_a_history_is_drawn_over_its_steps(
    history: list[tuple[int, int, float]], points: list[tuple[float, float]]
) -> None:
    assert ordered(history) == points
