"""A model whose versions are promoted in steps, and the state machine that drives the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployment
from labcycle_lambdas.ledger.promotions import Promotion, Promotions
from labcycle_lambdas.ledger.traffic import BINS, Tally, Traffic
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.promotion.environment import Environment
from labcycle_lambdas.promotion.steps import Steps
from tests.unit.serving.workshop import BUCKET, MODEL, REVIEWER, TABLE, TEAM, World, classifier

POLICY = Environment(
    TABLE, BUCKET, TEAM, MODEL, (10, 50), timedelta(minutes=10), timedelta(hours=4), 100, 1024, 29
)  # fmt: skip
MEASURED = {"peak_mb": 200, "load_seconds": 0.1, "slowest_ms": 2.0}
Traffics = Callable[[Deployment], Mapping[int, tuple[int, int]]]


def good(deployment: Deployment) -> dict[int, tuple[int, int]]:
    """Requests and failures a minute, by version: a thousand, of which the tried version answers its share."""
    assert deployment.live and deployment.canary
    tried = 10 * deployment.canary.percent
    return {deployment.live.version: (1000 - tried, 0), deployment.canary.deployed.version: (tried, 0)}


def bad(deployment: Deployment) -> dict[int, tuple[int, int]]:
    """Three in ten answers of the tried version fail."""
    assert deployment.canary
    requests = good(deployment)[deployment.canary.deployed.version][0]
    return {**good(deployment), deployment.canary.deployed.version: (requests, requests * 3 // 10)}


def silent(deployment: Deployment) -> dict[int, tuple[int, int]]:
    return {}


@dataclass
class Machine:
    """Plays the state machine: each answer says what comes next. `now` goes on while it waits."""

    world: World
    policy: Environment = POLICY
    traffic: Traffics = good
    probe: Callable[[str, Deployed, Deployed | None], dict[str, Any]] = lambda model, deployed, live: dict(MEASURED)
    now: datetime = datetime(2026, 5, 4, 12, tzinfo=UTC)
    lost: Callable[[str], bool] = lambda action: False  # whether the answer of a step is lost, so that it is repeated
    meanwhile: Callable[[str], object] = lambda action: None
    steps: list[str] = field(default_factory=list)
    _window: int = 0

    @property
    def promotions(self) -> Promotions:
        return Promotions(self.world.table, lambda: self.now)

    @property
    def promotion(self) -> Promotion:
        found = self.promotions.current(MODEL)
        assert found
        return found

    @property
    def deployment(self) -> Deployment:
        return self.world.deployments.current(MODEL)

    def ask(self, version: int, who: Who = REVIEWER, **given: Any) -> str:
        return self.promotions.begin(MODEL, version, who, **given).execution

    def call(self, execution: str, action: str, **given: Any) -> dict[str, Any]:
        """One step, once or, where its answer is lost, again."""
        self.steps.append(action)
        event = {"action": action, "execution": execution, **given}
        who = Who.service("promotion", execution)
        for _ in range(1 + self.lost(action)):
            steps = Steps(self.policy, self.world.table, self.world.preflight, self.probe, execution, self.now, who)
            answer = steps.do(event)
        return answer

    def run(self, execution: str) -> dict[str, Any]:
        """All steps to the end; the last answer."""
        answer = self.call(execution, "preflight")
        for _ in range(2000):
            action = answer["next"]
            if action == "end":
                return answer
            if action == "look":
                self._serve(answer["seconds"])
            self.meanwhile(action)
            answer = self.call(execution, action, step=answer.get("step", 0))
        raise AssertionError("it does not end")

    def promote(self, version: int, **given: Any) -> dict[str, Any]:
        return self.run(self.ask(version, **given))

    def actions(self) -> list[str]:
        """The events of the model since it was registered, of which none says otherwise than its chain."""
        custody = Custody(self.world.table)
        assert custody.verify(f"model/{MODEL}") == []
        return [e.action for e in custody.events(f"model/{MODEL}") if e.action not in ("created", "registered")]

    def _serve(self, seconds: float) -> None:
        """What comes in while the machine waits."""
        deployment = self.deployment
        begin, self.now = self.now, self.now + timedelta(seconds=seconds)
        if not deployment.canary:
            return
        self._window += 1
        for version, (requests, failed) in self.traffic(deployment).items():
            tally = Tally(requests, failed, [0, requests, *([0] * (len(BINS) - 1))])
            middle = begin + (self.now - begin) / 2
            Traffic(self.world.table).write(MODEL, version, "sandbox", self._window, middle, tally)


def with_live(world: World, versions: int = 2) -> None:
    """Version 1 is live, the others are registered."""
    for _ in range(versions):
        world.register(classifier())
    world.promote(1)
