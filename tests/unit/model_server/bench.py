"""A model server with hands on its clock and its log."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from labcycle_lambdas.http import Response
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.traffic import Traffic
from labcycle_lambdas.model_server.capture import Capture
from labcycle_lambdas.model_server.counting import Counting
from labcycle_lambdas.model_server.journal import Journal
from labcycle_lambdas.model_server.keeping import Keeping
from labcycle_lambdas.model_server.live import CACHE_SECONDS, Live
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.quota import Quota
from labcycle_lambdas.model_server.server import Server
from tests.unit.model_server.clock import Clock
from tests.unit.model_server.logged import Bucket
from tests.unit.serving.workshop import BUCKET, FEATURES, MODEL, ROWS, TEAM, Trained, World, classifier, request

SPLIT = {"dataframe_split": {"columns": FEATURES, "data": ROWS[:5].tolist()}}
LABELS = classifier().estimator.predict(ROWS).tolist()


class Bench:
    """A model server with hands on its clock and its log."""

    def __init__(self, world: World) -> None:
        self.world, self.clock, self.log = world, Clock(), list[dict[str, Any]]()
        journal = Journal(TEAM, MODEL, lambda line: self.log.append(json.loads(line)), lambda: 1)
        live = Live(
            Deployments(world.table),
            Loader(world.s3, BUCKET),
            MODEL,
            monotonic=self.clock.monotonic,
            on_refused=lambda version, why: journal.count("RefusedVersions", why, version=version),
        )
        clocks: Any = {"monotonic": self.clock.monotonic, "now": self.clock.now}
        self.server = Server(
            MODEL,
            live,
            Capture(Profiles(world.table), MODEL, "sandbox", **clocks),
            Capture(Profiles(world.table), MODEL, "sandboxcanary", **clocks),
            Counting(Traffic(world.table), MODEL, "sandbox", **clocks),
            journal,
            self.clock.monotonic,
        )

    def serve(self, *models: Trained, run_id: str = "") -> Bench:
        for model in models:
            self.world.promote(self.world.register(model, run_id=run_id))
        self.clock.pass_seconds(CACHE_SECONDS)
        return self

    def keep(self, keeping: Keeping, bucket: Bucket) -> Bench:
        """As `keeping` says, in `bucket`."""
        more: Any = {"monotonic": self.clock.monotonic, "now": self.clock.now, "keeping": keeping}
        captures = [
            Capture(
                Profiles(self.world.table),
                MODEL,
                sandbox,
                log=bucket.log(MODEL, monotonic=self.clock.monotonic),
                **more,
            )
            for sandbox in ("sandbox", "sandboxcanary")
        ]
        self.server = replace(self.server, capture=captures[0], canary_capture=captures[1])
        return self

    def with_quota(self, quota: Quota) -> Bench:
        self.server = replace(self.server, quota=quota)
        return self

    def ask(self, body: object, content_type: str = "application/json") -> Response:
        return self.server.answer(request("POST", "/invocations", body, content_type=content_type))

    def predictions(self, body: object, content_type: str = "application/json") -> list[Any]:
        answer = self.ask(body, content_type)
        assert answer.status == 200, answer.body
        return list(json.loads(answer.body)["predictions"])

    def refusal(self, body: object, content_type: str = "application/json") -> str:
        answer = self.ask(body, content_type)
        assert answer.status in (400, 413, 415), answer
        assert answer.body["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
        return str(answer.body["message"])
