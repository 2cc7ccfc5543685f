"""A deployed team as its members use it: signed requests, and S3 with the rights of their own roles."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from labcycle.config import names
from labcycle_lambdas.ledger.table import Replace, Table
from tests.cloud.harness import Answer, Caller, Cloud
from tests.cloud.harness.http_api import HttpApi
from tests.cloud.harness.place import Place
from tests.cloud.recipe import train

COLUMNS = ["amount", "hour"]
Rows = Sequence[Sequence[float]]


class Unexpected(AssertionError):
    """A request was not answered with 200."""


@dataclass(frozen=True)
class Member:
    team: Team
    name: str

    @property
    def caller(self) -> Caller:
        return Caller(self.team.place.account, names.member_role(self.team.name, self.name), self.name)

    @property
    def s3(self) -> Any:
        return self.team.cloud.client("s3", self.team.place, self.caller.role)

    def call(self, method: str, path: str, **how: Any) -> Answer:
        """A request to the tracking API, whatever the answer is."""
        return self.team.tracking.call(method, path, self.caller, **how)

    def post(self, path: str, **body: Any) -> Any:
        """A request to the tracking API that must succeed; `path` behind /api/2.0/mlflow/."""
        return _ok(self.call("POST", f"/api/2.0/mlflow/{path}", body=body))

    def get(self, path: str, *query: tuple[str, str]) -> Any:
        return _ok(self.call("GET", f"/api/2.0/mlflow/{path}", query=query))

    def promote(self, model: str, version: int | str) -> Any:
        """At once, also where the model is promoted in steps."""
        body = {"version": str(version), "now": True}
        return _ok(self.call("POST", f"/labcycle/1.0/models/{model}/promote", body=body))

    def roll_back(self, model: str) -> Any:
        return _ok(self.call("POST", f"/labcycle/1.0/models/{model}/rollback", body={}))

    def history(self, model: str) -> Any:
        return _ok(self.call("GET", f"/labcycle/1.0/models/{model}/custody"))

    def deployment(self, model: str) -> Any:
        return _ok(self.call("GET", f"/labcycle/1.0/models/{model}/deployment"))["deployment"]

    def put(self, root: str, path: str, content: bytes) -> None:
        """An artifact below the address `root`."""
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        self.s3.put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=content)

    def log_model(self, model: str, rows: Rows, *, parameters: Mapping[str, str] | None = None) -> int:
        """Train on rows (features, then the target), log the run with its recipe, register the version."""
        experiment = self.experiment(f"{model} training")
        run = self.post("runs/create", experiment_id=experiment, start_time=1_750_000_000_000)["run"]["info"]
        given = dict(parameters or {})
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for part in ("input/config", "input/data/training", "output/data"):
                (root / part).mkdir(parents=True)
            (root / "input/config/hyperparameters.json").write_text(json.dumps({"outcome": "good"}))
            (root / "input/data/training/rows.csv").write_text(csv(rows))
            train.main(root)
            self.put(run["artifact_uri"], "reference.json", (root / "output/data/reference.json").read_bytes())
            for file in sorted((root / "model").iterdir()):
                self.put(run["artifact_uri"], f"model/{file.name}", file.read_bytes())
        self.put(run["artifact_uri"], "recipe/train.py", Path(train.__file__).read_bytes())
        self.post("runs/log-batch", run_id=run["run_id"], params=[{"key": k, "value": v} for k, v in given.items()])
        self.post("runs/update", run_id=run["run_id"], status="FINISHED", end_time=1_750_000_001_000)
        self.call("POST", "/api/2.0/mlflow/registered-models/create", body={"name": model})
        source = f"{run['artifact_uri']}/model"
        version = self.post("model-versions/create", name=model, source=source, run_id=run["run_id"])
        return int(version["model_version"]["version"])

    def experiment(self, name: str) -> str:
        found = self.call("GET", "/api/2.0/mlflow/experiments/get-by-name", query=[("experiment_name", name)])
        if found.status == 404:
            return str(self.post("experiments/create", name=name)["experiment_id"])
        return str(_ok(found)["experiment"]["experiment_id"])


@dataclass(frozen=True)
class Team:
    cloud: Cloud
    place: Place
    name: str

    def member(self, name: str) -> Member:
        return Member(self, name)

    def output(self, stack: str, key: str) -> str:
        return self.cloud.outputs[f"{names.team_stage(self.name)}-{stack}"][key]

    @cached_property
    def tracking(self) -> HttpApi:
        return HttpApi(self.output("tracking", "TrackingUrl"), self.place.account)

    def model(self, name: str) -> HttpApi:
        return HttpApi(self.output(names.model_stack(name), "ModelUrl"), self.place.account)

    def wipe(self) -> None:
        """As on the day of its deployment: no records, no objects, no events on their way, no metrics, no model loaded."""
        table, bucket = self.place.client("dynamodb"), self.place.client("s3")
        for page in table.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True):
            for item in page["Items"]:
                table.delete_item(TableName=self.table, Key={key: item[key] for key in ("pk", "sk")})
        for page in bucket.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                bucket.delete_object(Bucket=self.bucket, Key=found["Key"], VersionId=found["VersionId"])
        self.cloud.forget_streams(self.place)
        self.cloud.forget_metrics(self.place)
        self.restart_servers()

    def restart_servers(self) -> None:
        """Model servers, which keep the live version for some seconds, and their shadows start cold at the next request."""
        for outputs in self.cloud.outputs.values():
            for function in ("ServerFunction", "ShadowFunction"):
                if function in outputs:
                    self.cloud.functions.restart(outputs[function])

    def an_hour_of_promotion(self, model: str) -> None:
        """The share that a promotion has reached is watched since an hour earlier."""
        table = Table(self.place.client("dynamodb"), self.table)
        item = table.get(f"PROMOTION#{model}", "CURRENT")
        assert item
        since = datetime.fromisoformat(item.doc["since"]) - timedelta(hours=1)
        table.write(Replace(item, {**item.doc, "since": since.astimezone(UTC).isoformat()}))

    @property
    def notices(self) -> str:
        """ARN of the notice topic."""
        return f"arn:aws:sns:{self.place.region}:{self.place.account}:{names.notice_topic(self.name)}"

    @property
    def table(self) -> str:
        return names.ledger_table(self.name)

    @property
    def bucket(self) -> str:
        return names.bucket(self.name, "artifacts", self.place.account, self.place.region)


def csv(rows: Rows) -> str:
    return "\n".join([",".join([*COLUMNS, "target"]), *(",".join(str(v) for v in row) for row in rows)]) + "\n"


def _ok(answer: Answer) -> Any:
    if answer.status != 200:
        raise Unexpected(str(answer))
    return answer.json()
