"""A model that is watched, its traffic and its metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3
import numpy as np

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.monitoring.coverage import Counted
from labcycle_lambdas.monitoring.drift import DriftJudge
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.monitoring.evaluation import Evaluator
from labcycle_lambdas.monitoring.freshness import FreshnessJudge
from labcycle_lambdas.monitoring.judging import Judge
from labcycle_lambdas.profiles import Profile, Reference
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    LABELS,
    MODEL,
    REVIEWER,
    ROWS,
    TABLE,
    World,
    classifier,
    reference_table,
)

WHO = Who.service("evaluator", "request-1")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DRIFT = {"method": "psi", "threshold": 0.2, "minimum_rows": 100, "persistence": 2, "window_hours": 24}


def variables(**settings: Any) -> dict[str, str]:
    """Those of the function; `settings` as those of `drift`, and what else is watched under its own name."""
    drift = DRIFT | {name: value for name, value in settings.items() if name in DRIFT}
    beside = {name: value for name, value in settings.items() if name not in DRIFT}
    monitor = json.dumps({"drift": drift, **beside})
    bucket = {"ARTIFACT_BUCKET": BUCKET} if {"performance", "outcome"} & set(settings) else {}
    return {"LEDGER_TABLE": TABLE, "TEAM": "fraud", "MODEL": MODEL, "MONITOR": monitor, **bucket}


class Traffic:
    """A deployed model and its traffic; `hour` is the time since the promotion."""

    def __init__(
        self, world: World, *, reference: bool = True, counted: Counted | None = None, **settings: Any
    ) -> None:
        """`settings`: as those of `drift`; what else is watched, under its own name."""
        self.world = world
        self.numbers = count()
        self.promoted = START
        self.counted = counted
        self.environment = Environment.read(variables(**settings))
        self.promote(reference)

    def promote(self, reference: bool = True, run: bool = True) -> None:
        made = self.world.run({"reference.json": reference_table()} if reference else {}) if run else ""
        version = self.world.register(classifier(), run_id=made)
        deployments = Deployments(self.world.table, now=lambda: self.promoted)
        prepared = self.world.preflight.prepare(MODEL, version)
        self.live = deployments.promote(MODEL, prepared, REVIEWER).deployment.live

    def try_out(self, asked: int, hour: float) -> None:
        """A second version is the canary, and was asked so much."""
        run = self.world.run({"reference.json": reference_table()})
        version = self.world.register(classifier(), run_id=run)
        prepared = self.world.preflight.prepare(MODEL, version)
        Deployments(self.world.table, now=lambda: self.promoted).try_out(MODEL, prepared, 40, REVIEWER)
        assert prepared.reference
        doc = Profile(Reference.from_doc(prepared.reference)).to_doc() | {"asked": asked}
        at = self.promoted + timedelta(hours=hour)
        Profiles(self.world.table).write(MODEL, version, "b", next(self.numbers), at, doc)

    def pause(self) -> None:
        Deployments(self.world.table).pause(MODEL, None, REVIEWER, reason="looked into")

    def flows(
        self, hour: float, rows: int = 120, shift: float = 0.0, sandbox: str = "a", asked: int | None = None
    ) -> None:
        assert self.live and self.live.reference
        profile = Profile(Reference.from_doc(self.live.reference))
        chosen = np.resize(ROWS, (rows, ROWS.shape[1])) + np.array([shift, 0, 0])
        profile.add(FEATURES, chosen.tolist(), np.resize(LABELS, rows).tolist())
        at = self.promoted + timedelta(hours=hour)
        doc = profile.to_doc() | ({} if asked is None else {"asked": asked})
        Profiles(self.world.table).write(MODEL, self.live.version, sandbox, next(self.numbers), at, doc)

    def judges(self) -> list[Judge]:
        profiles = Profiles(self.world.table)
        found: list[Judge] = [DriftJudge(MODEL, self.environment.drift, profiles, self.counted)]
        if self.environment.freshness:
            found.append(FreshnessJudge(MODEL, self.environment.freshness, profiles, self.world.table))
        return found

    def evaluator(self) -> Evaluator:
        table = self.world.table
        evaluations = Evaluations(table, Custody(table))
        return Evaluator(self.environment, table, Deployments(table), evaluations, self.judges())

    def judged(self, hour: float) -> dict[str, Any]:
        return self.evaluator().evaluate(self.promoted + timedelta(hours=hour), WHO)

    def events(self, action: str = "drift_detected") -> list[dict[str, Any]]:
        events = Custody(self.world.table).events(f"model/{MODEL}")
        return [event.detail for event in events if event.action == action]


class Api:
    """What an API counts, in CloudWatch of moto."""

    def __init__(self) -> None:
        self.client = Metrics().client

    def passes_on(self, at: datetime, requests: int) -> None:
        datum: Any = {
            "MetricName": "IntegrationLatency",
            "Dimensions": [{"Name": "ApiId", "Value": "a1b2"}],
            "Timestamp": at,
            "Values": [20.0],
            "Counts": [float(requests)],
        }
        self.client.put_metric_data(Namespace="AWS/ApiGateway", MetricData=[datum])


class Metrics:
    """What was put, as CloudWatch in moto has it."""

    def __init__(self) -> None:
        self.client = boto3.client(
            "cloudwatch", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s"
        )

    def values(self, name: str = "DriftDetected", days: int = 1) -> list[float]:
        answer = self.client.get_metric_statistics(
            Namespace="labcycle/fraud",
            MetricName=name,
            Dimensions=[{"Name": "team", "Value": "fraud"}, {"Name": "model", "Value": MODEL}],
            StartTime=START,
            EndTime=START + timedelta(days=days),
            Period=3600,
            Statistics=["Maximum"],
        )
        return [point["Maximum"] for point in sorted(answer["Datapoints"], key=lambda p: p["Timestamp"])]
