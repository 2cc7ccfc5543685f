"""What there is to retrain from: the live version's run with its recipe, and rows to train on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.reaction.cannot_react import CannotReact

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RECIPE = "recipe/"
ENTRY = "train.py"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
_MOST_PARAMETERS, _LONGEST_NAME, _LONGEST_VALUE = 100, 256, 2500
_JOB_PREFIX_LENGTH = 50  # 63 for the whole name


def run_id_of(execution: str) -> str:
    """The run of an execution: made from its name, so that a repeated step finds it again."""
    return hashlib.sha256(f"run of {execution}".encode()).hexdigest()[:32]


def job_name_of(team: str, model: str, execution: str) -> str:
    """At most 63 characters; roles allow training jobs by its prefix `labcycle-<team>-<model>-`."""
    prefix = f"labcycle-{team}-{model}"[:_JOB_PREFIX_LENGTH]
    return f"{prefix}-{hashlib.sha256(execution.encode()).hexdigest()[:12]}"


def data_prefix(model: str) -> str:
    """Where newly labelled rows are put, in the team's artifact bucket."""
    return f"data/{model}/"


def training_prefix(model: str) -> str:
    """Where training jobs leave their archives."""
    return f"training/{model}/"


class TrainingData(NamedTuple):
    """Rows to train on: so many CSV files below `prefix`. `digest` is of their names, contents (by ETag) and sizes."""

    prefix: str
    files: int
    digest: str


@dataclass(frozen=True)
class Material:
    """Of one model. Each method raises `CannotReact` where there is no such thing, and says what to do."""

    model: str
    bucket: str
    s3: S3Client
    deployments: Deployments
    runs: Runs

    def champion(self) -> tuple[int, Run]:
        """The live version, and its run."""
        live = self.deployments.current(self.model).live
        if live is None:
            raise CannotReact(f"no version of {self.model} is live: there is no recipe to retrain from")
        if not live.source_run:
            raise CannotReact(
                f"version {live.version} was registered without a run: there is no recipe to retrain from"
            )
        try:
            return live.version, self.runs.get(live.source_run)
        except NotFound:
            raise CannotReact(f"the run {live.source_run} of version {live.version} is not in this ledger") from None

    def recipe(self, champion: Run) -> str:
        """The prefix of the recipe, whose parameters a training job takes."""
        root = urlsplit(champion.artifact_uri)
        prefix = f"{root.path.strip('/')}/{RECIPE}"
        if root.netloc != self.bucket or not any(one["Key"].endswith(ENTRY) for one in self._there(prefix)):
            raise CannotReact(
                f"the run {champion.run_id} has no artifact {RECIPE}{ENTRY}: log the training script with "
                f"mlflow.log_artifacts(folder, '{RECIPE.rstrip('/')}') and promote a version of that run"
            )
        long = [k for k, v in champion.params.items() if len(k) > _LONGEST_NAME or len(v) > _LONGEST_VALUE]
        if long or len(champion.params) > _MOST_PARAMETERS:
            raise CannotReact(
                f"the run {champion.run_id} has parameters that a training job does not take: at most {_MOST_PARAMETERS}, "
                f"names of {_LONGEST_NAME} and values of {_LONGEST_VALUE} characters; it has {len(champion.params)}"
                + (f", too long: {', '.join(name[:60] for name in long[:5])}" if long else "")
            )
        return prefix

    def data(self) -> TrainingData:
        """The rows to train on."""
        prefix = data_prefix(self.model)
        files = [one for one in self._there(prefix) if one["Key"].endswith(".csv")]
        if not files:
            raise CannotReact(
                f"there is no training data: put CSV files (features, and the target as the last column) below "
                f"s3://{self.bucket}/{prefix}"
            )
        contents = sorted(f"{one['Key'].removeprefix(prefix)} {one['ETag']} {one['Size']}" for one in files)
        return TrainingData(prefix, len(files), hashlib.sha256("\n".join(contents).encode()).hexdigest())

    def _there(self, prefix: str) -> list[Any]:
        """The objects below the prefix that are not empty."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [one for page in pages for one in page.get("Contents", []) if one["Size"] > 0]
