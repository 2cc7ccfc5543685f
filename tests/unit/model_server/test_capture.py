"""When profiles are written: with the first request of a window, at 200 rows, and when the window is over."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server.capture import FLUSH_ROWS, WINDOW_SECONDS, Capture
from labcycle_lambdas.model_server.live import Loaded
from labcycle_lambdas.model_server.prediction_log import Answered
from labcycle_lambdas.profiles import Profile, Reference
from tests.unit.model_server.clock import Clock

REFERENCE = Reference.from_table(["a", "prediction"], [[float(i), i % 2] for i in range(50)]).to_doc()


class Store:
    """Keeps the last document of each window, as the ledger does."""

    def __init__(self) -> None:
        self.windows: dict[tuple[int, str, int, datetime], dict[str, Any]] = {}
        self.writes = 0
        self.broken = False

    def write(self, model: str, version: int, sandbox: str, number: int, start: datetime, doc: dict[str, Any]) -> None:
        if self.broken:
            raise RuntimeError("broken")
        self.writes += 1
        self.windows[(version, sandbox, number, start)] = doc

    def rows(self) -> list[int]:
        return [doc["rows"] for doc in self.windows.values()]


def loaded(version: int = 1, reference: dict[str, Any] | None = REFERENCE) -> Loaded:
    graph = DeployedFile("model.onnx", "k", "v", "0", 1)
    unused: Any = None
    return Loaded(Deployed(version, None, graph, (graph,), None, reference), version, unused)


class Bench:
    def __init__(self) -> None:
        self.store, self.clock = Store(), Clock()
        profiles: Any = self.store
        self.capture = Capture(profiles, "m", "sandbox", monotonic=self.clock.monotonic, now=self.clock.now)

    def add(self, rows: int, what: Loaded | None = None) -> None:
        self.capture.count(what or loaded(), Answered("", [1] * rows, ["a"], [[1.0]] * rows))
        self.capture.write_due()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_request_of_a_window_is_written_at_once(bench: Bench) -> None:
    bench.add(3)
    assert bench.store.rows() == [3]
    bench.add(4)
    assert bench.store.rows() == [3]


def test_rare_traffic_is_written_with_every_request(bench: Bench) -> None:
    for _ in range(4):
        bench.add(1)
        bench.clock.pass_seconds(WINDOW_SECONDS)
    assert bench.store.rows() == [1, 1, 1, 1]


def test_many_rows_are_written_without_waiting(bench: Bench) -> None:
    bench.add(1)
    for _ in range(FLUSH_ROWS):
        bench.add(1)
    assert bench.store.rows() == [FLUSH_ROWS + 1]
    assert bench.store.writes == 2


def test_the_request_after_the_window_writes_what_was_left_and_opens_another(bench: Bench) -> None:
    bench.add(2)
    bench.add(5)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.add(1)
    assert bench.store.rows() == [7, 1]
    starts = [key[3] for key in bench.store.windows]
    assert starts == [bench.clock.start, bench.clock.start + timedelta(seconds=WINDOW_SECONDS)]


def test_another_version_gets_windows_of_its_own(bench: Bench) -> None:
    bench.add(2)
    bench.add(3)
    bench.add(4, loaded(2))
    assert {key[0]: doc["rows"] for key, doc in bench.store.windows.items()} == {1: 5, 2: 4}


def test_without_a_reference_nothing_is_kept(bench: Bench) -> None:
    bench.add(500, loaded(1, None))
    assert bench.store.windows == {}


def test_what_could_not_be_written_is_written_later(bench: Bench) -> None:
    bench.store.broken = True
    for _ in range(3):
        with pytest.raises(RuntimeError):
            bench.add(FLUSH_ROWS)
    bench.store.broken = False
    bench.add(1)
    assert sorted(bench.store.rows()) == [1, FLUSH_ROWS, FLUSH_ROWS, FLUSH_ROWS]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 250), st.sampled_from([0.0, 1.0, 30.0, 61.0]), st.booleans(), st.integers(1, 2)),
        max_size=25,
    )
)
def test_no_row_is_lost_or_counted_twice(steps: list[tuple[int, float, bool, int]]) -> None:
    """Whatever fails in between, once writes succeed and the window is over each row is there, once."""
    bench, sent = Bench(), 0
    versions = {1: loaded(1), 2: loaded(2)}
    for generation, (rows, seconds, broken, version) in enumerate(steps):
        bench.clock.pass_seconds(seconds)
        bench.store.broken = broken and generation % 3 == 0
        with suppress(RuntimeError):
            bench.add(rows, versions[version])
        sent += rows
    bench.store.broken = False
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.add(1)
    assert sum(bench.store.rows()) == sent + 1


@given(st.lists(st.tuples(st.lists(st.floats() | st.integers() | st.text(), min_size=1, max_size=3), st.booleans())))
def test_what_is_written_is_what_was_answered(requests: list[tuple[list[Any], bool]]) -> None:
    """However many rows a request has, of whatever, and whether its columns are those of the last."""
    bench, expected = Bench(), Profile(Reference.from_doc(REFERENCE))
    for values, known in requests:
        columns, rows, answers = (["a"] if known else ["b"]), [[value] for value in values], [1] * len(values)
        bench.capture.count(loaded(), Answered("", answers, columns, rows))
        expected.add(columns, rows, answers)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.add(1, loaded(2))
    written = [doc["counts"] for (version, *_), doc in bench.store.windows.items() if version == 1]
    assert written == ([expected.counts] if requests else [])
