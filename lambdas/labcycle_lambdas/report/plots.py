"""Coordinates of a report's bars; the template draws them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 420  # small text is read on a telephone, too
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 16, 22
_HEIGHT = 180
_MOST_LABELS = 7  # below bars: more would run into each other
_NAMES, _VALUES = 136, 48  # room on either side of lying bars
_LABEL_LENGTH = 22
_ROW, _GAP = 13, 9


@dataclass(frozen=True)
class Bar:
    """`kind` is `now`, `training` or `moved`; `label` is the whole one, for whoever points at it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str


@dataclass(frozen=True)
class Text:
    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Plot:
    """`grid` are the lines to read values by, `threshold` the one that means something."""

    title: str
    height: float
    bars: list[Bar]
    texts: list[Text]
    grid: list[Line]
    threshold: Line | None = None
    width: int = WIDTH


def standing(title: str, values: Sequence[tuple[str, int]]) -> Plot:
    """A bar a value, side by side, with some of the names below."""
    most = max((value for _, value in values), default=0) or 1
    low, room = _HEIGHT - _BOTTOM, _HEIGHT - _TOP - _BOTTOM
    step = (WIDTH - _LEFT - _RIGHT) / max(len(values), 1)
    every = -(-len(values) // _MOST_LABELS)
    bars, texts = [], [Text(_LEFT - 6, _TOP + 4, "end", f"{most:,}"), Text(_LEFT - 6, low + 4, "end", "0")]
    for place, (name, value) in enumerate(values):
        height = round(value / most * room, 1)
        left = round(_LEFT + place * step, 1)
        bars.append(
            Bar(
                left + round(step * 0.1, 1),
                round(low - height, 1),
                round(step * 0.8, 1),
                height,
                "now",
                f"{name}: {value:,}",
            )
        )
        if place % every == 0:
            texts.append(Text(round(left + step / 2, 1), _HEIGHT - 6, "middle", name))
    return Plot(title, _HEIGHT, bars, texts, [Line(_LEFT, y, WIDTH - _RIGHT, y) for y in (_TOP, low)])


def lying_pairs(title: str, values: Sequence[tuple[str, float, float]]) -> Plot:
    """Two bars a name, now and in training, one below the other; all are shares."""
    most = max((max(now, then) for _, now, then in values), default=0.0) or 1.0
    bars, texts = [], []
    for place, (name, now, then) in enumerate(values):
        top = place * (2 * _ROW + _GAP)
        texts.append(Text(_NAMES - 8, top + _ROW + 4, "end", _short(name)))
        for row, (kind, value) in enumerate((("now", now), ("training", then))):
            width = round(value / most * (WIDTH - _NAMES - _VALUES), 1)
            bars.append(Bar(_NAMES, top + row * _ROW, width, _ROW - 1, kind, f"{name}, {kind}: {value:.1%}"))
            texts.append(Text(_NAMES + width + 5, top + row * _ROW + 10, "start", f"{value:.1%}"))
    return Plot(title, len(values) * (2 * _ROW + _GAP), bars, texts, [])


def lying(title: str, values: Sequence[tuple[str, float]], threshold: float) -> Plot:
    """A bar a name, against a threshold that is always in sight."""
    most = max([threshold * 1.25, *(value for _, value in values)])

    def at(value: float) -> float:
        return round(_NAMES + value / most * (WIDTH - _NAMES - _VALUES), 1)

    bars, texts = [], []
    for place, (name, value) in enumerate(values):
        top = place * (_ROW + _GAP)
        kind = "moved" if value >= threshold else "now"
        bars.append(Bar(_NAMES, top, round(at(value) - _NAMES, 1), _ROW, kind, f"{name}: {value:.3f}"))
        texts.append(Text(_NAMES - 8, top + 11, "end", _short(name)))
        texts.append(Text(at(value) + 5, top + 11, "start", f"{value:.3f}"))
    height = len(values) * (_ROW + _GAP)
    line = Line(at(threshold), 0, at(threshold), height)
    texts.append(Text(at(threshold), height + 12, "middle", f"threshold {threshold:g}"))
    return Plot(title, height + 18, bars, texts, [], line)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_LENGTH else f"{name[: _LABEL_LENGTH - 1]}…"
