"""Coordinates of small plots; templates draw them as SVG."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 360, 180
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 26
MOST_POINTS = 400


@dataclass(frozen=True)
class Tick:
    """A label of an axis at `at`, in the plot's units."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """`segments`: the `points` of a polyline each; between them a value is missing. `dots`: points that stand alone."""

    label: str
    segments: list[str]
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """`title` names what is drawn. `empty`: no value can be drawn."""

    title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def empty(self) -> bool:
        return not any(line.segments or line.dots for line in self.lines)


def plot(title: str, series: Mapping[str, Sequence[tuple[float, float]]], names: Sequence[str] | None = None) -> Plot:
    """Points (x, y) of each label, in order of x. NaN and infinities are gaps.

    Parameters
    ----------
    names
        Instead of numbers below the x axis: the name of 0, 1, 2, ...
    """
    thin = {label: _thinned(points) for label, points in series.items()}
    drawn = [point for points in thin.values() for point in points if math.isfinite(point[1])]
    if not drawn:
        return Plot(title, [Line(label, [], []) for label in series], [], [])
    xs, ys = _range([x for x, _ in drawn]), _range([y for _, y in drawn])

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = LEFT + _share(point[0], *xs) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - _share(point[1], *ys) * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    lines = []
    for label, points in thin.items():
        runs = _whole(points)
        segments = [" ".join("{},{}".format(*place(point)) for point in run) for run in runs if len(run) > 1]
        lines.append(Line(label, segments, [place(run[0]) for run in runs if len(run) == 1]))
    middle = ys[0] / 2 + ys[1] / 2
    y_ticks = [Tick(place((xs[0], y))[1], _label(y)) for y in (ys[0], middle, ys[1])]
    if names is None:
        shown = sorted({min(x for x, _ in drawn), max(x for x, _ in drawn)})
        x_ticks = [Tick(place((x, ys[0]))[0], _label(x)) for x in shown]
    else:
        x_ticks = [Tick(place((x, ys[0]))[0], name) for x, name in enumerate(names)]
    return Plot(title, lines, x_ticks, y_ticks)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MOST_POINTS`, the last one included."""
    if len(points) <= MOST_POINTS:
        return list(points)
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(i * step)] for i in range(MOST_POINTS)]


def _whole(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Cut where a value is missing."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low <= max(abs(low), abs(high)) * 1e-9:  # noise of the last digits would fill the plot
        around = abs(low) / 10 or 1.0
        return max(low - around, -sys.float_info.max), min(high + around, sys.float_info.max)
    return low, high


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies between two others: 0 to 1."""
    if not math.isfinite(high - low):  # the ends of the doubles
        value, low, high = value / 4, low / 4, high / 4
    return (value - low) / (high - low)


def _label(value: float) -> str:
    return f"{value:.4g}"


def ordered(history: Sequence[tuple[int, int, float]]) -> list[tuple[float, float]]:
    """Points of a metric's history over its steps; over their number, where all have one step."""
    by_step = sorted((step, timestamp, value) for timestamp, step, value in history)
    if all(a[0] == b[0] for a, b in pairwise(by_step)):
        return [(float(number), value) for number, (_, _, value) in enumerate(by_step)]
    return [(float(step), value) for step, _, value in by_step]
