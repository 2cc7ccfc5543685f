"""A model server with a shadow function beside it, whose calls are in our hands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.shadows import Comparison, Offered, Seen, Shadows
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.comparing import Sums
from labcycle_lambdas.model_server.live import CACHE_SECONDS
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.offering import ToFunction
from labcycle_lambdas.model_server.shadow import Shadow
from labcycle_lambdas.model_server.shadow_handler import Shading
from tests.unit.model_server.bench import Bench
from tests.unit.serving.workshop import BUCKET, FEATURES, MODEL, REVIEWER, ROWS, Trained, request


class Lambda:
    """Takes asynchronous calls, as far as it is told to; `events` are what it will bring to the function."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.broken: Exception | None = None
        self.calls = 0

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:
        self.calls += 1
        assert (FunctionName, InvocationType) == ("shadow-function", "Event")
        assert len(Payload) <= 256 * 1024
        if self.broken:
            raise self.broken
        self.events.append(json.loads(Payload))
        return {"StatusCode": 202}


class Shade:
    """`bench` answers; `bring` lets the shadow function see what Lambda holds."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.world, self.aws = bench, bench.world, Lambda()
        client: Any = self.aws
        clock: Any = {"monotonic": bench.clock.monotonic, "now": bench.clock.now}
        shadows = Shadows(self.world.table)
        offered = Sums(shadows, MODEL, "sandbox", Offered, **clock)
        bench.server = replace(
            bench.server,
            offering=ToFunction(
                lambda: client, "shadow-function", offered, bench.server.journal, monotonic=bench.clock.monotonic
            ),
        )
        self.function = Shading(
            MODEL,
            shadows,
            Shadow(
                Deployments(self.world.table, bench.clock.now),
                Loader(self.world.s3, BUCKET),
                MODEL,
                Sums(shadows, MODEL, "shade", Seen, **clock),
                Capture(Profiles(self.world.table, "SHADOWPROFILE"), MODEL, "shade", **clock),
                bench.server.journal,
                monotonic=bench.clock.monotonic,
            ),
        )

    @property
    def deployments(self) -> Deployments:
        return Deployments(self.world.table, self.bench.clock.now)

    def begin(self, model: Trained | dict[str, bytes], percent: int = 100, *, run_id: str = "") -> int:
        version = self.world.register(model, run_id=run_id)
        self.deployments.begin_shadow(MODEL, self.world.preflight.prepare(MODEL, version), percent, REVIEWER)
        self.bench.clock.pass_seconds(CACHE_SECONDS)
        return version

    def ask(self, *numbers: int, headers: dict[str, str] | None = None) -> list[Any]:
        """One row in a request of its own; the answers."""
        given = []
        for number in numbers:
            row = ROWS[number % len(ROWS)].tolist()
            asked = request("POST", "/invocations", {"dataframe_split": {"columns": FEATURES, "data": [row]}})
            more = {**asked.headers, **(headers or {})}
            answer = self.bench.server.answer(replace(asked, request_id=f"request-{number}", headers=more))
            assert answer.status == 200, answer.body
            given += json.loads(answer.body)["predictions"]
        return given

    def bring(self) -> None:
        while self.aws.events:
            self.function.take(self.aws.events.pop(0))

    def read(self) -> tuple[Offered, Seen]:
        record = self.deployments.current(MODEL)
        assert record.shadow
        assert record.live
        deployed = record.shadow.deployed
        of = Comparison(deployed.version, deployed.promoted_at, record.live.version)
        return Shadows(self.world.table).read(MODEL, of)
