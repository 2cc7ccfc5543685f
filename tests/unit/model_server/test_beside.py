"""The shadow in a process: its queue, its thread, and what is written of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Seen, Shadows
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.beside import QUEUED, QUEUED_BYTES, Beside
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.comparing import Sums
from labcycle_lambdas.model_server.flushing import Flushing
from labcycle_lambdas.model_server.shadow import Shadow
from labcycle_lambdas.model_server.shown import Shown
from tests.unit.model_server.bench import LABELS, Bench
from tests.unit.model_server.shade import Shade
from tests.unit.model_server.test_shadow import BEGINNING
from tests.unit.serving.workshop import MODEL, classifier, reference_table

OF = Comparison(2, "2026-03-01T00:00:00.000000Z", 1)


class InProcess(Shade):
    """The same, where the shadow is a thread that has not begun."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        clock: Any = {"monotonic": bench.clock.monotonic, "now": bench.clock.now}
        shadows = Shadows(self.world.table)
        known = self.function.shadow
        shadow = Shadow(
            self.deployments,
            known._load,
            MODEL,
            Sums(shadows, MODEL, "process", Seen, **clock),
            Capture(Profiles(self.world.table, "SHADOWPROFILE"), MODEL, "process", by_timer=True, **clock),
            bench.server.journal,
            monotonic=bench.clock.monotonic,
        )
        self.beside = Beside(shadow, Sums(shadows, MODEL, "process", Offered, **clock))
        bench.server = replace(bench.server, offering=self.beside)
        self.flushing = Flushing(bench.server)


@pytest.fixture
def process(bench: Bench) -> InProcess:
    bench.serve(classifier(), run_id=bench.world.run({"reference.json": reference_table()}))
    return InProcess(bench)


def seen_by(beside: Beside, count: int) -> None:
    """Wait until its thread is so far."""
    reached = threading.Event()
    original, left = beside.shadow.see, [count]

    def see(shown: Shown) -> None:
        try:
            original(shown)
        finally:
            left[0] -= 1
            if left[0] == 0:
                reached.set()

    beside.shadow.see = see  # type: ignore[method-assign]
    beside.start()
    assert reached.wait(60)
    beside.stop()


def test_the_thread_scores_what_was_answered_and_the_timer_writes_it(
    process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = process.begin(
        classifier(regularisation=0.001), run_id=process.world.run({"reference.json": reference_table()})
    )
    assert process.ask(*range(20)) == LABELS[:20]
    seen_by(process.beside, 20)
    assert process.read() == (Offered(), Seen()), "nothing is written but by the timer"
    process.flushing.write(profiles=True)
    offered, seen = process.read()
    assert (offered, seen.tally.requests, seen.rows) == (Offered(20), 20, 20)
    (profile,) = Profiles(process.world.table, "SHADOWPROFILE").read(MODEL, version, BEGINNING)
    assert profile.doc["rows"] == 20
    with monkeypatch.context() as patched:
        patched.setattr(process.world.table, "write", None)  # nothing is written where nothing came
        process.flushing.write(profiles=True)
    assert process.bench.log == []
    assert process.read() == (offered, seen)


def test_a_full_queue_costs_no_answer_and_is_counted(process: InProcess) -> None:
    process.begin(classifier(regularisation=0.001))
    numbers = range(QUEUED + 7)
    assert process.ask(*numbers) == [LABELS[number % len(LABELS)] for number in numbers]
    process.beside.write()
    assert process.read()[0] == Offered(QUEUED + 7, not_taken=7)
    process.beside.stop()
    process.beside.write()
    assert process.read()[0] == Offered(QUEUED + 7, not_taken=QUEUED + 7), "what waits at the end is not seen"
    process.ask(1)
    process.beside.write()
    assert process.read()[0] == Offered(QUEUED + 8, not_taken=QUEUED + 8)


def test_the_queue_is_bounded_by_bytes_too(process: InProcess) -> None:
    process.begin(classifier())
    body = b"0" * (QUEUED_BYTES // 2)
    for _ in range(3):
        process.beside.offer(Shown(OF, "request", "text/csv", body, [], 1.0))
    process.beside.write()
    offered, _ = Shadows(process.world.table).read(MODEL, OF)
    assert offered == Offered(3, not_taken=1)
    seen_by(process.beside, 2)
    assert process.beside._bytes == 0, "what was taken out makes room"


def test_a_ledger_that_is_busy_is_no_failure_of_the_version(
    process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.begin(classifier(regularisation=0.001))
    process.ask(1)

    def busy(*_: object) -> None:
        raise Throttled("busy")

    with monkeypatch.context() as patched:
        patched.setattr(process.beside.shadow, "_at_hand", busy)
        seen_by(process.beside, 1)
    process.beside.write()
    offered, seen = process.read()
    assert (offered, seen) == (Offered(1, not_taken=1), Seen())
    assert [line["why"] for line in process.bench.log if "did not see" in line["message"]] == ["Throttled: busy"]
