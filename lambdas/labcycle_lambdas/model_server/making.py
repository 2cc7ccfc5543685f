"""Make the model server from what its surroundings say."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.session import get_session

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.traffic import Traffic
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.counting import Counting
from labcycle_lambdas.model_server.environment import Environment
from labcycle_lambdas.model_server.journal import REFUSED_VERSIONS, Journal
from labcycle_lambdas.model_server.live import Live
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.server import Server
from labcycle_lambdas.responding import LEDGER, PATIENCE, client

if TYPE_CHECKING:
    from labcycle_lambdas.model_server.quota import Quota


def make_server(*, by_timer: bool = False, write: Callable[[str], object] = print) -> Server:
    """The server of the model that the environment names. `by_timer`: what it counts is written by who flushes it. `write` takes
    the lines of its log."""
    environment = Environment.read()
    session = get_session()
    table = Table(client("dynamodb", LEDGER, session), environment.ledger_table)
    journal = Journal(environment.team, environment.model, write)
    live = Live(
        Deployments(table),
        Loader(client("s3", PATIENCE, session), environment.artifact_bucket),
        environment.model,
        on_refused=lambda version, why: journal.count(REFUSED_VERSIONS, why, version=version),
    )
    profiles, sandbox, clock = Profiles(table), uuid.uuid4().hex[:12], time.monotonic
    return Server(
        environment.model,
        live,
        Capture(profiles, environment.model, sandbox, monotonic=clock, by_timer=by_timer),
        Capture(profiles, environment.model, f"{sandbox}-canary", monotonic=clock, by_timer=by_timer),
        Counting(Traffic(table), environment.model, sandbox, monotonic=clock, by_timer=by_timer),
        journal,
        quota=_quota(environment, table),
    )


def _quota(environment: Environment, table: Table) -> Quota | None:
    """None where nobody's requests are counted: such a function does not even load what counts."""
    if not environment.consumers:
        return None
    from labcycle_lambdas.ledger.quotas import Quotas
    from labcycle_lambdas.model_server.quota import HardQuota, Quota

    return Quota(Quotas(table), environment.model, HardQuota.several(environment.consumers))
