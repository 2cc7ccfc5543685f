"""The steps by name, as the state machine calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.promotions import Promotions
from labcycle_lambdas.ledger.reactions import REGISTERED, Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.reaction.act import Act
from labcycle_lambdas.reaction.begin import Begin
from labcycle_lambdas.reaction.conclude import Conclude
from labcycle_lambdas.reaction.ending import Ending
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.failing import Failing, settle
from labcycle_lambdas.reaction.register import Register
from labcycle_lambdas.reaction.review import Review

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Those that hold no lock: they take it, give it up, or do without.
_WITHOUT_LOCK = ("begin", "ask", "wait", "fail", "resume")


@dataclass(frozen=True)
class Steps:
    environment: Environment
    table: Table
    s3: S3Client
    deployments: Deployments
    promotions: Promotions
    machines: Machines
    runs: Runs
    registry: Registry
    reactions: Reactions
    preflight: Preflight

    def do(self, event: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """The answer of the step `event["action"]`.

        Raises
        ------
        CannotReact
            If a person has to change something first.
        Busy
            If another reaction holds the lock, as after a time-out of the machine.
        AlreadyReviewed
            If a wait has nothing to wait for.
        Throttled
            If the ledger asks for patience; the step can be repeated.
        """
        execution, action = event["execution"], event["action"]
        if action not in _WITHOUT_LOCK:
            self.reactions.hold(self.environment.model, execution, now, self.environment.longest)
        ending = Ending(self.environment, self.deployments, self.reactions, execution, now, who)
        match action:
            case "begin":
                begin = Begin(self.environment, self.s3, self.deployments, self.runs, self.reactions)
                return begin(execution, event.get("input") or {}, now, who)
            case "tell":
                return self._act(ending).tell()
            case "pause":
                return self._act(ending).pause()
            case "take_back":
                return self._act(ending).roll_back()
            case "register":
                return self._register(ending, event["begun"], float(event["billable_seconds"]))
            case "compare":
                from labcycle_lambdas.reaction.compare import Compare  # brings onnxruntime

                compare = Compare(
                    self.environment,
                    self.s3,
                    self.deployments,
                    self.runs,
                    self.registry,
                    self.reactions,
                    self.preflight,
                )
                return compare(execution, event["begun"], event["version"], ending.policy, who)
            case "ask":
                return Review(ending).ask(event["compared"])
            case "wait":
                return Review(ending).wait(event["token"])
            case "reviewed":
                return Review(ending).reviewed(event["compared"])
            case "leave":
                return Review(ending).leave(event["compared"])
            case "promote":
                return self._conclude(ending).promote(event["compared"])
            case "roll_back":
                return self._conclude(ending).roll_back(event["compared"])
            case "keep":
                return self._conclude(ending).keep(event["compared"])
            case "fail":
                failure = event.get("error", ""), event.get("cause", "")
                return Failing(ending, self.runs).fail(event.get("input") or {}, event.get("at", ""), *failure)
            case "resume":
                return Failing(ending, self.runs).resume(event["at"], event["begun"], int(event["redrives"]))
            case _:
                raise ValueError(f"unknown action {action!r}")

    def _register(self, ending: Ending, begun: Mapping[str, Any], billable_seconds: float) -> dict[str, Any]:
        settle(ending, self.environment.policies.training, begun["job_name"], billable_seconds)
        register = Register(self.environment, self.s3, self.runs, self.registry)
        registered = register(ending.execution, begun, ending.who)
        said = {"version": registered["version"]}
        self.reactions.leave(self.environment.model, ending.execution, REGISTERED, said)
        return registered

    def _act(self, ending: Ending) -> Act:
        return Act(ending, self.preflight, self.table)

    def _conclude(self, ending: Ending) -> Conclude:
        return Conclude(ending, self.promotions, self.machines, self.preflight)
