"""Small real models, and a ledger with a bucket in which they are registered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
import mlflow.onnx
import numpy as np
import onnx
import pandas as pd
from mlflow.models import infer_signature
from moto import mock_aws
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.deployments import Change, Deployments
from labcycle_lambdas.ledger.errors import AlreadyExists
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.registry import PinnedFile, Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from tests.failing_model import failing_above
from tests.unit.ledger.tables import make_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

TEAM, MODEL, BUCKET, TABLE = "fraud", "card-fraud", "artifacts", "ledger"
REVIEWER = Who("reviewer-1", "labcycle-fraud-reviewer-1", "reviewer-1")
REVIEWER_ARN = "arn:aws:sts::123456789012:assumed-role/labcycle-fraud-reviewer-1/reviewer-1"
FEATURES = ["mean radius", "mean texture", "mean area"]
ROWS = np.random.default_rng(7).normal(size=(60, 3))
LABELS = (ROWS[:, 0] + 0.5 * ROWS[:, 1] > 0).astype(np.int64)


@dataclass(frozen=True)
class Trained:
    """A model folder as mlflow.onnx.save_model makes it."""

    content: Mapping[str, bytes]
    estimator: Any = None

    def files(self) -> dict[str, bytes]:
        return dict(self.content)


def saved(model: Any, estimator: Any, signature: Any) -> Trained:
    with TemporaryDirectory() as name:
        folder = Path(name) / "model"
        # Named requirements, since MLflow finds them out in a process of its own, which takes seconds.
        mlflow.onnx.save_model(model, str(folder), signature=signature, pip_requirements=["onnxruntime"])
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return Trained({str(path.relative_to(folder)): path.read_bytes() for path in files}, estimator)


@cache
def classifier(zipmap: bool = True, regularisation: float = 1.0) -> Trained:
    """Labels 0 and 1 from three named columns of doubles."""
    estimator = LogisticRegression(C=regularisation).fit(ROWS, LABELS)
    graph = to_onnx(estimator, ROWS[:1].astype(np.float32), options={id(estimator): {"zipmap": zipmap}})
    frame = pd.DataFrame(ROWS, columns=FEATURES)
    return saved(graph, estimator, infer_signature(frame, estimator.predict(ROWS)))


@cache
def without_signature() -> Trained:
    estimator = LogisticRegression().fit(ROWS, LABELS)
    return saved(to_onnx(estimator, ROWS[:1].astype(np.float32)), estimator, None)


@cache
def regressor() -> Trained:
    """A number from a nameless tensor of three numbers."""
    estimator = LinearRegression().fit(ROWS, ROWS @ [1.0, 2.0, 3.0])
    graph = to_onnx(estimator, ROWS[:1].astype(np.float32))
    return saved(graph, estimator, infer_signature(ROWS, estimator.predict(ROWS)))


@cache
def mixed() -> Trained:
    """Two inputs of one column each: `amount` (a number) and `kind` (a string)."""
    frame = pd.DataFrame({"amount": ROWS[:, 0], "kind": np.where(LABELS == 1, "shop", "web")})
    encoded = ColumnTransformer([("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"])], remainder="passthrough")
    estimator = make_pipeline(encoded, LogisticRegression()).fit(frame, LABELS)
    types = [("amount", FloatTensorType([None, 1])), ("kind", StringTensorType([None, 1]))]
    return saved(to_onnx(estimator, initial_types=types), estimator, infer_signature(frame, LABELS))


@cache
def with_external_weights() -> Trained:
    """Doubles three numbers; its weights are larger than 1 KB, so that MLflow writes them to a file of their own."""
    weights = np.eye(3, 300, dtype=np.float32) * 2
    back = np.eye(300, 3, dtype=np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(back, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return saved(model, None, infer_signature(ROWS.astype(np.float32), ROWS.astype(np.float32)))


@cache
def failing(above: float) -> Trained:
    """Answers 0 for each row, but fails where the first of the three features is greater than `above`."""
    frame = pd.DataFrame(ROWS, columns=FEATURES)
    return saved(
        failing_above(above, len(FEATURES)), None, infer_signature(frame, np.zeros(len(frame), dtype=np.int64))
    )


def reference_table() -> bytes:
    """What mlflow.log_table writes for the training rows."""
    data = [[*row, int(label)] for row, label in zip(ROWS.tolist(), LABELS, strict=True)]
    return json.dumps({"columns": [*FEATURES, "prediction"], "data": data}).encode()


@dataclass
class World:
    """A team's table and bucket in moto."""

    dynamodb: DynamoDBClient
    s3: S3Client
    table: Table = field(init=False)

    def __post_init__(self) -> None:
        self.table = Table(self.dynamodb, TABLE)

    @property
    def deployments(self) -> Deployments:
        return Deployments(self.table)

    @property
    def preflight(self) -> Preflight:
        return Preflight(self.table, self.s3, BUCKET)

    def run(self, artifacts: Mapping[str, bytes] | None = None) -> str:
        """A run with these artifacts; its id."""
        experiments = Experiments(self.table, f"s3://{BUCKET}/experiments")
        run = Runs(self.table, experiments=experiments).create(experiment_id="0", user_id="scientist-1")
        root = run.artifact_uri.removeprefix(f"s3://{BUCKET}/")
        for path, body in (artifacts or {}).items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{root}/{path}", Body=body)
        return run.run_id

    def register(
        self, model: Trained | Mapping[str, bytes], *, run_id: str = "", name: str = MODEL, pinned: bool = True
    ) -> int:
        """A new version of `name` with these files; its number."""
        registry = Registry(self.table)
        with suppress(AlreadyExists):
            registry.register(name)
        files = model.files() if isinstance(model, Trained) else model
        root = f"experiments/0/models/m-{len(registry.versions(name)) + 1}/artifacts"
        pins = []
        for path, body in files.items():
            version_id = self.s3.put_object(Bucket=BUCKET, Key=f"{root}/{path}", Body=body)["VersionId"]
            pins.append(PinnedFile(path, f"{root}/{path}", version_id, len(body)))
        made = registry.create_version(
            name, source=f"s3://{BUCKET}/{root}", who=REVIEWER, files=pins if pinned else [], run_id=run_id
        )
        return made.version

    def promote(self, version: int, name: str = MODEL) -> Change:
        return self.deployments.promote(name, self.preflight.prepare(name, version), REVIEWER)


@cache
def _session() -> boto3.Session:
    """Reads its service descriptions once a process."""
    return boto3.Session("a", "s", region_name="eu-west-1")


@contextmanager
def world() -> Iterator[World]:
    with mock_aws():
        dynamodb = _session().client("dynamodb")
        make_table(dynamodb, TABLE)
        s3 = _session().client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield World(dynamodb, s3)


def request(
    method: str, path: str, body: object = b"", *, user_arn: str = REVIEWER_ARN, content_type: str = "application/json"
) -> Request:
    """`body` other than bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method, path, [], {"content-type": content_type}, raw, user_arn, "request-1")
