"""What is recorded of a run, out of the ledger and its artifacts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.logged_models import LoggedModels
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import DATASET_CONTEXT_TAG, LOGGED_MODELS_TAG, Runs
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lineage.parts import Input, Model, Record, location
from labcycle_lambdas.s3_calls import is_gone, s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RECIPE = "recipe/train.py"
REQUIREMENTS_FILE = "requirements.txt"
PYTHON_FILE = "python_env.yaml"
_PYTHON = re.compile(rb"^python: *['\"]?([0-9][0-9A-Za-z.]*)", re.MULTILINE)
_MODELS_LOOKED_AT = 5


@dataclass(frozen=True)
class RunReader:
    """Reads runs of one team. Artifacts outside of its bucket count as not there."""

    table: Table
    s3: S3Client
    bucket: str

    def record(self, run: Run) -> Record:
        """Raises `Throttled`."""
        return Record(
            status=run.status,
            params=run.params,
            metrics=list(run.metrics),
            tags=run.tags,
            inputs=self.inputs(run),
            models=[self._model(model_id, uri) for model_id, uri in self._models(run)[:_MODELS_LOOKED_AT]],
            recipe=self._holds(f"{run.artifact_uri}/{RECIPE}"),
        )

    def inputs(self, run: Run) -> list[Input]:
        """The data sets that the run used."""
        return [
            Input(
                item.dataset.name,
                item.dataset.digest,
                item.dataset.source_type,
                location(item.dataset.source),
                item.tags.get(DATASET_CONTEXT_TAG, ""),
            )
            for item in Runs(self.table).datasets(run)
        ]

    def _models(self, run: Run) -> list[tuple[str, str]]:
        """Id and place of each model that the run made, those of clients before MLflow 3 included."""
        found = []
        for model_id, _ in run.model_outputs:
            try:
                found.append((model_id, LoggedModels(self.table).get(model_id, deleted=True).artifact_uri))
            except NotFound:
                continue
        for old in _listed(run.tags):
            path = str(old.get("artifact_path") or "")
            found.append((str(old.get("model_uuid") or path), f"{run.artifact_uri}/{path}"))
        return found

    def _model(self, model_id: str, uri: str) -> Model:
        python = _PYTHON.search(self._read(f"{uri}/{PYTHON_FILE}"))
        return Model(model_id, self._holds(f"{uri}/{REQUIREMENTS_FILE}"), python[1].decode() if python else "")

    def _holds(self, uri: str) -> bool:
        key = self._key(uri)
        if key is None:
            return False
        # A listing, since asking for the object itself is answered with "forbidden" where it is not there.
        page = _s3(lambda: self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1))
        return any(item["Key"] == key for item in (page or {}).get("Contents", []))

    def _read(self, uri: str) -> bytes:
        """The first 2,000 bytes of a small text; empty where it is not there."""
        key = self._key(uri)
        if key is None or not self._holds(uri):
            return b""
        said = _s3(lambda: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read(2_000))
        return bytes(said or b"")

    def _key(self, uri: str) -> str | None:
        parts = urlsplit(uri)
        return parts.path.lstrip("/") if parts.scheme == "s3" and parts.netloc == self.bucket else None


def _s3(call: Callable[[], Any]) -> Any:
    """What S3 answers; None for what is gone or may not be read."""
    try:
        return s3_call(call)
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def _listed(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        known = json.loads(tags.get(LOGGED_MODELS_TAG, "[]"))
    except (ValueError, RecursionError):
        return []
    return [entry for entry in known if isinstance(entry, dict)] if isinstance(known, list) else []
