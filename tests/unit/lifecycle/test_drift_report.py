"""The page of a drift report: nothing of a name is markup, and it asks for nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.lifecycle.drift_report import MOST_HISTOGRAMS, render
from labcycle_lambdas.lifecycle.report_plots import HEIGHT, WIDTH, curve, histogram
from labcycle_lambdas.lifecycle.standing import Evaluation
from labcycle_lambdas.profiles import Profile, Reference

EVIL = "</title><script>alert(1)</script>\" onload='x' & {{ 7*7 }}"
START = datetime(2026, 11, 20, tzinfo=UTC)
NUMBERS = [float(n) for n in range(200)]


def evaluation(hour: int, verdict: str = "drifted", **more: object) -> Evaluation:
    return {
        "model": "card-fraud",
        "version": 3,
        "verdict": verdict,
        "reason": "so",
        "rows": 200,
        "threshold": 0.2,
        "minimum_rows": 100,
        "evaluated_at": stamp(START + timedelta(hours=hour)),
        "window_start": stamp(START),
        "features": {"a": 1.0},
        **more,
    }


def counted(names: list[str], shift: float) -> tuple[Reference, Profile]:
    rows = [[n] * len(names) for n in NUMBERS]
    reference = Reference.from_table(names, rows)
    profile = Profile(reference)
    profile.add(names, [[n + shift for n in row] for row in rows])
    return reference, profile


def svgs(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_a_page_shows_what_moved_and_since_when() -> None:
    history = [
        evaluation(5),
        evaluation(4, "not_enough_data", features={}),
        evaluation(3, "drifting"),
        evaluation(2, "stable", features={"a": 0.1}),
    ]
    marks = [{"at": stamp(START + timedelta(hours=2)), "action": "promoted", "version": 3}]
    page = render(history[0], *counted(["a", "b"], 150.0), history, marks)
    assert "since 2026-11-20 03:00 UTC; missing 0.0 % now" in page
    assert "population stability index: 0.2 and more counts as drift" in page
    a, _, over_time = svgs(page)
    assert (a.get("aria-label"), over_time.get("aria-label")) == ("a: now and in training", "drift over time")
    assert "2026-11-20 02:00: promoted version 3" in "".join(over_time.itertext())
    assert "labcycle monitor react card-fraud --dry-run" in page
    assert len(page.encode()) < 40_000


def test_names_are_text() -> None:
    reference, profile = counted([EVIL], 150.0)
    hostile = evaluation(1, model=EVIL, reason=EVIL, features={EVIL: 1.0})
    marks = [{"at": hostile["evaluated_at"], "action": EVIL, "version": EVIL}]
    page = render(hostile, reference, profile, [hostile, evaluation(0, features={EVIL: 1.0})], marks)
    assert "<script" not in page.lower() and "alert(1)" in page and "{{ 7*7 }}" in page
    assert svgs(page)[0].get("aria-label") == f"{EVIL}: now and in training"  # well-formed, and the name as it is
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r"\"[^\"]*\"", '""', page))


@pytest.mark.parametrize("shift", [0.0, 150.0])
def test_a_page_asks_for_nothing(shift: float) -> None:
    page = render(evaluation(1), *counted(["a"], shift), [evaluation(1), evaluation(0)], [])
    asked = re.findall(r"(?:src|href|url|@import)\s*[=(]|https?://[^\"<\s]+", page)
    assert set(asked) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page and "prefers-color-scheme:dark" in page and "@media print" in page


def test_a_page_without_histograms_says_why() -> None:
    page = render(evaluation(1, version=None), None, None, [evaluation(1, version=None)], [])
    assert "no version was live" in page and "<svg" not in page


def test_only_so_many_histograms_are_drawn() -> None:
    names = [f"f{n}" for n in range(MOST_HISTOGRAMS + 3)]
    page = render(evaluation(1), *counted(names, 150.0), [evaluation(1)], [])
    assert len(svgs(page)) == MOST_HISTOGRAMS and "3 more columns moved" in page
    assert all(f">{name}<" in page for name in names)


def test_coverage_is_told_where_it_is_known() -> None:
    measured = evaluation(1, coverage={"share": 0.9, "asked": 900, "requests": 1_000})
    page = render(measured, None, None, [measured], [])
    assert "the profiles tell of 90.0 % of the requests (900 of 1,000)" in page
    batch = evaluation(1, coverage={"share": 1.0})
    assert "of 100.0 % of the requests." in render(batch, None, None, [batch], [])


def test_cohorts_are_told() -> None:
    one = {"rows": 1_234, "features": {"a": 0.5, "b": 0.01}, "moved": ["a"]}
    page = render(found := evaluation(1, cohorts={"country": {EVIL: one}}), None, None, [found], [])
    assert "1,234" in page and "a 0.500, b 0.010" in page and "<script" not in page


counts = st.integers(1, 24).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 10**9), min_size=size, max_size=size)] * 2)
)


@given(counts)
def test_bars_stay_in_their_plot(both: tuple[list[int], list[int]]) -> None:
    training, live = both
    labels = [*[f"{n}" for n in range(len(training) - 2)], "other", "missing"][-len(training) :]
    drawn = histogram("h", labels, training, live)
    for bar in drawn.bars:
        assert bar.x >= 0 and bar.x + bar.width <= WIDTH and bar.width >= 0
        assert bar.y >= 0 and bar.y + bar.height <= HEIGHT and bar.height >= 0
    shown = {bar.label.rpartition(": ")[0] for bar in drawn.bars}
    for label, *found in zip(labels, training, live, strict=True):
        assert (label in shown) == (any(found) or label not in ("other", "missing"))


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.none() | st.floats(-1e6, 1e6, allow_subnormal=False)),
        min_size=1,
        max_size=60,
    ),
    st.none() | st.floats(0, 10, allow_subnormal=False),
)
def test_curves_stay_in_their_plot(points: list[tuple[int, float | None]], limit: float | None) -> None:
    drawn = curve(
        "c", [(START + timedelta(seconds=second), value) for second, value in sorted(points, key=lambda p: p[0])], limit
    )
    inside = [(x, y) for x, y, _ in drawn.dots] + [(line.x1, line.y1) for line in [drawn.limit] if line]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in inside)
    assert len(drawn.dots) == sum(value is not None for _, value in points)
