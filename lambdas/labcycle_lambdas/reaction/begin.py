"""First step: may it begin, what is there to train with, and the run that will tell of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.reactions import Busy, Reactions
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.reaction.cannot_retrain import CannotRetrain
from labcycle_lambdas.reaction.environment import Environment

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


@dataclass(frozen=True)
class Begin:
    environment: Environment
    s3: S3Client
    deployments: Deployments
    runs: Runs
    reactions: Reactions

    def __call__(self, execution: str, given: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """What the training job needs; or `proceed` false with the reason, where another reaction runs or it is too soon.

        `given` is the input of the execution; `ignore_cool_down: true` in it lets a person start one all the same.

        Raises
        ------
        CannotRetrain
            If there is nothing to train from: no live version, no run, no recipe, no data.
        """
        model = self.environment.model
        ignore = given.get("ignore_cool_down") is True
        try:
            if reason := self.reactions.skipped(model, execution):
                raise Busy(reason)
            self.reactions.check(model, execution, now, ignore_cool_down=ignore)
            champion_version, champion = self._champion()
            recipe = self._recipe(champion)
            self._check_parameters(champion)
            rows_at = self._data()
            run_id = run_id_of(execution)
            job = job_name_of(self.environment.team, model, execution)
            detail = {
                "execution": execution,
                "run_id": run_id,
                "champion_version": champion_version,
                "champion_run": champion.run_id,
                "training_job": job,
            }
            begun = self.reactions.begin(
                model,
                execution,
                run_id,
                now,
                longest=self.environment.longest,
                who=who,
                detail=detail,
                ignore_cool_down=ignore,
            )
        except Busy as busy:
            self.reactions.skip(model, execution, busy.reason)
            return {"proceed": False, "reason": busy.reason}
        if begun.abandoned_run:
            self._fail_abandoned(begun.abandoned_run, now, who)
        self._create_run(run_id, champion, execution, champion_version, who)
        return {
            "proceed": True,
            "run_id": run_id,
            "job_name": job,
            "recipe_uri": f"s3://{self.environment.artifact_bucket}/{recipe}",
            "training_uri": f"s3://{self.environment.artifact_bucket}/{rows_at}",
            "output_uri": f"s3://{self.environment.artifact_bucket}/{training_prefix(model)}",
            "hyper_parameters": champion.params,
            "champion_version": champion_version,
        }

    def _champion(self) -> tuple[int, Run]:
        live = self.deployments.current(self.environment.model).live
        if live is None:
            raise CannotRetrain(f"no version of {self.environment.model} is live: there is no recipe to retrain from")
        if not live.source_run:
            raise CannotRetrain(
                f"version {live.version} was registered without a run: there is no recipe to retrain from"
            )
        try:
            return live.version, self.runs.get(live.source_run)
        except NotFound:
            raise CannotRetrain(f"the run {live.source_run} of version {live.version} is not in this ledger") from None

    def _recipe(self, champion: Run) -> str:
        root = urlsplit(champion.artifact_uri)
        prefix = f"{root.path.strip('/')}/{RECIPE}"
        if root.netloc != self.environment.artifact_bucket or not self._holds(prefix, ENTRY):
            raise CannotRetrain(
                f"the run {champion.run_id} has no artifact {RECIPE}{ENTRY}: log the training script with "
                f"mlflow.log_artifacts(folder, '{RECIPE.rstrip('/')}') and promote a version of that run"
            )
        return prefix

    def _check_parameters(self, champion: Run) -> None:
        long = [k for k, v in champion.params.items() if len(k) > _LONGEST_NAME or len(v) > _LONGEST_VALUE]
        if long or len(champion.params) > _MOST_PARAMETERS:
            raise CannotRetrain(
                f"the run {champion.run_id} has parameters that a training job does not take: at most {_MOST_PARAMETERS}, "
                f"names of {_LONGEST_NAME} and values of {_LONGEST_VALUE} characters; it has {len(champion.params)}"
                + (f", too long: {', '.join(name[:60] for name in long[:5])}" if long else "")
            )

    def _data(self) -> str:
        prefix = data_prefix(self.environment.model)
        if not self._holds(prefix, ".csv"):
            raise CannotRetrain(
                f"there is no training data: put CSV files (features, and the target as the last column) below "
                f"s3://{self.environment.artifact_bucket}/{prefix}"
            )
        return prefix

    def _holds(self, prefix: str, ending: str) -> bool:
        """Whether an object that is not empty ends so below the prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.environment.artifact_bucket, Prefix=prefix
        )
        return any(o["Key"].endswith(ending) and o["Size"] > 0 for page in pages for o in page.get("Contents", []))

    def _create_run(self, run_id: str, champion: Run, execution: str, champion_version: int, who: Who) -> None:
        self.runs.create(
            experiment_id=champion.experiment_id,
            user_id=str(who),
            run_name=f"retraining of version {champion_version}",
            tags={
                "mlflow.parentRunId": champion.run_id,
                "mlflow.source.type": "JOB",
                "mlflow.source.name": f"{RECIPE}{ENTRY}",
                "labcycle.execution": execution,
            },
            run_id=run_id,
        )

    def _fail_abandoned(self, run_id: str, now: datetime, who: Who) -> None:
        """A reaction that was cut off by its time-out could not do this itself."""
        try:
            if self.runs.get(run_id).status == "RUNNING":
                self.runs.update(run_id, status="FAILED", end_time=int(now.timestamp() * 1000), who=who)
        except NotFound:
            return
