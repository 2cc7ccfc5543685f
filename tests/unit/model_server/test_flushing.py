"""What a process counts is written by its timer, and when it ends; many threads count at once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from typing import Any

import pytest

from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.model_server.capture import FLUSH_ROWS, WINDOW_SECONDS, Capture
from labcycle_lambdas.model_server.counting import Counting
from labcycle_lambdas.model_server.flushing import EVERY_SECONDS, PROFILES_EVERY, Flushing
from labcycle_lambdas.model_server.journal import Journal
from labcycle_lambdas.model_server.live import Live
from labcycle_lambdas.model_server.prediction_log import Answered
from labcycle_lambdas.model_server.server import Server
from tests.unit.model_server.clock import Clock
from tests.unit.model_server.test_capture import Store, loaded


class Tallies:
    """Keeps the last tally of each window, as the ledger does."""

    def __init__(self) -> None:
        self.windows: dict[tuple[int, int], Tally] = {}
        self.writes = 0

    def write(self, model: str, version: int, sandbox: str, number: int, start: datetime, tally: Tally) -> None:
        self.writes += 1
        self.windows[version, number] = tally

    @property
    def requests(self) -> int:
        return sum(tally.requests for tally in self.windows.values())


class Bench:
    def __init__(self) -> None:
        self.store, self.tallies, self.clock, self.log = Store(), Tallies(), Clock(), list[dict[str, Any]]()
        clocks: Any = {"monotonic": self.clock.monotonic, "now": self.clock.now, "by_timer": True}
        profiles: Any = self.store
        traffic: Any = self.tallies
        self.capture = Capture(profiles, "m", "sandbox", **clocks)
        self.counting = Counting(traffic, "m", "sandbox", **clocks)
        unused: Any = None
        live = Live(unused, unused, "m")
        journal = Journal("fraud", "m", lambda line: self.log.append(json.loads(line)), lambda: 1)
        canary = Capture(profiles, "m", "sandboxcanary", **clocks)
        self.server = Server("m", live, self.capture, canary, self.counting, journal)

    def add(self, rows: int) -> None:
        self.capture.count(loaded(), Answered("", [1] * rows, ["a"], [[1.0]] * rows))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_requests_write_nothing_and_a_flush_writes_what_is_new(bench: Bench) -> None:
    for _ in range(2 * FLUSH_ROWS + 1):
        bench.add(1)
    assert bench.store.writes == 0
    bench.capture.flush()
    bench.capture.flush()
    assert (bench.store.writes, bench.store.rows()) == (1, [2 * FLUSH_ROWS + 1])
    bench.add(3)
    bench.capture.flush()
    assert (bench.store.writes, bench.store.rows()) == (2, [2 * FLUSH_ROWS + 4])


def test_a_window_that_is_over_is_written_and_not_touched_again(bench: Bench) -> None:
    bench.add(2)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.capture.flush()
    bench.add(5)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.add(7)
    bench.capture.flush()
    assert sorted(bench.store.rows()) == [2, 5, 7]


def test_what_cannot_be_written_is_kept(bench: Bench) -> None:
    bench.add(2)
    bench.store.broken = True
    flushing = Flushing(bench.server)
    flushing.write(profiles=True)
    assert bench.log[0]["ProfileWriteFailures"] == 1
    assert bench.log[0]["error"] == "RuntimeError: broken"
    bench.store.broken = False
    flushing.write(profiles=True)
    assert bench.store.rows() == [2]


def test_in_requests_all_is_written_but_not_more_than_once_a_second(bench: Bench) -> None:
    flushing = Flushing(bench.server, monotonic=bench.clock.monotonic)
    for requests in (1, 2, 3):
        bench.counting.count(1, 4, 5.0, failed=False)
        bench.add(1)
        flushing.write_in_request()
        bench.clock.pass_seconds(EVERY_SECONDS / 2)
        expected = {1: 1, 2: 1, 3: 3}[requests]
        assert (bench.tallies.requests, sum(bench.store.rows())) == (expected, expected)


def test_what_the_timer_wrote_keeps_no_request_from_writing(bench: Bench) -> None:
    flushing = Flushing(bench.server, monotonic=bench.clock.monotonic)
    bench.add(1)
    flushing.write(profiles=False)
    flushing.write_in_request()
    assert bench.store.rows() == [1]


def test_a_request_does_not_wait_for_one_that_writes(bench: Bench) -> None:
    flushing = Flushing(bench.server)
    bench.add(1)
    with flushing._one_at_a_time:
        flushing.write_in_request()
    assert bench.store.rows() == []


def test_tallies_are_written_by_flush(bench: Bench) -> None:
    for _ in range(3):
        bench.counting.count(1, 4, 5.0, failed=False)
    bench.counting.count(1, 5, 5.0, failed=True)
    assert bench.tallies.writes == 0
    bench.counting.flush()
    bench.counting.flush()
    assert (bench.tallies.writes, bench.tallies.requests) == (2, 4)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.counting.count(1, 4, 5.0, failed=False)
    bench.counting.count(1, 5, 5.0, failed=False)
    bench.counting.flush()
    assert (len(bench.tallies.windows), bench.tallies.requests) == (4, 6)


def test_the_last_counts_of_a_window_are_not_lost(bench: Bench) -> None:
    bench.counting.count(1, 4, 5.0, failed=False)
    bench.counting.flush()
    bench.counting.count(1, 4, 5.0, failed=False)
    bench.clock.pass_seconds(WINDOW_SECONDS)
    bench.counting.count(1, 4, 5.0, failed=False)
    bench.counting.flush()
    assert bench.tallies.requests == 3


def test_the_timer_writes_tallies_each_turn_and_profiles_less_often(bench: Bench) -> None:
    turns, seen = count(1), list[tuple[int, int]]()

    def wait(seconds: float) -> bool:
        turn = next(turns)
        seen.append((bench.tallies.writes, bench.store.writes))
        bench.add(1)
        bench.counting.count(1, 4, 5.0, failed=False)
        return turn > PROFILES_EVERY

    flushing = Flushing(bench.server, wait)
    flushing.start()
    flushing.stop()
    assert [tallies for tallies, _ in seen] == list(range(PROFILES_EVERY + 1))
    assert [profiles for _, profiles in seen] == [0] * PROFILES_EVERY + [1]
    assert bench.store.rows() == [PROFILES_EVERY + 1]  # the last at the end
    assert bench.tallies.requests == PROFILES_EVERY + 1


def test_threads_lose_nothing(bench: Bench) -> None:
    ended = threading.Event()

    def flush() -> None:
        while not ended.is_set():
            bench.capture.flush()
            bench.counting.flush()

    def work(_: int) -> None:
        for _ in range(300):
            bench.add(1)
            bench.counting.count(1, 4, 5.0, failed=False)

    timer = threading.Thread(target=flush)
    timer.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    ended.set()
    timer.join()
    bench.capture.flush()
    bench.counting.flush()
    assert sum(bench.store.rows()) == 2400
    assert bench.tallies.requests == 2400
    profile = next(iter(bench.store.windows.values()))
    assert all(sum(column) == profile["rows"] for column in profile["counts"])
