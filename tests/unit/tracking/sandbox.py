"""The tracking and life cycle functions as Lambda runs them, over AWS in memory, with trouble between the two.

Everything goes through the functions' handlers, so that nothing here knows how the ledger keeps what it is told.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, Literal
from unittest import mock
from urllib.parse import urlencode

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from labcycle_lambdas.lifecycle import handler as lifecycle
from labcycle_lambdas.retention import handler as retention
from labcycle_lambdas.retention.routes import BASE
from labcycle_lambdas.tracking import handler as tracking
from labcycle_lambdas.tracking import ledgers
from tests.unit.tracking.dynamodb import MemoryDynamoDB
from tests.unit.tracking.server import event, member

REGION: Literal["eu-west-1"] = "eu-west-1"
TABLE, BUCKET = "ledger", "labcycle-fraud-artifacts"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
_VARIABLES = {
    "LEDGER_TABLE": TABLE,
    "ARTIFACT_BUCKET": BUCKET,
    "TEAM": "fraud",
    "RETENTION": '[{"status": "deleted", "days": 1}]',
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
}
_JSON = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})

_FUNCTIONS = {BASE: retention, "/labcycle/": lifecycle, "/": tracking}  # the longest prefix first

Send = Callable[[], Any]


def function_of(path: str) -> ModuleType:
    """The handler that API Gateway sends a path to."""
    return next(function for prefix, function in _FUNCTIONS.items() if path.startswith(prefix) or prefix == "/")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    def ok(self) -> Any:
        assert self.status == 200, self
        return self.body


@dataclass
class Trouble:
    """What happens to each attempt at a call of AWS while a request runs, counted from 0. `seen` names them: `PutItem`."""

    strike: Callable[[int, str, Any, Send], Any] = lambda number, operation, request, send: send()
    seen: list[str] = field(default_factory=list)
    struck: int = 0


class Sandbox:
    """One team's functions, table and bucket."""

    def __init__(self) -> None:
        self.dynamodb = MemoryDynamoDB()
        self._lock = threading.Lock()
        self._here = threading.local()  # each thread has its own trouble

    @contextmanager
    def running(self, *, frozen: bool = True) -> Iterator[Sandbox]:
        """`frozen`: the ledger's clock stands still. Nobody sleeps before an attempt is repeated."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict("os.environ", _VARIABLES))
            stack.enter_context(mock_aws())
            stack.enter_context(mock.patch.object(time, "sleep", lambda seconds: None))
            if frozen:
                stopped = mock.Mock(now=lambda zone: NOW)
                stack.enter_context(mock.patch.object(ledgers, "datetime", stopped))
            self._intercept(stack)
            self._s3 = boto3.client("s3")
            self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
            self._s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
            for function in _FUNCTIONS.values():
                _start_cold(function)
                stack.callback(_start_cold, function)
            yield self

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        name: str = "scientist-1",
        trouble: Trouble | None = None,
    ) -> Answer:
        """`path` below /api/2.0/mlflow unless it is absolute; for GET the body is the query. `key`: of a call and its repeats."""
        path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        path, _, query = path.partition("?")
        query = urlencode(body, doseq=True) if method == "GET" and body else query
        raw = b"" if method == "GET" or body is None else json.dumps(body).encode()
        headers = {"idempotency-key": key} if key else {}
        made = event(method, path, query, raw, member(name), headers)
        self._here.trouble = trouble
        try:
            said = function_of(path).handle(made, None)
        finally:
            self._here.trouble = None
        text = said["body"]
        is_json = said["headers"]["content-type"] == "application/json"
        return Answer(said["statusCode"], said["headers"], json.loads(text) if is_json else text)

    def file(self, key: str, content: bytes = b"x") -> None:
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    def files(self) -> list[str]:
        """Keys of the bucket's objects."""
        return [item["Key"] for item in self._s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def upload(self, folder: str, name: str) -> dict[str, Any]:
        """An upload in parts, begun by the API and ready to be completed: what completes it."""
        asked = {"path": name, "num_parts": 1}
        begun = self.call("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{folder}", asked).ok()
        where: Any = {"Bucket": BUCKET, "Key": f"experiments/{folder}/{name}"}
        upload_id = begun["upload_id"].partition(".")[2]
        part = self._s3.upload_part(**where, UploadId=upload_id, PartNumber=1, Body=b"x")
        return {"upload_id": begun["upload_id"], "parts": [{"part_number": 1, "etag": part["ETag"]}]}

    def keep(self) -> Any:
        """All records and files, for `put_back`."""
        return self.dynamodb.keep(), self.files()

    def put_back(self, kept: Any) -> None:
        records, files = kept
        self.dynamodb.put_back(records)
        there = set(self.files())
        for key in there - set(files):
            self._s3.delete_object(Bucket=BUCKET, Key=key)
        for key in set(files) - there:
            self.file(key)
        _start_cold(tracking)

    def records(self) -> str:
        """What the table holds, but for the tokens of its writes. Equal records are told as an equal state."""
        return json.dumps([{**item, "token": {}} for item in self.dynamodb.items()], sort_keys=True)

    def state(self) -> dict[str, Any]:
        """All that the API tells of all that is there."""
        found: dict[str, Any] = {}
        experiments = self._pages("POST", "experiments/search", "experiments", {"max_results": 100, "view_type": "ALL"})
        found["experiments"] = experiments
        ids = [experiment["experiment_id"] for experiment in experiments]
        runs = self._pages("POST", "runs/search", "runs", {"experiment_ids": ids, "run_view_type": "ALL"})
        for run in runs:
            run_id = run["info"]["run_id"]
            whole = self.call("GET", "runs/get", {"run_id": run_id}).ok()["run"]
            histories = {
                metric["key"]: self._pages(
                    "GET", "metrics/get-history", "metrics", {"run_id": run_id, "metric_key": metric["key"]}
                )
                for metric in whole["data"].get("metrics", [])
            }
            found[f"run {run_id}"] = [run, whole, histories]
        found["logged models"] = self._pages("POST", "logged-models/search", "models", {"experiment_ids": ids})
        names = []
        for model in self._pages("GET", "registered-models/search", "registered_models", {"max_results": 100}):
            names.append(model["name"])
            found[f"model {model['name']}"] = self.call("GET", "registered-models/get", {"name": model["name"]}).ok()
            for alias in model.get("aliases", []):
                asked = {"name": model["name"], "alias": alias["alias"]}
                found[f"alias {asked}"] = self.call("GET", "registered-models/alias", asked).ok()
        found["versions"] = self._pages("GET", "model-versions/search", "model_versions", {"max_results": 100})
        for name in sorted({*names, "gone", "model", "new", "other"}):
            found[f"custody {name}"] = self.call("GET", f"/labcycle/1.0/models/{name}/custody").body
            found[f"live {name}"] = self.call("GET", f"/labcycle/1.0/models/{name}/deployment").body
        found["files"] = self.files()
        return found

    def _pages(self, method: str, path: str, name: str, body: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        token: dict[str, str] = {}
        while True:
            page = self.call(method, path, {**body, **token}).ok()
            found += page.get(name, [])
            if not page.get("next_page_token"):
                return found
            token = {"page_token": page["next_page_token"]}

    def _intercept(self, stack: ExitStack) -> None:
        carry_out = BotocoreStubber.__call__

        def call(stubber: Any, event_name: str, request: Any, **rest: Any) -> Any:
            _, service, operation = event_name.split(".")

            def send() -> Any:
                if service == "dynamodb":
                    return self.dynamodb.answer(request)
                try:
                    with self._lock:
                        return carry_out(stubber, event_name, request, **rest)
                except KeyError:  # moto's, of an upload in parts that it does not know
                    if operation != "CompleteMultipartUpload":
                        raise
                    body = "<Error><Code>NoSuchUpload</Code><Message>no such upload</Message></Error>"
                    return AWSResponse(request.url, 404, HTTPHeaders(), MockRawResponse(body))

            trouble: Trouble | None = getattr(self._here, "trouble", None)
            if trouble is None:
                return send()
            number = len(trouble.seen)
            trouble.seen.append(operation)
            return trouble.strike(number, operation, request, send)

        stack.enter_context(mock.patch.object(BotocoreStubber, "__call__", call))


def refused(code: str, operation: str, request: Any, **fields: Any) -> AWSResponse:
    """An error of DynamoDB, or of S3."""
    status = 500 if code == "InternalServerError" else 400
    if ".s3." in request.url:
        code = {"ThrottlingException": "SlowDown", "InternalServerError": "InternalError"}[code]
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        return AWSResponse(request.url, 500 if status == 500 else 503, HTTPHeaders(), MockRawResponse(body))
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **fields})
    return AWSResponse(request.url, status, _JSON, MockRawResponse(body))


def said(request: Any, document: dict[str, Any]) -> AWSResponse:
    """An answer of DynamoDB."""
    return AWSResponse(request.url, 200, _JSON, MockRawResponse(json.dumps(document)))


def lost(request: Any) -> Any:
    """The connection breaks."""
    raise ConnectionClosedError(endpoint_url=request.url)


def _start_cold(function: ModuleType) -> None:
    for value in vars(function).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
