"""Challenger, champion and the version before on the same holdout, which none was trained on by this reaction; the challenger also by
cohorts, and on odd inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployment, Deployments
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.reactions import COMPARED, Reactions
from labcycle_lambdas.ledger.registry import Registry
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.data import Table as Rows
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.runnable import Runnable, Unusable
from labcycle_lambdas.reaction import cohorts, odd_inputs
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.holdout import holdout
from labcycle_lambdas.reaction.policies import AUTOMATIC, Policy
from labcycle_lambdas.reaction.scoring import CannotScore, gain, measure
from labcycle_lambdas.reaction.verdict import Verdict, decide

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REVIEW = "review"
_REASON_LENGTH = 1000


@dataclass(frozen=True)
class _Asked:
    """A version that was loaded, and what it answered to the holdout, by the names of its outputs."""

    graph: Runnable
    outputs: Mapping[str, list[Any]]
    value: float

    def answer(self, rows: Rows) -> list[dict[str, Any]]:
        return _answers(self.graph, rows)


@dataclass(frozen=True)
class Compare:
    environment: Environment
    s3: S3Client
    deployments: Deployments
    runs: Runs
    registry: Registry
    reactions: Reactions
    preflight: Preflight

    def __call__(
        self, execution: str, begun: Mapping[str, Any], version: int, policy: Policy, who: Who
    ) -> dict[str, Any]:
        """The values of all, and the `decision`: promote, review, roll_back or keep. Again: the same answer.

        The champion is what is live now; the version before is what a roll back would bring back. The latter has
        `previous_version` and either `previous`, its value, or `previous_left_out`, why it cannot be measured (deleted,
        files gone, other inputs); none of them where there is no version before. `objections` tells why a challenger goes live
        in no case; `otherwise` is the decision without it.

        Raises
        ------
        CannotReact
            If challenger or champion cannot be loaded or measured.
        """
        model, training = self.environment.model, self.environment.policies.training
        assert training
        done = self.reactions.mark(model, execution, COMPARED)
        if done is not None:
            return done
        run = self.runs.get(begun["run_id"])
        deployment = self.deployments.current(model)
        champion = deployment.live
        if champion is None:
            raise CannotReact(f"no version of {model} is live any more: there is nothing to compare with")
        held = holdout(self.s3, self.environment.artifact_bucket, model, run)
        rows, truth = held.rows, held.truth
        metric = training.metric
        live = self._ask(metric, champion, rows, truth)
        new = self._ask(metric, self.preflight.prepare(model, version), rows, truth)
        values = {"champion": live.value, "challenger": new.value}
        before: dict[str, Any] = {}
        if deployment.previous:
            before["previous_version"] = deployment.previous[0].version
            try:
                values["previous"] = self._ask(metric, self._previous(deployment), rows, truth).value
            except CannotReact as reason:
                before["previous_left_out"] = str(reason)[:_REASON_LENGTH]
        found = cohorts.measured(metric, training.cohorts, rows, truth, new.outputs, live.outputs)
        probed, odd = odd_inputs.objections(rows, new.answer, live.answer)
        against = [*cohorts.objections(found, training.maximum_cohort_loss), *odd]
        judged = partial(decide, metric, training.minimum_gain, champion=live.value, previous=values.get("previous"))
        otherwise, verdict = judged(challenger=None), judged(challenger=None if against else new.value)
        review = verdict is Verdict.PROMOTE and policy.promote != AUTOMATIC
        at = run.end_time or run.start_time
        self.runs.log_batch(
            run.run_id, metrics=[Metric(f"{side}_{metric}", value, at) for side, value in values.items()]
        )
        compared = {
            "version": version,
            "run_id": run.run_id,
            "champion_version": champion.version,
            **before,
            "metric": metric,
            **values,
            "gain": gain(metric, values["challenger"], values["champion"]),
            "minimum_gain": training.minimum_gain,
            "holdout_rows": len(truth),
            "holdout_is_checked": held.checked,
            "cohorts": [asdict(cohort) for cohort in found],
            "probed_rows": probed,
            "objections": against,
            "otherwise": otherwise.value,
            "decision": REVIEW if review else verdict.value,
        }
        return self.reactions.once(model, execution, COMPARED, compared, action="retrained", who=who, detail=compared)

    def _previous(self, deployment: Deployment) -> Deployed:
        previous = deployment.previous[0]
        try:
            self.registry.version(deployment.model, previous.version)
        except NotFound:
            raise CannotReact(f"version {previous.version} was deleted from the registry") from None
        return self.deployments.whole(deployment.model, previous)

    def _ask(self, metric: str, deployed: Deployed, rows: Rows, truth: list[object]) -> _Asked:
        try:
            graph = Loader(self.s3, self.environment.artifact_bucket)(deployed)
            answers = _answers(graph, rows)
            outputs = {name: [answer[name] for answer in answers] for name in answers[0]} if answers else {"": []}
            return _Asked(graph, outputs, measure(metric, truth, outputs))
        except (Unusable, MlflowError, CannotScore) as error:
            raise CannotReact(f"version {deployed.version} cannot be measured on the holdout: {error}") from None


def _answers(graph: Runnable, rows: Rows) -> list[dict[str, Any]]:
    """The outputs by name, of each row."""
    fitting = enforce(rows, graph.schema) if graph.schema and graph.schema.columns else rows
    answers: list[dict[str, Any]] = graph.predict(fitting, all_outputs=True)
    return answers
