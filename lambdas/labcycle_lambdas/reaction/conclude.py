"""The last step: promote, leave it to a reviewer, reject and roll back, or fail; each ends with a notice to the owner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.reaction.begin import run_id_of
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.notice import Notice

REJECTED = "REJECTED"
_CAUSE_LENGTH = 1000


@dataclass(frozen=True)
class Conclude:
    environment: Environment
    deployments: Deployments
    runs: Runs
    reactions: Reactions
    preflight: Preflight

    def promote(self, execution: str, compared: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """The challenger goes live, unless something else went live since the comparison: then a person decides."""
        model, version, champion = self.environment.model, compared["version"], compared["champion_version"]
        live = self.deployments.current(model).live
        if live is None or live.version not in (champion, version):
            seen = f"version {live.version}" if live else "nothing"
            return self.review(execution, compared, now, because=f"{seen} went live while it was retrained")
        reason = f"{self._figures(compared)} after drift"
        self.deployments.promote(model, self.preflight.prepare(model, version), who, reason=reason)
        self._end(execution, "promoted", now)
        return self._answer(
            "promoted",
            f"version {version} of {model} is live",
            [
                f"Drift was detected for {model}. It was retrained from the recipe of version {champion}.",
                f"The new version {version} is better: it is live now, in place of version {champion}.",
                "",
                *self._details(compared),
                "",
                f"To take it back: labcycle rollback {model}",
                f"To see what happened: labcycle history {model}",
            ],
        )

    def review(
        self,
        execution: str,
        compared: Mapping[str, Any],
        now: datetime,
        because: str = "this model is promoted by people",
    ) -> dict[str, Any]:
        """Nothing changes; a reviewer is asked."""
        model, version = self.environment.model, compared["version"]
        self._end(execution, "waits_for_review", now)
        return self._answer(
            "waits_for_review",
            f"version {version} of {model} waits for your review",
            [
                f"Drift was detected for {model}. It was retrained.",
                f"The new version {version} is better than version {compared['champion_version']}.",
                f"It is not live: {because}.",
                "",
                *self._details(compared),
                "",
                f"To make it live: labcycle promote {model} {version}",
                f"To see what is live: labcycle deployment {model}",
            ],
        )

    def reject(self, execution: str, compared: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """The challenger is no better: the version before the drifted champion comes back, where there is one."""
        model, version, champion = self.environment.model, compared["version"], compared["champion_version"]
        names = ("version", "champion_version", "metric", "champion", "challenger")
        detail = {name: compared[name] for name in names}
        self.reactions.once(model, execution, REJECTED, detail, action="challenger_rejected", who=who, detail=detail)
        try:
            change = self.deployments.roll_back(model, who, from_version=champion, reason="no better after retraining")
            live = change.deployment.live
            done = f"version {live.version} is live again, which was live before version {champion}" if live else "?"
        except Refused as refused:
            done = f"version {champion} stays live ({refused})"
        self._end(execution, "rejected", now)
        return self._answer(
            "rejected",
            f"retraining {model} did not help",
            [
                f"Drift was detected for {model}. It was retrained as version {version}.",
                f"That is no better than version {champion}: it was not promoted, and {done}.",
                "",
                *self._details(compared),
                "",
                "Look at the data: the labels, the features that moved most, the amount of rows. Then train a new version.",
                f"To see what happened: labcycle history {model}",
                f"To bring a version back: labcycle promote {model} VERSION",
            ],
        )

    def fail(self, execution: str, error: str, cause: str, now: datetime, who: Who) -> dict[str, Any]:
        """Mark the run as failed, release the lock. Works from wherever the reaction stopped."""
        model, run_id, why = self.environment.model, run_id_of(execution), explain(error, cause)
        try:
            if self.runs.get(run_id).status == "RUNNING":
                self.runs.update(run_id, status="FAILED", end_time=int(now.timestamp() * 1000))
            trained = True
        except NotFound:
            run_id, trained = "", False
        detail = {"execution": execution, "run_id": run_id, "error": error, "cause": why}
        event = ("retraining_failed", who, detail)
        cool_down = now + self.environment.cool_down if trained else None  # nothing was spent where nothing was trained
        self.reactions.end(model, execution, "failed", cool_down_until=cool_down, event=event)
        live = self.deployments.current(model).live
        answer = self._answer(
            "failed",
            f"retraining {model} failed",
            [
                f"Drift was detected for {model}, but it could not be retrained: {why}",
                "",
                f"Live, as before: {f'version {live.version}' if live else 'nothing'}.",
                *([f"Run: {run_id}"] if run_id else []),
                f"Execution: {execution}",
                "",
                'Mend the cause, then start the state machine again with the input {"ignore_cool_down": true}.',
            ],
        )
        return {**answer, "why": why}

    def _end(self, execution: str, outcome: str, now: datetime) -> None:
        cool_down = now + self.environment.cool_down
        self.reactions.end(self.environment.model, execution, outcome, cool_down_until=cool_down)

    def _answer(self, outcome: str, subject: str, lines: list[str]) -> dict[str, Any]:
        return {"outcome": outcome, "notice": Notice.of(f"labcycle {self.environment.team}: {subject}", lines).to_doc()}

    def _figures(self, compared: Mapping[str, Any]) -> str:
        return f"{compared['metric']} {compared['champion']:.4f} -> {compared['challenger']:.4f}"

    def _details(self, compared: Mapping[str, Any]) -> list[str]:
        return [
            f"{compared['metric']} on the same {compared['holdout_rows']} rows:",
            f"  version {compared['champion_version']} (live when drift was found): {compared['champion']:.4f}",
            f"  version {compared['version']} (retrained): {compared['challenger']:.4f}",
            f"Run: {compared['run_id']}",
        ]


def explain(error: str, cause: str) -> str:
    """The sentence for a person in what Step Functions caught from a Lambda function or a training job."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        for key in ("errorMessage", "FailureReason"):
            if parsed.get(key):
                return str(parsed[key])[:_CAUSE_LENGTH]
    if error == "States.Timeout":
        return f"a step took too long. {cause}".strip()[:_CAUSE_LENGTH]
    return (cause or error or "unknown")[:_CAUSE_LENGTH]
