"""How a step of a reaction ends it: the lock is released, the cool-down begins, and the owner gets a notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.reactions import BEGUN, RETRAIN, Reactions
from labcycle_lambdas.ledger.table import Doc
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.notice import Notice
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.policies import Policy, after, introduced

Event = tuple[str, Who, Mapping[str, Any]]


@dataclass(frozen=True)
class Ending:
    """Of one execution, at one time."""

    environment: Environment
    deployments: Deployments
    reactions: Reactions
    execution: str
    now: datetime
    who: Who

    @property
    def model(self) -> str:
        return self.environment.model

    @cached_property
    def begun(self) -> Doc:
        """What its beginning left: `policy`, `cause`, `do`, `live_version`, `run_id`; nothing where it did not begin."""
        return self.reactions.mark(self.model, self.execution, BEGUN) or {}

    @cached_property
    def policy(self) -> Policy:
        """By which it began. Raises `LookupError` where the team file has it no more."""
        policies = self.environment.policies.each
        number: int = self.begun.get("policy", 0)
        if number >= len(policies):
            raise LookupError(f"the reaction number {number} was removed from the team file while it ran")
        return policies[number]

    @property
    def cool_down(self) -> timedelta:
        """Of the policy; none where the team file has it no more."""
        try:
            return self.policy.cool_down
        except LookupError:
            return timedelta()

    @property
    def introduced(self) -> str:
        """Why it began, as a sentence."""
        return introduced(self.begun.get("cause", "drift"), self.model)

    @property
    def after(self) -> str:
        """Why it began, within a sentence."""
        return after(self.begun.get("cause", "drift"))

    def end(self, outcome: str, event: Event | None = None) -> None:
        do, until = self.begun.get("do", RETRAIN), self.now + self.cool_down
        self.reactions.end(self.model, self.execution, outcome, do=do, cool_down_until=until, event=event)

    def answer(self, outcome: str, subject: str, lines: Sequence[str]) -> dict[str, Any]:
        return {"outcome": outcome, "notice": self.notice(subject, lines)}

    def notice(self, subject: str, lines: Sequence[str]) -> dict[str, str]:
        return Notice.of(f"labcycle {self.environment.team}: {subject}", lines).to_doc()

    def live(self) -> str:
        live = self.deployments.current(self.model).live
        return f"version {live.version}" if live else "nothing"

    def pause(self, why: str) -> None:
        """Stop predictions: an error is answered, as by `labcycle models pause`."""
        self.deployments.pause(self.model, None, self.who, reason=why)

    def resuming(self) -> list[str]:
        """What a notice of a pause says at its end."""
        return [
            f"To let it predict again: labcycle models resume {self.model}",
            f"To see what happened: labcycle models history {self.model}",
        ]
