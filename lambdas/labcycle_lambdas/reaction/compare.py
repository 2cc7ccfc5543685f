"""Champion and challenger on the same holdout, which neither was trained on by this reaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labcycle_lambdas.ledger.deployments import Deployed, Deployments
from labcycle_lambdas.ledger.points import Metric
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.runs import Run, Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.graph import Unusable
from labcycle_lambdas.model_server.loading import Loader
from labcycle_lambdas.model_server.payload import Table as Rows
from labcycle_lambdas.reaction.cannot_retrain import CannotRetrain
from labcycle_lambdas.reaction.environment import AUTOMATIC, Environment
from labcycle_lambdas.reaction.scoring import CannotScore, measure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TARGET = "target"
COMPARED = "COMPARED"


@dataclass(frozen=True)
class Compare:
    environment: Environment
    s3: S3Client
    deployments: Deployments
    runs: Runs
    reactions: Reactions
    preflight: Preflight

    def __call__(self, execution: str, begun: Mapping[str, Any], version: int, who: Who) -> dict[str, Any]:
        """The values of both, and the `decision`: promote, review or reject. Again: the same answer.

        The challenger is better when it gains something, and at least the minimum. The champion is what is live now.

        Raises
        ------
        CannotRetrain
            If one of them cannot be loaded or measured.
        """
        model = self.environment.model
        done = self.reactions.mark(model, execution, COMPARED)
        if done is not None:
            return done
        run = self.runs.get(begun["run_id"])
        challenger = self.preflight.prepare(model, version)
        champion = self.deployments.current(model).live
        if champion is None:
            raise CannotRetrain(f"no version of {model} is live any more: there is nothing to compare with")
        rows, truth = self._holdout(run)
        values = {
            "champion": self._measure(champion, rows, truth),
            "challenger": self._measure(challenger, rows, truth),
        }
        sign = 1 if self.environment.higher_is_better else -1
        gain = sign * (values["challenger"] - values["champion"])
        better = gain > 0 and gain >= self.environment.minimum_gain
        at = run.end_time or run.start_time
        self.runs.log_batch(
            run.run_id,
            metrics=[Metric(f"{side}_{self.environment.metric}", value, at) for side, value in values.items()],
        )
        detail = {
            "version": version,
            "run_id": run.run_id,
            "champion_version": champion.version,
            "metric": self.environment.metric,
            **values,
            "holdout_rows": len(truth),
            "better": better,
        }
        promote = "promote" if self.environment.promote == AUTOMATIC else "review"
        answer = {**detail, "gain": gain, "decision": promote if better else "reject"}
        return self.reactions.once(model, execution, COMPARED, answer, action="retrained", who=who, detail=detail)

    def _holdout(self, run: Run) -> tuple[Rows, list[object]]:
        """The features, and the target of each row."""
        key = urlsplit(run.artifact_uri).path.strip("/") + "/holdout.json"
        text = self.s3.get_object(Bucket=self.environment.artifact_bucket, Key=key)["Body"].read()
        try:
            table = json.loads(text)
            columns, data = list(table["columns"]), list(table["data"])
            at = columns.index(TARGET)
            features = [name for name in columns if name != TARGET]
            rows = [[value for i, value in enumerate(row) if i != at] for row in data]
            return Rows(features, rows), [row[at] for row in data]
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise CannotRetrain(f"the recipe's holdout.json is no table with a column {TARGET}: {error}") from None

    def _measure(self, deployed: Deployed, rows: Rows, truth: list[object]) -> float:
        try:
            graph = Loader(self.s3, self.environment.artifact_bucket)(deployed)
            fitting = enforce(rows, graph.schema) if graph.schema and graph.schema.columns else rows
            answers = graph.predict(fitting, all_outputs=True)
            outputs = {name: [answer[name] for answer in answers] for name in answers[0]} if answers else {"": []}
            return measure(self.environment.metric, truth, outputs)
        except (Unusable, MlflowError, CannotScore) as error:
            raise CannotRetrain(f"version {deployed.version} cannot be measured on the holdout: {error}") from None
