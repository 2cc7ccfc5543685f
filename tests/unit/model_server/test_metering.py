"""What a server uses is measured without slowing an answer, written seldom, and exact under retries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.ledger.usage import Used
from labcycle_lambdas.model_server.flushing import Flushing
from labcycle_lambdas.model_server.metering import WINDOW_SECONDS, WRITE_SECONDS, Metering, peak_memory_mb
from tests.unit.model_server.clock import Clock

SIZE = {"runtime": "lambda", "memory_mb": 1024}


class Store:
    """Keeps the last document of each window, as the ledger does."""

    def __init__(self) -> None:
        self.windows: dict[tuple[datetime, int], Used] = {}
        self.writes = 0
        self.failing = 0

    def write(self, model: str, sandbox: str, number: int, start: datetime, used: Used) -> None:
        self.writes += 1
        self.windows[start, number] = Used.from_doc(used.to_doc())
        if self.failing:
            self.failing -= 1
            raise Throttled("try later")  # written all the same: the answer was lost

    @property
    def all(self) -> list[Used]:
        return [self.windows[key] for key in sorted(self.windows)]


class Bench:
    """A server whose processor and memory are what a test says."""

    def __init__(self, *, by_timer: bool = False) -> None:
        self.store, self.clock, self.cpu_ms, self.peak_mb, self.readings = Store(), Clock(), 700.0, 150, 0
        store: Any = self.store
        self.metering = Metering(
            store,
            "m",
            "sandbox",
            SIZE,
            monotonic=self.clock.monotonic,
            now=self.clock.now,
            cpu_ms=self.read,
            peak_mb=lambda: self.peak_mb,
            by_timer=by_timer,
        )

    def read(self) -> float:
        self.readings += 1
        return self.cpu_ms

    def answer(self, milliseconds: float = 20, cpu_ms: float = 15, *, failed: bool = False) -> None:
        self.clock.pass_seconds(milliseconds / 1000)
        self.cpu_ms += cpu_ms
        self.metering.count(milliseconds, failed=failed)


def test_the_first_answer_tells_of_a_start_and_is_not_among_the_times() -> None:
    bench = Bench()
    bench.answer(4_000, 3_500)  # it loads the version
    (used,) = bench.store.all
    assert (used.tally.requests, used.began, used.answered_ms, used.cpu_ms, used.peak_mb) == (1, True, 0, 0, 150)
    assert used.runs_on == SIZE


def test_later_answers_are_written_seldom_and_the_processor_is_read_with_them() -> None:
    bench = Bench()
    bench.answer()
    readings = bench.readings
    for _ in range(100):
        bench.answer()
    assert (bench.store.writes, bench.readings) == (4, readings + 3)  # 1, 4, 16, 64
    bench.peak_mb = 180
    bench.clock.pass_seconds(WRITE_SECONDS)
    bench.answer(failed=True)
    (used,) = bench.store.all
    assert (used.tally.requests, used.tally.failed, used.answered_ms, used.cpu_ms) == (102, 1, 101 * 20, 101 * 15)
    assert (bench.store.writes, used.peak_mb, used.began) == (5, 180, True)


def test_windows_follow_each_other_without_a_gap() -> None:
    bench = Bench()
    bench.answer()
    for _ in range(5):  # the rarest traffic: a window each
        bench.clock.pass_seconds(WINDOW_SECONDS)
        bench.answer()
    used = bench.store.all
    assert [(one.tally.requests, one.began) for one in used] == [(1, True), *[(1, False)] * 5]
    assert sum(one.answered_ms for one in used) == 5 * 20
    assert sum(one.cpu_ms for one in used) == 5 * 15
    assert all(one.seconds <= WINDOW_SECONDS for one in used)


@pytest.mark.parametrize("by_timer", [False, True])
def test_a_write_that_fails_is_repeated_and_counts_once(by_timer: bool) -> None:
    bench = Bench(by_timer=by_timer)
    bench.store.failing = 1
    with pytest.raises(Throttled):
        bench.answer()
        bench.metering.flush()
    for _ in range(10):
        bench.answer()
        bench.metering.flush()
    assert bench.store.writes == 1  # an answer does not wait for a busy ledger each time
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.store.failing = 1
    with pytest.raises(Throttled):
        bench.answer()
        bench.metering.flush()
    bench.answer()
    bench.metering.flush(all_of_it=True)
    assert [one.tally.requests for one in bench.store.all] == [11, 2]
    assert sum(one.answered_ms for one in bench.store.all) == 12 * 20


def test_a_timer_writes_what_is_due_and_the_end_writes_the_rest() -> None:
    bench = Bench(by_timer=True)
    for _ in range(3):
        bench.answer()
    assert bench.store.writes == 0
    bench.metering.flush()
    bench.answer()
    bench.metering.flush()
    assert [one.tally.requests for one in bench.store.all] == [3]
    bench.metering.flush(all_of_it=True)
    bench.metering.flush(all_of_it=True)
    assert ([one.tally.requests for one in bench.store.all], bench.store.writes) == ([4], 2)


def test_an_idle_process_ends_its_window_and_begins_none() -> None:
    bench = Bench(by_timer=True)
    bench.answer()
    bench.answer()
    bench.metering.flush()
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.cpu_ms += 5
    bench.metering.flush()
    writes = bench.store.writes
    bench.cpu_ms += 60_000  # of its timers, in hours without a request
    for _ in range(5):
        bench.clock.pass_seconds(WINDOW_SECONDS)
        bench.metering.flush(all_of_it=True)
    (used,) = bench.store.all
    assert (used.cpu_ms, used.seconds, bench.store.writes) == (20, WINDOW_SECONDS, writes)


def test_windows_wait_for_a_ledger_that_is_busy_for_long() -> None:
    bench = Bench()
    bench.store.failing = 3
    for _ in range(3):
        with pytest.raises(Throttled):
            bench.answer()
        bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.store.windows.clear()
    bench.answer()
    assert [one.tally.requests for one in bench.store.all] == [1, 1, 1, 1]


def test_the_end_writes_what_was_not_due() -> None:
    bench = Bench(by_timer=True)
    server: Any = SimpleNamespace(
        metering=bench.metering,
        offering=None,
        counting=SimpleNamespace(flush=lambda: None),
        capture=SimpleNamespace(flush=lambda: None),
        canary_capture=SimpleNamespace(flush=lambda: None),
    )
    flushing = Flushing(server, wait=lambda seconds: True)
    flushing.start()
    bench.answer()
    flushing.write(profiles=False)
    bench.answer()
    flushing.write(profiles=False)
    assert [one.tally.requests for one in bench.store.all] == [1]
    flushing.stop()
    assert [one.tally.requests for one in bench.store.all] == [2]


def test_threads_lose_no_answer() -> None:
    bench = Bench(by_timer=True)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2_000):
            pool.submit(bench.metering.count, 1.0, failed=False)
    bench.metering.flush(all_of_it=True)
    (used,) = bench.store.all
    assert (used.tally.requests, used.answered_ms) == (2_000, 1_999)


def test_memory_is_that_of_this_program() -> None:
    before = peak_memory_mb()
    block = bytearray(b"x") * 80_000_000
    assert peak_memory_mb() - before >= 60 or before > 1_000
    assert block[0] == ord("x")
