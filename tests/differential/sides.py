"""The two servers under comparison: MLflow's own application on sqlite, and the tracking function over moto."""

from __future__ import annotations

import filecmp
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import unquote

import boto3
from moto import mock_aws

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.members import Members
from labcycle_lambdas.tracking.artifacts import ArtifactStore
from labcycle_lambdas.tracking.ledgers import Ledgers
from labcycle_lambdas.tracking.routes import answer
from tests.differential.seams import Seams
from tests.unit.ledger.tables import make_table
from tests.unit.tracking.conftest import BUCKET, REGION
from tests.unit.tracking.server import event, member, serving

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

ROOT = f"s3://{BUCKET}/experiments"
SIGNER = "scientist-1"
_TABLE = "ledger"


@dataclass(frozen=True)
class Answer:
    """`doc` is the JSON that was answered; None where it was none."""

    status: int
    doc: Any

    @property
    def code(self) -> str:
        return str(self.doc.get("error_code", "")) if isinstance(self.doc, dict) and self.status != 200 else ""

    @property
    def message(self) -> str:
        return str(self.doc.get("message", "")) if isinstance(self.doc, dict) else ""


class Stock:
    """The application that `mlflow server` serves, asked through its WSGI interface.

    `keep` and `put_back` take its database back to where it was, where it stored what it should have refused.
    """

    def __init__(self, folder: Path, seams: Seams) -> None:
        # Imported here: it takes seconds.
        from mlflow.server import app, handlers

        self._file, self._new, self._kept = folder / "mlflow.db", folder / "new.db", folder / "kept.db"
        uri = f"sqlite:///{self._file}"
        handlers.initialize_backend_stores(uri, uri, ROOT)
        self._stores: list[Any] = [handlers._get_tracking_store(), handlers._get_model_registry_store()]
        self._app, self._seams = app, seams
        self._client = app.test_client()
        shutil.copyfile(self._file, self._new)

    def empty(self) -> None:
        self._take(self._new)

    def keep(self) -> None:
        shutil.copyfile(self._file, self._kept)

    def put_back(self) -> bool:
        """Whether anything had changed."""
        if filecmp.cmp(self._file, self._kept, shallow=False):
            return False
        self._take(self._kept)
        return True

    def _take(self, file: Path) -> None:
        for store in self._stores:
            store.engine.dispose()
        shutil.copyfile(file, self._file)

    def ask(self, method: str, path: str, query: str, body: bytes, content_type: str) -> Answer:
        self._seams.next_request("stock")
        said = self._client.open(
            path, method=method, query_string=query, data=body, content_type=None if method == "GET" else content_type
        )
        try:
            doc = json.loads(said.get_data())
        except ValueError:
            doc = None
        return Answer(said.status_code, doc)

    @contextmanager
    def served(self) -> Iterator[str]:
        from werkzeug.serving import make_server

        def application(environ: Any, start_response: Any) -> Any:
            self._seams.next_request("stock")
            return self._app(environ, start_response)

        server = make_server("127.0.0.1", 0, application)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Ours:
    """The tracking function, called by a member of the team."""

    def __init__(self, dynamodb: DynamoDBClient, s3: S3Client, seams: Seams) -> None:
        self._dynamodb, self._s3, self._seams = dynamodb, s3, seams
        self._exists = False
        self.empty()

    def empty(self) -> None:
        if self._exists:
            self._dynamodb.delete_table(TableName=_TABLE)
        make_table(self._dynamodb, _TABLE)
        self._exists = True
        store = ArtifactStore(lambda: self._s3, BUCKET)
        self._ledgers = Ledgers.over(Table(self._dynamodb, _TABLE), store, Members("fraud"), self._seams.now)
        self._ledgers.experiments.get("0")  # MLflow's server makes it when it starts

    def ask(self, method: str, path: str, query: str, body: bytes, content_type: str) -> Answer:
        self._seams.next_request("ours")
        made = event(method, unquote(path), query, body, member(SIGNER), {"content-type": content_type})
        said = answer(self._ledgers, Request.from_event(made)).to_event()
        is_json = said["headers"]["content-type"] == "application/json"
        return Answer(said["statusCode"], json.loads(said["body"]) if is_json else None)

    @contextmanager
    def served(self) -> Iterator[str]:
        def arn() -> str:
            self._seams.next_request("ours")
            return member(SIGNER)

        with serving(partial(answer, self._ledgers), arn) as address:
            yield address


@dataclass
class Pair:
    """Both servers, the bucket that both keep artifacts in, and their common seams."""

    stock: Stock
    ours: Ours
    s3: S3Client
    seams: Seams

    def put(self, address: str) -> None:
        """A small file at an s3 address."""
        self.s3.put_object(Bucket=BUCKET, Key=address.removeprefix(f"s3://{BUCKET}/"), Body=b"x")

    def empty(self) -> None:
        self.seams.restart()
        self.stock.empty()
        self.ours.empty()
        listed = self.s3.list_object_versions(Bucket=BUCKET)
        for item in listed.get("Versions", []):
            self.s3.delete_object(Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"])


@contextmanager
def both() -> Iterator[Pair]:
    """Both servers, empty."""
    seams = Seams()
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=_memory())))
        stack.enter_context(_environment(credentials))
        stack.enter_context(mock_aws())
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        logging.getLogger("alembic").setLevel(logging.CRITICAL)
        stack.enter_context(seams.in_place())
        stock = Stock(folder, seams)
        ours = Ours(boto3.client("dynamodb", region_name=REGION), s3, seams)
        yield Pair(stock, ours, s3, seams)


def _memory() -> str | None:
    """A folder in memory, where there is one: the database is copied before every request."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    gone = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE")
    with patch.dict("os.environ", variables) as environment:
        for name in gone:
            environment.pop(name, None)
        yield
