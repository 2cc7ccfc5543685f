"""A ledger with a history, its anchors, and who verifies them from outside."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client

from labcycle.client.api import ApiError, TeamApi
from labcycle.client.custody.anchors import read_anchors
from labcycle.client.custody.collect import collect
from labcycle.client.custody.material import AnchorObject, Material
from labcycle.client.custody.verification import Finding, Verdict, verify
from labcycle_lambdas.anchoring.anchoring import Anchoring
from labcycle_lambdas.anchoring.store import AnchorStore
from labcycle_lambdas.ledger.anchors import Anchors
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.registry import PinnedFile, Registry
from labcycle_lambdas.ledger.run_record import DatasetInput
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.ledger.tables import make_table
from tests.unit.serving.workshop import request

NAME, BUCKET, TEAM = "ledger", "anchors", "fraud"
WHO = Who("scientist-1", "labcycle-fraud-scientist-1", "scientist-1")
MODEL = "model/cards"
PARAM, TAG, METRIC = "0.314159", "c0ffee0123456789", 0.87654321
Key = tuple[str, str]


class Api(TeamApi):
    """The API of the team, without HTTP in between."""

    def __init__(self, table: Table) -> None:
        super().__init__("https://tracking.example.com")
        self._lifecycle = Lifecycle(table, None, Members(TEAM))  # type: ignore[arg-type]

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        asked = request(method, path)
        object.__setattr__(asked, "query", [(key, str(value)) for key, value in (query or {}).items()])
        answer = self._lifecycle.answer(asked)
        text = answer.to_event()["body"]
        assert len(text) < 6_000_000
        if answer.status != 200:
            raise ApiError(f"{path}?{urlencode(query or {})}: {text}", status=answer.status)
        return dict(json.loads(text))


@dataclass
class Story:
    """Everything at hand."""

    client: DynamoDBClient
    s3: S3Client
    table: Table
    run_id: str
    anchors: list[AnchorObject] | None = None

    def anchor(self) -> None:
        Anchoring(Anchors(self.table), AnchorStore(self.s3, BUCKET), TEAM).anchor()

    def custody(self) -> Custody:
        return Custody(self.table)

    def material(self, *subjects: str) -> Material:
        return collect(Api(self.table), lambda team: read_anchors(self.s3, BUCKET), subjects)

    def findings(self) -> list[Finding]:
        """As `verdict`, with the anchors as they were read once."""
        if self.anchors is None:
            self.anchors = read_anchors(self.s3, BUCKET)
        return verify(collect(Api(self.table), lambda team: self.anchors or [])).findings

    def verdict(self, *subjects: str) -> Verdict:
        return verify(self.material(*subjects))

    def items(self, wanted: Callable[[str, str], bool]) -> dict[Key, dict[str, Any]]:
        found: dict[Key, dict[str, Any]] = {}
        for page in self.client.get_paginator("scan").paginate(TableName=NAME):
            for item in page["Items"]:
                key = (item["pk"]["S"], item["sk"]["S"])
                if wanted(*key):
                    found[key] = dict(item)
        return found

    @contextmanager
    def instead(self, *changes: tuple[Key, dict[str, Any] | None]) -> Iterator[None]:
        """Items as somebody with the table's key would put them, or delete them, past the ledger; put back afterwards."""
        before = {key: self._get(key) for key, _ in changes}
        try:
            for key, item in changes:
                self._set(key, item)
            yield
        finally:
            for key, item in before.items():
                self._set(key, item)

    def _get(self, key: Key) -> dict[str, Any] | None:
        found = self.client.get_item(TableName=NAME, Key={"pk": {"S": key[0]}, "sk": {"S": key[1]}})
        return found.get("Item")

    def _set(self, key: Key, item: dict[str, Any] | None) -> None:
        if item is None:
            self.client.delete_item(TableName=NAME, Key={"pk": {"S": key[0]}, "sk": {"S": key[1]}})
        else:
            self.client.put_item(TableName=NAME, Item=item)


def text_of(item: Mapping[str, Any]) -> str:
    """The document of an item, whichever way it is kept."""
    return item["doc"]["S"] if "doc" in item else zlib.decompress(item["zip"]["B"]).decode()


def with_text(item: Mapping[str, Any], text: str) -> dict[str, Any]:
    if "doc" in item:
        return {**item, "doc": {"S": text}}
    return {**item, "zip": {"B": zlib.compress(text.encode())}}


@pytest.fixture(scope="package")
def story() -> Iterator[Story]:
    """Two runs and a model of two versions: partly in two anchors, partly not anchored yet."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        access = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "s"}
        client, s3 = boto3.client("dynamodb", **access), boto3.client("s3", **access)  # type: ignore[call-overload]
        s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        make_table(client, NAME)
        table = Table(client, NAME)
        experiments = Experiments(table, "s3://artifacts/experiments")
        runs, registry = Runs(table, experiments=experiments), Registry(table)
        experiment = experiments.create("cards", who=WHO)
        run = runs.create(experiment_id=experiment.experiment_id, user_id="scientist-1", run_name="first")
        runs.log_batch(
            run.run_id,
            [Metric("auc", METRIC, 1_000, 1), Metric("loss", 0.5, 1_000, 1)],
            {"learning_rate": PARAM, "depth": "7"},
            {"mlflow.source.git.commit": TAG, "note": "anything"},
        )
        runs.log_inputs(run.run_id, [DatasetInput(Dataset("cards", "d1", "s3", "s3://b/d"), {"context": "training"})])
        made = Story(client, s3, table, run.run_id)
        registry.register("cards", {"team": "fraud"}, "card fraud", WHO)
        files = [PinnedFile(f"f{n}", f"k/f{n}", f"v{n}", n) for n in range(3)]
        registry.create_version("cards", source="s3://b/m", who=WHO, run_id=run.run_id, files=files)
        made.anchor()
        runs.log_batch(run.run_id, [Metric("loss", 0.25, 2_000, 2)], {"added_later": "1"})
        runs.update(run.run_id, status="FINISHED", end_time=3_000)
        registry.create_version("cards", source="s3://b/m2", who=WHO, run_id=run.run_id, files=files[:1])
        registry.set_alias("cards", "champion", 1, WHO)
        made.anchor()
        registry.set_version_tag("cards", 2, "reviewed", "yes", WHO)
        registry.delete_version("cards", 2, WHO)
        yield made
