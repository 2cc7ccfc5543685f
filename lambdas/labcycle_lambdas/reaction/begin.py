"""First step: which policy is it, may it begin, and where it retrains, what with and the run that will tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.reactions import Beginning, Busy, OverBudget, Reactions, Spending
from labcycle_lambdas.ledger.run_record import Run
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.notice import Notice
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.material import ENTRY, RECIPE, Material, job_name_of, run_id_of, training_prefix
from labcycle_lambdas.reaction.policies import FOUND, RETRAIN, Policy, introduced, spending_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SKIP, REFUSE = "skip", "refuse"


@dataclass(frozen=True)
class _Retraining:
    """What is told of it to the machine, and what the run is made from."""

    answer: Mapping[str, Any] = field(default_factory=dict)
    champion: Run | None = None
    spending: Spending | None = None


@dataclass(frozen=True)
class Begin:
    environment: Environment
    s3: S3Client
    deployments: Deployments
    runs: Runs
    reactions: Reactions

    def __call__(self, execution: str, given: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """What is to be done (`do`), by which policy and for what cause; of a retraining, what the job needs. `skip` with the reason,
        where another reaction runs or it is too soon; `refuse` with a notice, where that keeps it from answering an alarm, or the
        month's budget does not allow it.

        `given` is the input of the execution; `ignore_cool_down: true` in it lets a person start one all the same.

        Raises
        ------
        CannotReact
            If there is no such policy; or nothing to train from: no live version, no run, no recipe, no data.
        """
        model, number, cause = self.environment.model, *self.environment.policies.chosen(given)
        policy = self.environment.policies.each[number]
        ignore = given.get("ignore_cool_down") is True
        try:
            if done := self.reactions.skipped(model, execution):
                raise OverBudget(done["reason"]) if done.get("refused") else Busy(done["reason"])
            self.reactions.check(model, execution, policy.do, now, ignore_cool_down=ignore)
            retraining = self._retraining(execution, policy) if policy.do == RETRAIN else _Retraining()
            live = self.deployments.current(model).live
            answer = {
                "do": policy.do,
                "policy": number,
                "cause": cause,
                "live_version": live.version if live else None,
                "review_seconds": int(policy.review.total_seconds()) // 2,  # twice, with a reminder between
                **retraining.answer,
            }
            begun = self.reactions.begin(
                model,
                execution,
                now,
                Beginning(
                    policy.do,
                    self.environment.longest,
                    {"execution": execution, **_noticed(given), **_told(answer)},
                    run_id=retraining.answer.get("run_id", ""),
                    spending=retraining.spending,
                    ignore_cool_down=ignore,
                ),
                who,
            )
        except Busy as busy:
            self.reactions.skip(model, execution, busy.reason)
            return self._skipped(execution, cause, busy.reason)
        except OverBudget as over:
            return self._refused(execution, cause, str(over), who)
        if begun.abandoned_run:
            self._fail_abandoned(begun.abandoned_run, now, who)
        if retraining.champion:
            self._create_run(retraining, execution, who)
        return answer

    def _retraining(self, execution: str, policy: Policy) -> _Retraining:
        model, bucket, training = (
            self.environment.model,
            self.environment.artifact_bucket,
            self.environment.policies.training,
        )
        assert training  # a team file with such a policy has one
        material = Material(model, bucket, self.s3, self.deployments, self.runs)
        version, champion = material.champion()
        recipe = material.recipe(champion)
        data = material.data()
        job = job_name_of(self.environment.team, model, execution)
        return _Retraining(
            {
                "run_id": run_id_of(execution),
                "job_name": job,
                "recipe_uri": f"s3://{bucket}/{recipe}",
                "training_uri": f"s3://{bucket}/{data.prefix}",
                "training_digest": data.digest,
                "output_uri": f"s3://{bucket}/{training_prefix(model)}",
                "hyper_parameters": champion.params,
                "champion_version": version,
                "champion_run": champion.run_id,
            },
            champion,
            spending_of(training, policy, job),
        )

    def _skipped(self, execution: str, cause: str, why: str) -> dict[str, Any]:
        """What was found must be heard of, also where nothing is done about it now."""
        if cause not in FOUND:
            return {"do": SKIP, "reason": why}
        model = self.environment.model
        lines = [
            f"{introduced(cause, model)} Nothing was done about it: {why}.",
            "",
            f"To see how it stands: labcycle monitor status {model}",
            f'To react all the same, start the state machine again with the input {{"cause": "{cause}", "ignore_cool_down": true}}.',
            f"Execution: {execution}",
        ]
        notice = Notice.of(f"labcycle {self.environment.team}: nothing was done about {cause} of {model}", lines)
        return {"do": REFUSE, "outcome": "skipped", "reason": why, "notice": notice.to_doc()}

    def _refused(self, execution: str, cause: str, why: str, who: Who) -> dict[str, Any]:
        model = self.environment.model
        detail = {"execution": execution, "cause": cause, "why": why}
        self.reactions.skip(model, execution, why, event=("reaction_refused", who, detail))
        lines = [
            f"{introduced(cause, model)} It was not retrained: {why}.",
            "",
            "Nothing was changed. To retrain it all the same, raise monthly_budget_usd of the reaction, deploy, and start it again:",
            f"labcycle monitor react {model}",
            f"Execution: {execution}",
        ]
        notice = Notice.of(
            f"labcycle {self.environment.team}: {model} was not retrained, the month's budget is spent", lines
        )
        return {"do": REFUSE, "outcome": "over_budget", "notice": notice.to_doc()}

    def _create_run(self, retraining: _Retraining, execution: str, who: Who) -> None:
        champion, answer = retraining.champion, retraining.answer
        assert champion
        self.runs.create(
            experiment_id=champion.experiment_id,
            user_id=str(who),
            run_name=f"retraining of version {answer['champion_version']}",
            tags={
                "mlflow.parentRunId": champion.run_id,
                "mlflow.source.type": "JOB",
                "mlflow.source.name": f"{RECIPE}{ENTRY}",
                "labcycle.execution": execution,
            },
            run_id=answer["run_id"],
        )

    def _fail_abandoned(self, run_id: str, now: datetime, who: Who) -> None:
        """A reaction that was cut off by its time-out could not do this itself."""
        try:
            if self.runs.get(run_id).status == "RUNNING":
                self.runs.update(run_id, status="FAILED", end_time=int(now.timestamp() * 1000), who=who)
        except NotFound:
            return


def _noticed(given: Mapping[str, Any]) -> dict[str, str]:
    """When the alarm changed, as its event tells."""
    try:
        return {"noticed_at": stamp(datetime.fromisoformat(str(given["noticed_at"])))}
    except (KeyError, ValueError):
        return {}


def _told(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the event says of a beginning: `training_job` is the name of a job, the parameters stand in the run."""
    left_out = ("job_name", "hyper_parameters", "output_uri", "review_seconds")
    said = {key: value for key, value in answer.items() if key not in left_out}
    return {**said, **({"training_job": answer["job_name"]} if "job_name" in answer else {})}
