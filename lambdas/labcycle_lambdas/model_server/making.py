"""Make the model server from what its surroundings say."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.session import get_session

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.traffic import Traffic
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.counting import Counting
from labcycle_lambdas.model_server.environment import Environment
from labcycle_lambdas.model_server.journal import REFUSED_VERSIONS, Journal
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.live import Live
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.prediction_log import PUT, PredictionLog
from labcycle_lambdas.model_server.server import Server
from labcycle_lambdas.responding import LEDGER, PATIENCE, client

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from labcycle_lambdas.ledger.shadows import Shadows
    from labcycle_lambdas.model_server.metering import Metering
    from labcycle_lambdas.model_server.offering import Offering
    from labcycle_lambdas.model_server.quota import Quota
    from labcycle_lambdas.model_server.shadow import Shadow


@dataclass(frozen=True)
class Connections:
    """The clients of a process, which take longer to make than all the rest."""

    session: Session
    dynamodb: DynamoDBClient
    s3: S3Client

    @classmethod
    def open(cls) -> Connections:
        session = get_session()
        return cls(session, client("dynamodb", LEDGER, session), client("s3", PATIENCE, session))

    def close(self) -> None:
        """What is open; the next call opens another."""
        self.dynamodb.close()
        self.s3.close()


def make_server(
    *, by_timer: bool = False, write: Callable[[str], object] = print, connections: Connections | None = None
) -> Server:
    """The server of the model that the environment names. `by_timer`: what it counts is written by who flushes it. `write` takes
    the lines of its log. `connections` are those that it calls AWS by; absent: it opens some."""
    environment = Environment.read()
    connections = connections or Connections.open()
    session = connections.session
    table = Table(connections.dynamodb, environment.ledger_table)
    journal = Journal(environment.team, environment.model, write)
    loader = Loader(connections.s3, environment.artifact_bucket)
    live = Live(
        Deployments(table),
        loader,
        environment.model,
        on_refused=lambda version, why: journal.count(REFUSED_VERSIONS, why, version=version),
    )
    profiles, sandbox, clock = Profiles(table), _sandbox(), time.monotonic
    keeping = Keeping.of(environment.capture)
    log = None
    if keeping.log:
        log = PredictionLog(lambda: client("s3", PUT, session), environment.artifact_bucket, environment.model)
    kept: Any = {"monotonic": clock, "by_timer": by_timer, "keeping": keeping, "log": log}
    return Server(
        environment.model,
        live,
        Capture(profiles, environment.model, sandbox, **kept),
        Capture(profiles, environment.model, f"{sandbox}canary", **kept),
        Counting(Traffic(table), environment.model, sandbox, monotonic=clock, by_timer=by_timer),
        journal,
        quota=_quota(environment, table),
        offering=_offering(environment, session, table, loader, journal, sandbox, by_timer=by_timer),
        metering=_metering(environment, table, sandbox, by_timer=by_timer),
    )


def make_shadow() -> tuple[str, Shadows, Shadow]:
    """What runs the shadow of the model that the environment names: that model, what is written of it, and it."""
    from labcycle_lambdas.ledger.shadows import Shadows

    environment, connections = Environment.read(), Connections.open()
    table = Table(connections.dynamodb, environment.ledger_table)
    journal = Journal(environment.team, environment.model)
    loader = Loader(connections.s3, environment.artifact_bucket)
    return environment.model, Shadows(table), _shadow(environment, table, loader, journal, _sandbox())


def _shadow(
    environment: Environment,
    table: Table,
    loader: Loader,
    journal: Journal,
    sandbox: str,
    *,
    by_timer: bool = False,
) -> Shadow:
    from labcycle_lambdas.ledger.shadows import Seen, Shadows
    from labcycle_lambdas.model_server.comparing import Sums
    from labcycle_lambdas.model_server.shadow import Shadow

    model, clock = environment.model, time.monotonic
    return Shadow(
        Deployments(table),
        loader,
        model,
        Sums(Shadows(table), model, sandbox, Seen, monotonic=clock),
        Capture(
            Profiles(table, "SHADOWPROFILE"),
            model,
            sandbox,
            monotonic=clock,
            by_timer=by_timer,
            keeping=Keeping.of(environment.capture),
        ),
        journal,
    )


def _sandbox() -> str:
    return uuid.uuid4().hex[:12]


def _offering(
    environment: Environment,
    session: Session,
    table: Table,
    loader: Loader,
    journal: Journal,
    sandbox: str,
    *,
    by_timer: bool,
) -> Offering | None:
    """In a process, a thread of it; on Lambda, another function. None where the stack has none."""
    if not by_timer and not environment.shadow_function:
        return None
    from labcycle_lambdas.ledger.shadows import Offered, Shadows
    from labcycle_lambdas.model_server.comparing import Sums

    offered = Sums(Shadows(table), environment.model, sandbox, Offered, monotonic=time.monotonic)
    if by_timer:
        from labcycle_lambdas.model_server.beside import Beside

        return Beside(_shadow(environment, table, loader, journal, sandbox, by_timer=True), offered)
    from labcycle_lambdas.model_server.offering import INVOKE, ToFunction

    return ToFunction(lambda: client("lambda", INVOKE, session), environment.shadow_function, offered, journal)


def _metering(environment: Environment, table: Table, sandbox: str, *, by_timer: bool) -> Metering | None:
    """None where the stack does not tell what the server runs on."""
    if not environment.runs_on:
        return None
    from labcycle_lambdas.ledger.usage import Usage
    from labcycle_lambdas.model_server.metering import Metering

    runs_on = json.loads(environment.runs_on)
    return Metering(Usage(table), environment.model, sandbox, runs_on, monotonic=time.monotonic, by_timer=by_timer)


def _quota(environment: Environment, table: Table) -> Quota | None:
    """None where nobody's requests are counted: such a function does not even load what counts."""
    if not environment.consumers:
        return None
    from labcycle_lambdas.ledger.quotas import Quotas
    from labcycle_lambdas.model_server.quota import HardQuota, Quota

    return Quota(Quotas(table), environment.model, HardQuota.several(environment.consumers))
