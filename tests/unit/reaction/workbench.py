"""A model in production with its recipe, and what a training job would leave."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from labcycle.config import names
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.promotions import Promotions
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.steps import Steps
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    LABELS,
    MODEL,
    ROWS,
    TABLE,
    TEAM,
    Trained,
    World,
    classifier,
    saved,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
METRICS = {"accuracy": 0.9, "log_loss": 0.3}
VARIABLES = {
    "LEDGER_TABLE": TABLE,
    "ARTIFACT_BUCKET": BUCKET,
    "TEAM": TEAM,
    "MODEL": MODEL,
    "LONGEST_SECONDS": "7200",
}
POLICY: dict[str, Any] = {
    "on": ["drift"],
    "do": "retrain",
    "promote": "automatic",
    "review_hours": 72,
    "otherwise": "keep",
    "cool_down_hours": 24,
    "monthly_budget_usd": None,
}
TRAINING: dict[str, Any] = {
    "instance_type": "ml.m5.large",
    "maximum_minutes": 60,
    "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1",
    "usd_hour": 0.12,
    "metric": "accuracy",
    "minimum_gain": 0.0,
    "maximum_cohort_loss": None,
    "cohorts": [],
}


def policies(*more: Mapping[str, Any], **settings: Any) -> str:
    """The document of a model's policies: the first as `settings` change it, then `more`."""
    first = POLICY | {key: value for key, value in settings.items() if key in POLICY}
    training = TRAINING | {key: value for key, value in settings.items() if key in TRAINING}
    return json.dumps({"policies": [first, *(POLICY | dict(one) for one in more)], "training": training})


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def holdout(flipped: bool) -> bytes:
    """Rows with their labels; `flipped`: the world turned around, and what was 0 is 1."""
    labels = 1 - LABELS if flipped else LABELS
    data = [[*row, int(label)] for row, label in zip(ROWS.tolist(), labels, strict=True)]
    return json.dumps({"columns": [*FEATURES, "target"], "data": data}).encode()


class Workbench:
    """The steps of one team's reaction in moto. `clock` moves by hand."""

    def __init__(self, world: World, *more: Mapping[str, Any], **settings: Any) -> None:
        self.world = world
        self.now = NOW
        self.environment = Environment.read(VARIABLES | {"POLICIES": policies(*more, **settings)})
        self.registry = Registry(world.table)
        self.runs = Runs(world.table, experiments=Experiments(world.table, f"s3://{BUCKET}/experiments"))
        self.reactions = Reactions(world.table, Custody(world.table), lambda: self.now)
        self.promotions = Promotions(world.table)
        self.ssm, self.states = boto3.client("ssm", "eu-west-1"), boto3.client("stepfunctions", "eu-west-1")
        self.steps = Steps(
            self.environment,
            world.table,
            world.s3,
            world.deployments,
            self.promotions,
            Machines(self.ssm, self.states, TEAM),
            self.runs,
            self.registry,
            self.reactions,
            world.preflight,
        )

    def with_steps(self) -> str:
        """Let promotions of the model go in steps; the ARN of the state machine."""
        machine = self.states.create_state_machine(
            name="promotion", definition="{}", roleArn="arn:aws:iam::123456789012:role/r"
        )["stateMachineArn"]
        self.ssm.put_parameter(Name=names.promotion_parameter(TEAM, MODEL), Value=machine, Type="String")
        return machine

    def champion(self, model: Trained | None = None, *, recipe: bool = True, data: bool = True) -> Deployed:
        """A version in production, of a run with a recipe, and data to train on."""
        run = self.world.run({"recipe/train.py": b"print()", "recipe/lib/x.py": b"1"} if recipe else {})
        self.runs.log_batch(run, params={"C": "0.5", "seed": "7"})
        version = self.world.register(model or classifier(), run_id=run)
        live = self.world.promote(version).deployment.live
        assert live
        if data:
            self.world.s3.put_object(Bucket=BUCKET, Key=f"data/{MODEL}/new.csv", Body=b"a,target\n1,0\n")
        return live

    def do(self, action: str, execution: str = "e1", **more: Any) -> dict[str, Any]:
        given = {"input": {"cause": "drift"}, "billable_seconds": -1, "at": "Begin"}
        event = {**given, "action": action, "execution": execution, **more}
        answer = self.steps.do(json.loads(json.dumps(event)), self.now, Who.service("reaction", execution))
        json.dumps(answer, allow_nan=False)
        return answer

    def trained(
        self,
        begun: dict[str, Any],
        model: Trained | None = None,
        *,
        flipped: bool = False,
        files: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """What the job leaves; `files` replaces results by name, None leaves one out."""
        results: dict[str, bytes | None] = {
            "metrics.json": json.dumps(METRICS).encode(),
            "reference.json": json.dumps({"columns": FEATURES, "data": ROWS.tolist()}).encode(),
            "holdout.json": holdout(flipped),
            **{name if "." in name else f"{name}.json": body for name, body in (files or {}).items()},
        }
        prefix = f"training/{MODEL}/{begun['job_name']}/output"
        self.put(f"{prefix}/model.tar.gz", archive((model or classifier()).files()))
        self.put(f"{prefix}/output.tar.gz", archive({k: v for k, v in results.items() if v is not None}))

    def put(self, key: str, body: bytes) -> None:
        self.world.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def through_compare(self, challenger: Trained | None = None, *, flipped: bool = True) -> dict[str, Any]:
        begun = self.do("begin")
        self.trained(begun, challenger or turned(), flipped=flipped)
        registered = self.do("register", begun=begun)
        return self.do("compare", begun=begun, version=registered["version"])

    def actions(self) -> list[str]:
        return [event.action for event in self.events()]

    def events(self, subject: str = f"model/{MODEL}") -> list[Any]:
        custody = Custody(self.world.table)
        assert custody.verify(subject) == []
        return custody.events(subject)

    def run(self, run_id: str) -> Run:
        return self.runs.get(run_id)

    def live(self) -> int | None:
        live = self.world.deployments.current(MODEL).live
        return live.version if live else None

    def later(self, **much: float) -> None:
        self.now += timedelta(**much)


@cache
def turned() -> Trained:
    """The classifier of the world turned around: right where `classifier` is wrong."""
    return _fitted(ROWS, 1 - LABELS)


@cache
def middling() -> Trained:
    """Sees one of the columns alone: better than `turned`, worse than `classifier`."""
    return _fitted(ROWS * [0, 1, 0], LABELS)


def _fitted(rows: Any, labels: Any) -> Trained:
    estimator = LogisticRegression().fit(rows, labels)
    graph = to_onnx(estimator, ROWS[:1].astype(np.float32), options={id(estimator): {"zipmap": "columns"}})
    frame = pd.DataFrame(ROWS, columns=FEATURES)
    return saved(graph, estimator, infer_signature(frame, estimator.predict(ROWS)))
