"""What is lost of what many sandboxes of Lambda count: they are frozen after each answer, and end without a word.

`capture` says what a sandbox takes along at most; here hundreds of them come and go.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from labcycle_lambdas.model_server.capture import FLUSH_ROWS, Capture
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.prediction_log import Answered
from labcycle_lambdas.profiles import Profile, Reference
from tests.unit.model_server.clock import Clock
from tests.unit.model_server.logged import Bucket
from tests.unit.model_server.test_capture import REFERENCE, Store, loaded

SANDBOXES = 200
EVENTS = 3_000


class Ledger(Store):
    """Fails now and then: before it has kept the document, or after, when only the answer is lost. Now and then it keeps one twice."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random, self.fails, self.failed = random, True, False

    def write(self, model: str, version: int, sandbox: str, number: int, start: datetime, doc: dict[str, Any]) -> None:
        fate = self.random.random() if self.fails else 1.0
        self.failed = fate < 0.1
        if fate < 0.05:
            raise RuntimeError("refused")
        for _ in range(1 + (fate > 0.95)):
            super().write(model, version, sandbox, number, start, doc)
        if fate < 0.1:
            raise RuntimeError("the answer was lost")


@dataclass
class Sandbox:
    capture: Capture
    rows_a_request: int
    requests: int = 0
    asked: int = 0
    could_write: bool = True
    ids: dict[str, str] = field(default_factory=dict)


class World:
    def __init__(self, random: Random) -> None:
        self.random, self.clock, self.bucket = random, Clock(), Bucket()
        self.ledger = Ledger(random)
        self.made: dict[str, Sandbox] = {}
        self.alive: list[Sandbox] = []

    def begin(self) -> Sandbox:
        name, ledger = f"s{len(self.made)}", self.ledger
        profiles: Any = ledger
        clocks: Any = {"monotonic": self.clock.monotonic, "now": self.clock.now}
        log = self.bucket.log("m", monotonic=self.clock.monotonic)
        capture = Capture(profiles, "m", name, keeping=Keeping(log=True), log=log, **clocks)
        made = self.made[name] = Sandbox(capture, self.random.choice([1, 1, 1, 7, 90]))
        self.alive.append(made)
        return made

    def requests_in_log(self) -> int:
        """How many rows it has; each is of the request that got its id."""
        lines = 0
        for name, of in self.bucket.lines().items():
            _, _, version, window = name.split("/")
            sandbox = self.made[window.split("-")[1]]
            for line in of:
                said = f"{version}-{window}-{line['row'] - line['row'] % sandbox.rows_a_request}"
                assert sandbox.ids[said] == line["request"]
            lines += len(of)
        return lines

    def event(self) -> None:
        random = self.random
        self.clock.pass_seconds(random.choice([0.0, 0.01, 0.2, 5.0, 61.0]))
        if not self.alive or (len(self.made) < SANDBOXES and random.random() < SANDBOXES / EVENTS):
            self.begin()
        sandbox = self.alive[int(len(self.alive) * random.random() ** 3)]  # some have much more to do than others
        self.ask(sandbox, prediction=random.random() < 0.8)
        if random.random() < 0.03:  # it ends without a word
            self.alive.remove(sandbox)

    def ask(self, sandbox: Sandbox, *, prediction: bool) -> None:
        sandbox.capture.ask()
        sandbox.asked += 1
        self.ledger.failed = False
        with suppress(RuntimeError):
            if prediction:
                rows, request_id = sandbox.rows_a_request, f"r-{self.random.randrange(2000)}"  # some are sent again
                answered = Answered(request_id, [1] * rows, ["a"], [[1.0]] * rows)
                said = sandbox.capture.count(loaded(), answered)
                assert said
                sandbox.ids[said] = request_id
                sandbox.requests += 1
            sandbox.capture.write_due()
        sandbox.could_write = not self.ledger.failed


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32))
def test_no_more_is_told_than_was_and_no_more_is_lost_than_is_said(seed: int) -> None:
    world = World(Random(seed))
    for _ in range(EVENTS):
        world.event()
    told: Counter[str] = Counter()
    for (_, name, _, _), doc in world.ledger.windows.items():
        told[f"rows of {name}"] += doc["rows"]
        told[f"asked of {name}"] += doc["asked"]
        assert doc["rows"] == world.made[name].rows_a_request * doc["requests"]
    for name, sandbox in world.made.items():
        lost = sandbox.requests * sandbox.rows_a_request - told[f"rows of {name}"]
        unheard = sandbox.asked - told[f"asked of {name}"]
        assert lost >= 0 and unheard >= 0
        if sandbox.could_write:
            assert lost < FLUSH_ROWS
            assert unheard < FLUSH_ROWS or not sandbox.requests
    assert told["rows of s0"]
    assert world.requests_in_log() <= sum(one.requests * one.rows_a_request for one in world.made.values())


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32))
def test_where_nothing_ends_and_writes_get_through_all_is_told_once(seed: int) -> None:
    world = World(Random(seed))
    for _ in range(20):
        world.begin()
    for _ in range(1500):
        world.clock.pass_seconds(world.random.choice([0.0, 0.2, 20.0]))
        world.ask(world.random.choice(world.alive), prediction=world.random.random() < 0.8)
    world.ledger.fails = False
    for _ in range(2):
        world.clock.pass_seconds(61)
        for sandbox in world.alive:
            world.ask(sandbox, prediction=True)
    reference = Reference.from_doc(REFERENCE)
    merged = Profile.of(reference, world.ledger.windows.values())
    assert merged.rows == sum(one.requests * one.rows_a_request for one in world.alive)
    assert sum(doc["asked"] for doc in world.ledger.windows.values()) == sum(one.asked for one in world.alive)
    assert world.requests_in_log() == merged.rows
