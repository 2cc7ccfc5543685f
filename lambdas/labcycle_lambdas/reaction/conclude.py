"""The last step: promote, leave it to a reviewer, roll back, keep the champion, or fail; each ends with a notice to the owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.promotions import Promotions
from labcycle_lambdas.ledger.reactions import Reactions
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.notice import Notice
from labcycle_lambdas.reaction.begin import data_prefix, run_id_of
from labcycle_lambdas.reaction.environment import Environment
from labcycle_lambdas.reaction.scoring import LOWER_IS_BETTER
from labcycle_lambdas.step_failure import explain

REJECTED = "REJECTED"


@dataclass(frozen=True)
class Conclude:
    environment: Environment
    deployments: Deployments
    promotions: Promotions
    machines: Machines
    runs: Runs
    reactions: Reactions
    preflight: Preflight

    def promote(self, execution: str, compared: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """The challenger goes live, in steps where the model has some, unless something else went live since the comparison: then a
        person decides."""
        model, version, champion = self.environment.model, compared["version"], compared["champion_version"]
        deployment = self.deployments.current(model)
        live, canary = deployment.live, deployment.canary
        if live is None or live.version not in (champion, version):
            seen = f"version {live.version}" if live else "nothing"
            return self.review(execution, compared, now, because=f"{seen} went live while it was retrained")
        if canary and canary.deployed.version != version:
            tried = f"version {canary.deployed.version} is the canary, with {canary.percent} % of the requests"
            return self.review(execution, compared, now, because=tried)
        prepared = self.preflight.prepare(model, version)
        try:
            self.preflight.check_inputs(model, prepared)
        except Refused as refused:
            return self.review(execution, compared, now, because=str(refused))
        reason = f"better after drift: {self._figures(compared)}"
        if machine := self.machines.find(model):
            return self._promote_in_steps(machine, execution, compared, now, who, reason)
        self.deployments.promote(model, prepared, who, reason=reason)
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
                f"To take it back: labcycle models rollback {model}",
                f"To see what happened: labcycle models history {model}",
            ],
        )

    def _promote_in_steps(
        self, machine: str, execution: str, compared: Mapping[str, Any], now: datetime, who: Who, reason: str
    ) -> dict[str, Any]:
        model, version = self.environment.model, compared["version"]
        try:
            begun = self.promotions.begin(model, version, who, reason=reason)
        except Refused as refused:
            return self.review(execution, compared, now, because=str(refused))
        self.machines.start(machine, begun.execution)
        self._end(execution, "promoted", now)
        return self._answer(
            "promoted",
            f"version {version} of {model} is being promoted",
            [
                f"Drift was detected for {model}. It was retrained from the recipe of version {compared['champion_version']}.",
                f"The new version {version} is better: it is promoted in steps, and how that ends will be told.",
                "",
                *self._details(compared),
                "",
                f"To see how far it is: labcycle models promotion {model}",
                f"To take it back: labcycle models rollback {model}",
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
                f"To make it live: labcycle models promote {model} {version}",
                f"To see what is live: labcycle models deployment {model}",
            ],
        )

    def roll_back(self, execution: str, compared: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """The version before measured best: it comes back, unless something else was changed since the comparison."""
        model, version = self.environment.model, compared["version"]
        champion, previous = compared["champion_version"], compared["previous_version"]
        self._reject(execution, compared, who)
        reason = f"better than version {champion} after drift: {self._figures(compared)}"
        try:
            self.preflight.check_roll_back(model, champion)
            self.deployments.roll_back(model, who, from_version=champion, to_version=previous, reason=reason)
        except Refused as refused:
            return self._kept(execution, compared, now, f"Version {previous} is better, but: {refused}")
        self._end(execution, "rolled_back", now)
        return self._answer(
            "rolled_back",
            f"version {previous} of {model} is live again",
            [
                f"Drift was detected for {model}. It was retrained as version {version}.",
                f"Version {previous} is better than that, and than version {champion} that was live: it is live again.",
                "",
                *self._details(compared),
                "",
                f"To take it back: labcycle models promote {model} {champion}",
                f"To see what happened: labcycle models history {model}",
            ],
        )

    def keep(self, execution: str, compared: Mapping[str, Any], now: datetime, who: Who) -> dict[str, Any]:
        """Nothing better is at hand: the champion stays live, and the owner learns that the drift persists."""
        champion, minimum = compared["champion_version"], compared["minimum_gain"]
        wanted = f"better than version {champion}" + (f" by {minimum:g} or more" if minimum else "")
        said = f"Version {compared['version']} is not {wanted}"
        if "previous" in compared:
            said += f", and neither is version {compared['previous_version']}, which was live before"
        self._reject(execution, compared, who)
        return self._kept(execution, compared, now, f"{said}.")

    def _kept(self, execution: str, compared: Mapping[str, Any], now: datetime, because: str) -> dict[str, Any]:
        model, version = self.environment.model, compared["version"]
        self._end(execution, "kept", now)
        return self._answer(
            "kept",
            f"drift of {model} persists, nothing better is at hand",
            [
                f"Drift was detected for {model}. It was retrained as version {version}.",
                because,
                f"Nothing was changed. Live: {self._live()}.",
                "",
                *self._details(compared),
                "",
                "The drift persists, and while it lasts there is no second notice. What to do:",
                f"- See which columns moved: labcycle models history {model}. Where their source is broken, mend it.",
                f"- Are the rows below s3://{self.environment.artifact_bucket}/{data_prefix(model)} many, recent, labelled right?",
                '  Mend them, then start the state machine again with the input {"ignore_cool_down": true}.',
                f"- Where the world has changed: train with other columns, then labcycle models promote {model} VERSION",
                f"- Where version {version} is good enough, and the change lasts: labcycle models promote {model} {version}",
                "  Drift is then measured from the new data on.",
            ],
        )

    def _reject(self, execution: str, compared: Mapping[str, Any], who: Who) -> None:
        self.reactions.once(
            self.environment.model,
            execution,
            REJECTED,
            dict(compared),
            action="challenger_rejected",
            who=who,
            detail=compared,
        )

    def fail(self, execution: str, error: str, cause: str, now: datetime, who: Who) -> dict[str, Any]:
        """Mark the run as failed, release the lock. Works from wherever the reaction stopped."""
        model, run_id, why = self.environment.model, run_id_of(execution), explain(error, cause)
        try:
            if self.runs.get(run_id).status == "RUNNING":
                self.runs.update(run_id, status="FAILED", end_time=int(now.timestamp() * 1000), who=who)
            trained = True
        except NotFound:
            run_id, trained = "", False
        detail = {"execution": execution, "run_id": run_id, "error": error, "cause": why}
        event = ("retraining_failed", who, detail)
        cool_down = now + self.environment.cool_down if trained else None  # nothing was spent where nothing was trained
        self.reactions.end(model, execution, "failed", cool_down_until=cool_down, event=event)
        answer = self._answer(
            "failed",
            f"retraining {model} failed",
            [
                f"Drift was detected for {model}, but it could not be retrained: {why}",
                "",
                f"Live, as before: {self._live()}.",
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

    def _live(self) -> str:
        live = self.deployments.current(self.environment.model).live
        return f"version {live.version}" if live else "nothing"

    def _figures(self, compared: Mapping[str, Any]) -> str:
        said = (
            f"{compared['metric']} of version {compared['version']} (retrained) {_figure(compared['challenger'])}, "
            f"version {compared['champion_version']} (live) {_figure(compared['champion'])}"
        )
        if "previous_version" not in compared:
            return said
        value = _figure(compared["previous"]) if "previous" in compared else "left out"
        return f"{said}, version {compared['previous_version']} (before) {value}"

    def _details(self, compared: Mapping[str, Any]) -> list[str]:
        metric = compared["metric"]
        better = "lower" if metric in LOWER_IS_BETTER else "higher"
        lines = [
            f"{metric} on the same {compared['holdout_rows']} rows ({better} is better):",
            f"  version {compared['version']} (retrained): {_figure(compared['challenger'])}",
            f"  version {compared['champion_version']} (live when they were compared): {_figure(compared['champion'])}",
        ]
        if "previous" in compared:
            lines.append(
                f"  version {compared['previous_version']} (live before that): {_figure(compared['previous'])}"
            )
        elif "previous_version" in compared:
            lines.append(
                f"  version {compared['previous_version']} (live before that): left out, since "
                f"{compared['previous_left_out']}"
            )
        if compared["minimum_gain"]:
            lines.append(f"Minimum gain: {compared['minimum_gain']:g}")
        return [*lines, f"Run: {compared['run_id']}"]


def _figure(value: float) -> str:
    return f"{value:.6g}"
