"""What is kept of predictions, where, and what never is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.capture import FLUSH_ROWS, WINDOW_SECONDS, Capture
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.prediction_log import LONGEST_VALUE, OBJECT_BYTES, REST_SECONDS, Answered
from labcycle_lambdas.profiles import Reference
from tests.unit.model_server.clock import Clock
from tests.unit.model_server.logged import Bucket
from tests.unit.model_server.test_capture import Store, loaded

ALL = Keeping(log=True, sample_percent=100, redact=("secret",), cohorts=("country", "secret"))


BY_COUNTRY = Reference.from_table(
    ["a", "secret", "country", "prediction"],
    [[float(i), f"x{i % 3}", ("de", "fr")[i % 2], i % 2] for i in range(50)],
    ["country", "secret"],
).to_doc()


class Bench:
    def __init__(self, keeping: Keeping = ALL, *, by_timer: bool = False) -> None:
        self.bucket, self.store, self.clock = Bucket(), Store(), Clock()
        profiles: Any = self.store
        self.capture = Capture(
            profiles,
            "m",
            "ab12",
            monotonic=self.clock.monotonic,
            now=self.clock.now,
            by_timer=by_timer,
            keeping=keeping,
            log=self.bucket.log("m", monotonic=self.clock.monotonic),
        )

    def ask(self, rows: int = 1, *, request_id: str = "r", **more: Any) -> str | None:
        answered = Answered(request_id, [1] * rows, ["a"], [[1.0]] * rows, **more)
        said = self.capture.count(loaded(), answered)
        self.capture.write_due()
        return said


def test_a_line_says_what_was_answered_to_whom_and_when() -> None:
    bench = Bench(Keeping(log=True))
    assert bench.ask(2, request_id="r-7") == "1-20260301T000000Z-ab12-1-0"
    at = "2026-03-01T00:00:00.000Z"
    assert bench.bucket.lines() == {
        "predictions/m/1/20260301T000000Z-ab12-1": [
            {"row": 0, "request": "r-7", "at": at, "prediction": 1},
            {"row": 1, "request": "r-7", "at": at, "prediction": 1},
        ]
    }


def test_an_id_points_to_its_line_in_whatever_window() -> None:
    bench, ids = Bench(), {}
    for number in range(FLUSH_ROWS * 2 + 30):
        ids[f"r-{number}"] = bench.ask(request_id=f"r-{number}")
        bench.clock.pass_seconds(0.5)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.ask()
    for request_id, said in ids.items():
        assert said and (line := bench.bucket.find(said)) and line["request"] == request_id
    assert len(bench.bucket.objects) > 3


def test_models_without_a_reference_have_a_log_and_no_profile() -> None:
    bench = Bench()
    assert bench.capture.count(loaded(3, None), Answered("r", [[1, 2], [3, 4]])) == "3-20260301T000000Z-ab12-1-0"
    bench.capture.write_due()
    assert [line["prediction"] for line in next(iter(bench.bucket.lines().values()))] == [[1, 2], [3, 4]]
    assert bench.store.windows == {}


def test_redacted_features_are_never_kept() -> None:
    bench = Bench()
    columns, row = ["a", "secret", "country"], [1.5, "x1", "de"]
    bench.capture.count(loaded(1, BY_COUNTRY), Answered("r", [1], columns, [row]))
    bench.capture.write_due()
    (line,) = next(iter(bench.bucket.lines().values()))
    assert (line["features"], line["cohort"]) == ({"a": 1.5, "country": "de"}, {"country": "de"})
    assert "x1" not in json.dumps(bench.bucket.lines())
    assert ALL.told(ValueError("x-ray")) == "ValueError"


def test_rows_are_told_apart_by_the_cohorts_of_the_reference() -> None:
    bench = Bench()
    rows = [[1.5, "s", "de"], [1.5, "s", "fr"], [1.5, "s", "de"], [1.5, "s", None], [1.5, "s", "xx"]]
    bench.capture.count(loaded(1, BY_COUNTRY), Answered("r", [1] * 5, ["a", "secret", "country"], rows))
    bench.capture.write_due()
    lines = next(iter(bench.bucket.lines().values()))
    assert [line.get("cohort", {}).get("country") for line in lines] == ["de", "fr", "de", None, None]
    (doc,) = bench.store.windows.values()
    assert {label: counted["rows"] for label, counted in doc["cohorts"]["country"].items()} == {"de": 2, "fr": 1}
    assert doc["rows"] == 5


@pytest.mark.parametrize("percent", [0.01, 1.0, 37.5, 100.0])
def test_the_same_requests_are_sampled_everywhere(percent: float) -> None:
    here, there = Keeping(True, percent), Keeping(True, percent, chances=True)
    chosen = [number for number in range(20_000) if here.samples(f"request-{number}")]
    assert chosen == [number for number in range(20_000) if there.samples(f"request-{number}")]
    assert len(chosen) == pytest.approx(200 * percent, abs=4 * (200 * percent) ** 0.5)
    assert not Keeping(True, 0).samples("r")


def test_long_values_are_cut() -> None:
    bench = Bench()
    rows: list[list[Any]] = [["x" * 5000], [["y" * 900, "z" * 900]], [list(range(10))]]
    bench.capture.count(loaded(), Answered("r", ["p" * 5000, {"q": "é" * 900}, 3], ["a"], rows))
    bench.capture.write_due()
    first, second, third = next(iter(bench.bucket.lines().values()))
    assert first["prediction"] == "p" * LONGEST_VALUE and first["features"]["a"] == "x" * LONGEST_VALUE
    assert second["features"]["a"].startswith('["yyy') and len(second["features"]["a"]) <= LONGEST_VALUE
    assert second["prediction"].startswith('{"q":"é')
    assert third["features"]["a"] == list(range(10))


def test_no_object_is_larger_than_is_allowed_and_what_is_has_no_id() -> None:
    bench, ids = Bench(Keeping(log=True), by_timer=True), []
    answered = Answered("r", ["p" * 900] * 1000, ["a"], [[1.0]] * 1000)
    for _ in range(12):
        ids.append(bench.capture.count(loaded(), answered))
        bench.capture.flush()
    assert len(bench.bucket.objects) == 3
    for lines in bench.bucket.lines().values():
        assert sum(len(json.dumps(line, separators=(",", ":"))) + 1 for line in lines) <= OBJECT_BYTES
    assert all(said and bench.bucket.find(said) for said in ids)
    too_much = Answered("r", ["p" * 900] * 5000, ["a"], [[1.0]] * 5000)
    assert bench.capture.count(loaded(), too_much) is None
    bench.capture.flush()
    assert sum(bench.store.rows()) == 12_000 + 5000
    assert sum(map(len, bench.bucket.lines().values())) == 12_000


def test_what_the_bucket_did_not_take_is_put_later_and_it_is_left_alone_meanwhile() -> None:
    bench = Bench()
    bench.bucket.broken = True
    answered = Answered("r", [1], ["a"], [[1.0]])
    said = bench.capture.count(loaded(), answered)
    with pytest.raises(RuntimeError):
        bench.capture.write_due()
    assert bench.store.rows() == [1]  # the profile is there
    bench.clock.pass_seconds(WINDOW_SECONDS)
    again = bench.capture.count(loaded(), answered)
    with pytest.raises(RuntimeError):
        bench.capture.write_due()
    bench.bucket.broken = False
    with pytest.raises(Throttled, match="left alone"):
        bench.capture.write_due()
    bench.clock.pass_seconds(REST_SECONDS)
    bench.capture.write_due()
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.ask()
    assert said and again and bench.bucket.find(said) and bench.bucket.find(again)
    assert sorted(bench.store.rows()) == [1, 1, 1]


def test_a_process_writes_what_came_since_and_the_last_object_has_all() -> None:
    bench = Bench(by_timer=True)
    for number in range(5):
        bench.ask(2, request_id=f"r-{number}")
        bench.capture.flush()
        bench.capture.flush()
    assert bench.bucket.puts == 5
    assert [line["row"] for line in next(iter(bench.bucket.lines().values()))] == list(range(10))


@pytest.mark.parametrize(
    ("outputs", "chances"),
    [
        ([{"label": 1, "probabilities": {0: 0.25, 1: 0.75}}], {"0": 0.25, "1": 0.75}),
        ([{"label": 1, "probabilities": [0.25, 0.75]}], {"0": 0.25, "1": 0.75}),
        ([{"label": 1, "probability_no": 0.25, "probability_yes": 0.75}], {"no": 0.25, "yes": 0.75}),
        ([{"label": 1, "probabilities": [0.2, 0.3, 0.5]}], None),  # of which classes?
        ([{"label": 1, "probabilities": None}], None),
        ([{"label": 1, "probabilities": ["high", "low"]}], None),
        ([{"label": 1}], None),
        (None, None),
    ],
)
def test_chances_are_kept_and_summed_up_where_they_can_be_told(outputs: Any, chances: dict[str, float] | None) -> None:
    bench = Bench()
    bench.ask(outputs=outputs)
    (line,) = next(iter(bench.bucket.lines().values()))
    (doc,) = bench.store.windows.values()
    assert line.get("chances") == chances
    assert doc.get("confidence") == ({"sum": max(chances.values()), "rows": 1} if chances else None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5))
def test_every_row_has_a_line_of_json_whatever_its_values(rows: list[tuple[Any, Any]]) -> None:
    bench = Bench()
    said = bench.capture.count(loaded(), Answered("r", [p for p, _ in rows], ["country"], [[v] for _, v in rows]))
    bench.capture.write_due()
    lines = next(iter(bench.bucket.lines().values()))
    assert said and [line["row"] for line in lines] == list(range(len(rows)))
    for line, (prediction, value) in zip(lines, rows, strict=True):
        if isinstance(prediction, str):
            assert line["prediction"] == prediction[:LONGEST_VALUE]
        if isinstance(value, int):
            assert line["features"] == {"country": value}


def test_windows_are_told_apart_by_their_number_within_a_second() -> None:
    bench, ids = Bench(), set()
    for generation in range(1, 4):
        one = loaded(generation)
        ids.add(bench.capture.count(one, Answered("r", [1], ["a"], [[1.0]])))
        bench.capture.write_due()
        bench.clock.start += timedelta(milliseconds=1)
    assert len(ids) == len(bench.bucket.objects) == 3
