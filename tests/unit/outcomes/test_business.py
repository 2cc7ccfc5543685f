"""What a model is worth, by whole windows of days whose values are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import Judgement
from labcycle_lambdas.ledger.outcomes import Day
from labcycle_lambdas.outcomes.business import Settings, judge
from labcycle_lambdas.outcomes.sums import Row
from tests.unit.outcomes.place import summed

NEW = SubjectState()
TODAY = date(2026, 3, 20)
SETTINGS = Settings("money-saved", 700, expected=1_000, minimum_rows=50, persistence=2, window_days=7)


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def day(days_ago: int, each: float, count: int = 20, version: int = 2, changes: int = 1) -> Day:
    rows = [Row(1, value=each / 20) for _ in range(count)]
    return Day(version, ago(days_ago), summed(rows, "none").to_doc(), changes)


def judged(
    days: list[Day],
    before: SubjectState = NEW,
    *,
    predicted: Mapping[int, Mapping[str, int]] | None = None,
    settings: Settings = SETTINGS,
    **more: Any,
) -> tuple[Judgement, SubjectState]:
    told: dict[str, Any] = {"promoted_at": datetime(2026, 2, 1, tzinfo=UTC), **more}
    at = datetime(2026, 3, 20, 9, tzinfo=UTC)
    rows = {2: {ago(back): 20 for back in range(1, 21)}} if predicted is None else predicted
    return judge(settings, 2, days, rows, at=at, before=before, **told)


def test_the_sum_of_a_window_is_held_against_the_minimum() -> None:
    found, _ = judged([day(back, 110) for back in range(1, 15)])
    assert (found.verdict, found.figures["value"], found.figures["rows"]) == ("good", 770, 140)
    assert found.reason == "money-saved from 2026-03-13 to 2026-03-19 is 770, minimum 700, expected 1,000"
    low = [day(back, 90) for back in range(1, 15)]
    found, state = judged(low)
    assert (found.verdict, state.consecutive) == ("failing", 1)
    assert judged(low, state)[1].consecutive == 1, "without new outcomes nothing is counted"
    found, state = judged([replace(low[0], changes=2), *low[1:]], state)
    assert (found.verdict, state.in_episode) == ("failed", True)
    assert judged([day(back, 110) for back in range(1, 15)], state)[1].in_episode is False


def test_days_whose_outcomes_are_not_in_yet_are_no_loss() -> None:
    late = [day(1, 0, count=0), day(2, 100, count=4), *(day(back, 110) for back in range(3, 20))]
    found, _ = judged(late)
    assert (found.verdict, found.figures["until"], found.figures["waiting_days"]) == ("good", ago(3), 2)
    found, _ = judged([day(back, 110) for back in range(9, 20)])
    assert found.verdict == "not_enough_data"
    assert found.reason == "the values of the last 8 days are not in: the last day that has them is 2026-03-11"


def test_a_day_of_little_worth_is_a_loss_once_its_values_are_in() -> None:
    found, _ = judged([day(1, 0), day(2, 0), *(day(back, 110) for back in range(3, 20))])
    assert (found.verdict, found.figures["value"]) == ("failing", 550)


def test_where_only_some_predictions_ever_have_a_value_that_is_usual() -> None:
    some = [day(back, 110, count=10) for back in range(1, 20)]  # half of them, each of the same worth
    assert judged(some)[0].figures["until"] == ago(1)


def test_a_model_that_is_young_is_not_judged_by_a_part_of_a_window() -> None:
    rows = {2: {ago(back): 20 for back in range(1, 4)}}
    found, _ = judged([day(back, 0) for back in range(1, 4)], predicted=rows)
    assert (found.verdict, found.reason) == (
        "not_enough_data",
        "the model has predicted for 3 of the 7 whole days of a window",
    )


def test_days_without_predictions_are_days_without_worth() -> None:
    rows = {2: {ago(back): 20 if back > 3 else 0 for back in range(1, 21)}}
    found, _ = judged([day(back, 110) for back in range(4, 20)], predicted=rows)
    assert (found.verdict, found.figures["value"]) == ("failing", 440)


def test_a_version_does_not_answer_for_the_days_before_it() -> None:
    promoted = datetime(2026, 3, 17, 15, tzinfo=UTC)  # two days and nine hours since
    rows = {2: {ago(1): 20, ago(2): 20}, 1: {ago(back): 20 for back in range(3, 20)}}
    before = [day(back, 50, version=1) for back in range(3, 20)]
    mended, _ = judged([*before, day(1, 150), day(2, 150)], predicted=rows, promoted_at=promoted)
    assert mended.verdict == "good"
    assert "but version 2 earned 300 in its 2.38 days, which is its share" in mended.reason
    no_better, _ = judged([*before, day(1, 50), day(2, 50)], predicted=rows, promoted_at=promoted)
    assert no_better.verdict == "failing"
    good = [day(back, 200, version=1) for back in range(3, 20)]
    assert judged([*good, day(1, 0), day(2, 0)], predicted=rows, promoted_at=promoted)[0].verdict == "good"
    for promoted, verdict in (
        (datetime(2026, 3, 19, 15, tzinfo=UTC), "good"),  # 50 in nine hours
        (datetime(2026, 3, 20, 5, tzinfo=UTC), "not_enough_data"),
    ):
        found, _ = judged([*before, day(1, 50), day(2, 50)], predicted=rows, promoted_at=promoted)
        assert found.verdict == verdict


def test_too_few_values_conclude_nothing() -> None:
    found, _ = judged([day(back, 0, count=5) for back in range(1, 20)])
    assert (found.verdict, found.figures["rows"]) == ("not_enough_data", 35)
    assert judged([], predicted={})[0].verdict == "not_enough_data"
    nobody = judge(SETTINGS, None, [], {}, at=datetime(2026, 3, 20, tzinfo=UTC), promoted_at=None, before=NEW)
    assert nobody[0].reason == "no version is live"
