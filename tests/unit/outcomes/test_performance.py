"""When a realised metric misses its limit, and how seldom it does by chance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import Judgement
from labcycle_lambdas.ledger.outcomes import Day
from labcycle_lambdas.outcomes.performance import Settings, judge
from labcycle_lambdas.outcomes.sums import Kind, Row, Sums
from labcycle_lambdas.profiles.chances import Confidence
from tests.unit.outcomes.place import summed

NEW = SubjectState()
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
SETTINGS = Settings("accuracy", 0.9, minimum_rows=100, persistence=2, window_days=3)


def day(sums: Sums, name: str = "2026-03-09", changes: int = 1, version: int = 2) -> Day:
    return Day(version, name, sums.to_doc(), changes)


def hits(right: int, wrong: int, cohort: str = "shop") -> list[Row]:
    row = {"chances": {"0": 0.25, "1": 0.75}, "cohort": {"kind": cohort}}
    return [Row(1, 1, **row) for _ in range(right)] + [Row(1, 0, **row) for _ in range(wrong)]  # type: ignore[arg-type]


def judged(
    days: Sequence[Day], before: SubjectState = NEW, settings: Settings = SETTINGS, **more: Any
) -> tuple[Judgement, SubjectState]:
    told: dict[str, Any] = {"at": AT, "promoted_at": datetime(2026, 3, 1, tzinfo=UTC), **more}
    return judge(settings, 2, days, before=before, **told)


def test_a_limit_that_is_missed_for_long_enough_fails() -> None:
    found, state = judged([day(summed(hits(80, 40)))])
    assert (found.verdict, state.consecutive, state.in_episode) == ("failing", 1, False)
    again, same = judged([day(summed(hits(80, 40)))], state)
    assert (again.verdict, same) == ("failing", state), "without new outcomes nothing is counted"
    assert "no outcomes since the last one" in again.reason
    found, state = judged([day(summed(hits(85, 40)), changes=2)], state)
    assert (found.verdict, state.consecutive, state.in_episode) == ("failed", 2, True)
    assert found.reason.startswith("accuracy of version 2 is 0.68 (0.57")
    assert found.figures["rows"] == 125
    assert (found.figures["value"], found.figures["limit"], found.figures["since"]) == (0.68, 0.9, "2026-03-08")
    found, state = judged([day(summed(hits(85, 40)), changes=2), day(summed(hits(2000, 0)), "2026-03-10")], state)
    assert (found.verdict, state.consecutive, state.in_episode) == ("good", 0, False)


def test_a_value_below_the_limit_may_be_chance() -> None:
    found, _ = judged([day(summed(hits(88, 12)))])
    assert (found.verdict, found.reason.endswith("limit 0.9, which may be chance")) == ("good", True)


def test_days_of_the_window_alone_count_and_none_before_the_promotion() -> None:
    bad = summed(hits(0, 300))
    good = summed(hits(300, 0))
    assert judged([day(bad, "2026-03-07"), day(good)])[0].verdict == "good"
    found, _ = judged([day(bad, "2026-03-08"), day(good)], promoted_at=datetime(2026, 3, 9, 8, tzinfo=UTC))
    assert (found.verdict, found.figures["rows"]) == ("good", 300)
    assert judged([day(bad, "2026-03-08"), day(good)])[0].verdict == "failing"


def test_too_few_rows_conclude_nothing_and_an_estimate_stands_beside() -> None:
    profiles: list[dict[str, Any]] = [
        {"confidence": {"sum": 720.0, "rows": 800}},
        {"rows": 3},
        {"confidence": {"sum": 90.0, "rows": 100}},
    ]
    found, state = judged([day(summed(hits(30, 10)))], confidence=Confidence.of(profiles))
    assert (found.verdict, state.consecutive) == ("not_enough_data", 0)
    # 30 of 40 came true where 40 * 0.75 were expected: the model is right about itself.
    estimate = found.figures["estimate"]
    assert (estimate["accuracy"], estimate["rows"], estimate["hits_by_confidence"]) == (pytest.approx(0.9), 900, 1.0)
    assert found.reason == (
        "40 predictions of at least 100 with a truth since 2026-03-08; by the model's own confidence an accuracy of 0.9 is to be "
        "expected (an estimate, not measured)"
    )
    less, _ = judged([day(summed(hits(15, 25)))], confidence=Confidence(900.0, 1000))
    assert less.figures["estimate"]["accuracy"] == pytest.approx(0.45)
    assert judged([])[0].verdict == "not_enough_data"
    assert judge(SETTINGS, None, [], at=AT, promoted_at=None, before=NEW)[0].reason == "no version is live"


def test_a_cohort_that_fails_alone_is_named_and_decides_nothing() -> None:
    rows = hits(5000, 100, "web") + hits(30, 30, "shop") + hits(0, 5, "phone")
    found, state = judged([day(summed(rows))])
    assert (found.verdict, state.consecutive) == ("good", 0)
    assert "below it by itself: kind shop (0.5 of 60 rows)" in found.reason
    assert [(one["category"], one["misses"]) for one in found.figures["cohorts"]] == [("shop", True), ("web", False)]


@pytest.mark.parametrize(("metric", "limit"), [("rmse", 1.0), ("mae", 0.8), ("r2", 0.5), ("log_loss", 0.5)])
def test_each_metric_fails_on_its_side(metric: str, limit: float) -> None:
    draw = np.random.default_rng(5)
    truth, noise = draw.normal(size=400), draw.normal(size=400)
    kind: Kind = "classes" if metric == "log_loss" else "numbers"

    def at(quality: float) -> str:
        if metric == "log_loss":
            rows = [
                Row(1, 1, chances={"0": 1 - p, "1": p}) for p in np.clip(draw.normal(quality, 0.05, 400), 0.01, 0.99)
            ]
        else:
            rows = [Row(float(t + 2 * (1 - quality) * e), float(t)) for t, e in zip(truth, noise, strict=True)]
        found, _ = judged([day(summed(rows, kind))], settings=Settings(metric, limit, 100))
        return found.verdict

    assert (at(0.9), at(0.2)) == ("good", "failing")


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss", "roc_auc", "rmse", "mae", "r2"])
def test_a_model_that_is_just_good_enough_seldom_fails(metric: str) -> None:
    """Its true value is the limit: in one evaluation of a hundred it may be found to miss it, and in few more at small samples."""
    draw = np.random.default_rng(11)
    kind: Kind = "numbers" if metric in ("rmse", "mae", "r2") else "classes"
    limit = {"rmse": 1.0, "mae": float(np.sqrt(2 / np.pi)), "r2": 0.5, "accuracy": 0.8, "balanced_accuracy": 0.7}.get(
        metric
    )
    if limit is None:
        # Chances that are right about themselves, of a uniform chance p.
        p = (np.arange(100_000) + 0.5) / 100_000
        entropy = float(-np.mean(p * np.log(p) + (1 - p) * np.log(1 - p)))
        limit = entropy if metric == "log_loss" else 5 / 6  # the area of uniform chances that come true as they say
    failed = 0
    for _ in range(600):
        rows = _just_good_enough(metric, draw, 200)
        found, _ = judged([day(summed(rows, kind))], settings=Settings(metric, limit, 100))
        failed += found.verdict == "failing"
    assert failed / 600 <= 0.03
    if metric not in ("r2", "rmse"):
        assert failed > 0, "a bound so wide that nothing ever fails would be none"


def _just_good_enough(metric: str, draw: np.random.Generator, size: int) -> list[Row]:
    if metric == "accuracy":
        return [Row(1, int(hit)) for hit in draw.uniform(size=size) < 0.8]
    if metric == "balanced_accuracy":  # recalls of 0.9 and 0.5, classes of 80 and 20 percent
        truth = draw.uniform(size=size) < 0.2
        right = draw.uniform(size=size) < np.where(truth, 0.5, 0.9)
        return [Row(int(t == r), int(t)) for t, r in zip(truth, right, strict=True)]
    if metric in ("log_loss", "roc_auc"):
        chance = draw.uniform(size=size)
        truth = draw.uniform(size=size) < chance
        return [
            Row(int(p > 0.5), int(t), chances={"0": 1 - p, "1": p}) for p, t in zip(chance.tolist(), truth, strict=True)
        ]
    target, error = draw.normal(size=size), draw.normal(size=size)
    said = target + error * (np.sqrt(0.5) if metric == "r2" else 1.0)
    return [Row(s, t) for s, t in zip(said.tolist(), target.tolist(), strict=True)]
