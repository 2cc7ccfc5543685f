"""Coordinates of the plots of a drift report; the template draws them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from labcycle_lambdas.report.plots import Bar, Line, Text

WIDTH, HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 22, 24
_MOST_LABELS = 6  # below bars: more would run into each other
_LABEL_LENGTH = 10
_ROOM = 74  # between two names of marks
_LAST_BINS = ("other", "missing")  # which are there in every column, and mostly empty


@dataclass(frozen=True)
class Histogram:
    """The shares of the training data as wide bars, those of the live data as narrow ones before them."""

    title: str
    bars: list[Bar]
    texts: list[Text]
    grid: list[Line]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Mark:
    """Something that was decided at `x`; `name` is "" where there is no room for it, `label` the whole one."""

    x: float
    name: str
    label: str


@dataclass(frozen=True)
class Curve:
    """A figure over time: `segments` are the `points` of a polyline each, between which nothing was judged."""

    title: str
    segments: list[str]
    dots: list[tuple[float, float, str]]
    marks: list[Mark]
    texts: list[Text]
    grid: list[Line]
    limit: Line | None
    width: int = WIDTH
    height: int = HEIGHT


def histogram(title: str, labels: Sequence[str], training: Sequence[int], live: Sequence[int]) -> Histogram:
    """Both as shares of their rows. A bin of other or missing values that is empty on both sides is left out."""
    of_training, of_live = (sum(counts) or 1 for counts in (training, live))
    shares = [
        (label, then / of_training, now / of_live)
        for place, (label, then, now) in enumerate(zip(labels, training, live, strict=True))
        if then or now or not (place >= len(labels) - len(_LAST_BINS) and label in _LAST_BINS)
    ]
    most = max((max(then, now) for _, then, now in shares), default=0.0) or 1.0
    low, room = HEIGHT - _BOTTOM, HEIGHT - _TOP - _BOTTOM
    step = (WIDTH - _LEFT - _RIGHT) / max(len(shares), 1)
    every = -(-len(shares) // _MOST_LABELS)
    bars: list[Bar] = []
    texts = [Text(_LEFT - 6, _TOP + 4, "end", f"{most:.0%}"), Text(_LEFT - 6, low + 4, "end", "0")]
    for place, (label, then, now) in enumerate(shares):
        left = _LEFT + place * step
        told = f"{label}: {now:.1%} now, {then:.1%} in training"
        for kind, share, inset in (("training", then, 0.06), ("now", now, 0.28)):
            height = share / most * room
            bars.append(
                Bar(
                    round(left + step * inset, 1),
                    round(low - height, 1),
                    round(step * (1 - 2 * inset), 1),
                    round(height, 1),
                    kind,
                    told,
                )
            )
        if place % every == 0:
            texts.append(Text(round(left + step / 2, 1), HEIGHT - 8, "middle", _short(label)))
    return Histogram(title, bars, texts, [Line(_LEFT, y, WIDTH - _RIGHT, y) for y in (_TOP, low)])


def curve(
    title: str,
    points: Sequence[tuple[datetime, float | None]],
    limit: float | None,
    marks: Sequence[tuple[datetime, str, str]] = (),
) -> Curve:
    """`points` by time, None where nothing was judged; `marks` are (when, name, the whole of it)."""
    times = [at for at, _ in points]
    first, span = min(times), (max(times) - min(times)).total_seconds() or 1.0
    values = [value for _, value in points if value is not None]
    around = [*values, *([limit] if limit is not None else [])]
    bottom, top = _range(around)
    low, room = HEIGHT - _BOTTOM, HEIGHT - _TOP - _BOTTOM

    def across(at: datetime) -> float:
        return round(_LEFT + (at - first).total_seconds() / span * (WIDTH - _LEFT - _RIGHT), 1)

    def up(value: float) -> float:
        return round(low - (value - bottom) / (top - bottom) * room, 1)

    runs: list[list[tuple[float, float]]] = [[]]
    dots = []
    for at, value in points:
        if value is None:
            runs.append([])
            continue
        runs[-1].append((across(at), up(value)))
        dots.append((across(at), up(value), f"{at:%Y-%m-%d %H:%M} UTC: {value:.4g}"))
    texts = [
        Text(_LEFT - 6, up(top) + 4, "end", f"{top:.3g}"),
        Text(_LEFT - 6, up(bottom) + 4, "end", f"{bottom:.3g}"),
        Text(_LEFT, HEIGHT - 8, "start", f"{first:%d %b %H:%M}"),
        Text(WIDTH - _RIGHT, HEIGHT - 8, "end", f"{max(times):%d %b %H:%M}"),
    ]
    if limit is not None and abs(up(limit) - up(top)) > 12 and abs(up(limit) - up(bottom)) > 12:
        texts.append(Text(_LEFT - 6, up(limit) + 4, "end", f"{limit:.3g}"))
    return Curve(
        title,
        [" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1],
        dots,
        _named(sorted((across(at), name, label) for at, name, label in marks)),
        texts,
        [Line(_LEFT, y, WIDTH - _RIGHT, y) for y in (_TOP, low)],
        Line(_LEFT, up(limit), WIDTH - _RIGHT, up(limit)) if limit is not None else None,
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From 0, unless all values are far from it for how much they differ."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low == high == 0:
        return 0.0, 1.0
    if low < high and 0 <= low <= 2 * (high - low):
        return 0.0, high
    around = max((high - low) / 4, abs(low) / 100, abs(high) / 100)
    return low - around, high + around


def _named(marks: Sequence[tuple[float, str, str]]) -> list[Mark]:
    found: list[Mark] = []
    free = float("-inf")
    for x, name, label in marks:
        shown = x >= free and x <= WIDTH - _RIGHT - _ROOM / 2
        found.append(Mark(x, name if shown else "", label))
        free = x + _ROOM if shown else free
    return found


def _short(label: str) -> str:
    """Of a numeric bin its lower end."""
    low, to, high = label.partition(" to ")
    if to and low == "-inf" and _is_number(high):
        label = f"< {float(high):.4g}"
    elif to and _is_number(low):
        label = f"{float(low):.4g}"
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
