"""After the training: its output becomes artifacts of the run, and a version of the registered model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.errors import AlreadyExists, NotFound
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.registry import ModelVersion, Registry
from labcycle_lambdas.ledger.run_record import DatasetInput, Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lineage.parts import IMAGE, REQUIREMENTS, TRAINING_DATA, TRAINING_JOB
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.material import RECIPE, training_prefix
from labcycle_lambdas.reaction.training_output import LOCK, RESULTS, TrainingOutput, downloaded, upload, upload_folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MODEL = "model/"


@dataclass(frozen=True)
class Register:
    environment: Environment
    s3: S3Client
    runs: Runs
    registry: Registry

    def __call__(self, execution: str, begun: Mapping[str, Any], who: Who) -> dict[str, Any]:
        """The registered version, with what the recipe measured. Again: the same version.

        Raises
        ------
        CannotReact
            If the training job left no usable output.
        """
        run = self.runs.get(begun["run_id"])
        bucket = self.environment.artifact_bucket
        root = urlsplit(run.artifact_uri).path.strip("/") + "/"
        prefix = f"{training_prefix(self.environment.model)}{begun['job_name']}/output/"
        with downloaded(self.s3, bucket, prefix) as output:
            metrics = output.metrics()
            files = upload_folder(self.s3, bucket, f"{root}{_MODEL}", output.model)
            for name in RESULTS:
                upload(self.s3, bucket, f"{root}{name}", output.result(name))
            self._copy_recipe(begun["recipe_uri"], f"{root}{RECIPE}")
            lock = output.result(LOCK)
            if lock.is_file():
                upload(self.s3, bucket, f"{root}lineage/{LOCK}", lock)
            self._log(run, begun, metrics, output, sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "")
        version = self._version(execution, run, files=files, who=who, begun=begun)
        ended = int(output.finished_at.timestamp() * 1000)
        self.runs.update(run.run_id, status="FINISHED", end_time=ended, who=who)
        return {"version": version.version, "metrics": metrics}

    def _copy_recipe(self, recipe_uri: str, to: str) -> None:
        """So that the new version can be retrained from its own run."""
        bucket, prefix = self.environment.artifact_bucket, urlsplit(recipe_uri).path.lstrip("/")
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                key = f"{to}{found['Key'].removeprefix(prefix)}"
                self.s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": found["Key"]})

    def _log(
        self, run: Run, begun: Mapping[str, Any], metrics: Mapping[str, float], output: TrainingOutput, lock: str
    ) -> None:
        """The parts of the run's record (lineage/parts.py); its code is the recipe."""
        at, training = int(output.finished_at.timestamp() * 1000), self.environment.policies.training
        assert training
        tags = {TRAINING_JOB: begun["job_name"], TRAINING_DATA: begun["training_uri"], IMAGE: training.image}
        self.runs.log_batch(
            run.run_id,
            metrics=[Metric(name, value, at) for name, value in metrics.items()],
            params={str(k): str(v) for k, v in begun["hyper_parameters"].items()},
            tags=tags | ({REQUIREMENTS: lock} if lock else {}),
        )
        source = json.dumps({"uri": begun["training_uri"]})
        rows = Dataset("training data", begun["training_digest"][:36], "s3", source)
        self.runs.log_inputs(run.run_id, [DatasetInput(rows, {"mlflow.data.context": "training"})])

    def _version(self, execution: str, run: Run, *, files: Any, who: Who, begun: Mapping[str, Any]) -> ModelVersion:
        name = self.environment.model
        try:
            self.registry.model(name)
        except NotFound:
            with suppress(AlreadyExists):
                self.registry.register(name, who=who)
        return self.registry.create_version(
            name,
            source=f"{run.artifact_uri}/{_MODEL.rstrip('/')}",
            who=who,
            files=files,
            run_id=run.run_id,
            tags={"labcycle.challengerOf": str(begun["champion_version"])},
            description=f"Retrained from the recipe of version {begun['champion_version']}",
            request_key=f"retraining/{name}/{execution}",
        )
