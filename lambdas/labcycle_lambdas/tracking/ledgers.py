"""What the protocol works on, and one call to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.load import Load
from labcycle_lambdas.ledger.logged_models import LoggedModels
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.repeats import Repeats
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.members import Members
from labcycle_lambdas.tracking import roots
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.artifacts import ArtifactStore
from labcycle_lambdas.tracking.shedding import Shedding


@dataclass(frozen=True)
class Ledgers:
    """The records of one team, its members, and how often they may call."""

    members: Members
    experiments: Experiments
    runs: Runs
    logged_models: LoggedModels
    registry: Registry
    artifacts: ArtifactStore
    repeats: Repeats
    shedding: Shedding

    @classmethod
    def over(
        cls,
        table: Table,
        artifacts: ArtifactStore,
        members: Members,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        requests_per_second: int = 0,
    ) -> Ledgers:
        """`requests_per_second`: at which API Gateway throttles the team; 0 where it does not."""
        experiments = Experiments(table, artifacts.root, now)
        return cls(
            members,
            experiments,
            Runs(table, now, experiments),
            LoggedModels(table, now, experiments),
            Registry(table, now),
            artifacts,
            Repeats(table, now),
            Shedding(Load(table), members, requests_per_second),
        )


@dataclass(frozen=True)
class Call:
    """One request: `path` holds what the route's path names, `arguments` the body or the query."""

    ledgers: Ledgers
    request: Request
    path: dict[str, str]
    arguments: Arguments

    @property
    def who(self) -> Who:
        """The caller, as signature or token say, not the body."""
        return self.ledgers.members.who(self.request)

    @property
    def has_aws_credentials(self) -> bool:
        """Whether the caller signed the request, and so can reach S3 too."""
        return bool(self.request.user_arn)

    def presented(self, document: dict[str, Any]) -> dict[str, Any]:
        """A document with addresses of artifacts that the caller can use."""
        return document if self.has_aws_credentials else roots.proxied(document, self.ledgers.artifacts)

    @property
    def user(self) -> str:
        """The member's name; role and session, or issuer and subject, where the caller is no member."""
        return str(self.who) if self.request.caller else "unknown"
