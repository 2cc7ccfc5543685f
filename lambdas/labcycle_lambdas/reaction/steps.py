"""The steps by name, as the state machine calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.promotions import Promotions
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.reaction.begin import Begin
from labcycle_lambdas.reaction.conclude import Conclude
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.register import Register

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Steps:
    environment: Environment
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
        CannotRetrain
            If a person has to change something first.
        Throttled
            If the ledger asks for patience; the step can be repeated.
        """
        execution = event["execution"]
        match event["action"]:
            case "begin":
                begin = Begin(self.environment, self.s3, self.deployments, self.runs, self.reactions)
                return begin(execution, event.get("input") or {}, now, who)
            case "register":
                return Register(self.environment, self.s3, self.runs, self.registry)(execution, event["begun"], who)
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
                return compare(execution, event["begun"], event["version"], who)
            case "promote":
                return self._conclude().promote(execution, event["compared"], now, who)
            case "review":
                return self._conclude().review(execution, event["compared"], now)
            case "roll_back":
                return self._conclude().roll_back(execution, event["compared"], now, who)
            case "keep":
                return self._conclude().keep(execution, event["compared"], now, who)
            case "fail":
                return self._conclude().fail(execution, event.get("error", ""), event.get("cause", ""), now, who)
            case action:
                raise ValueError(f"unknown action {action!r}")

    def _conclude(self) -> Conclude:
        return Conclude(
            self.environment,
            self.deployments,
            self.promotions,
            self.machines,
            self.runs,
            self.reactions,
            self.preflight,
        )
