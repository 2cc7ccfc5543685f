"""The end of a retraining: promote, roll back, or keep the champion; each ends with a notice to the owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.promotions import ENDED, FAILED, Promotions
from labcycle_lambdas.ledger.reactions import APPROVED, REJECTED, REVIEWED
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.reaction.ending import Ending
from labcycle_lambdas.reaction.material import data_prefix
from labcycle_lambdas.reaction.scoring import LOWER_IS_BETTER

_REJECTED = "REJECTED"


@dataclass(frozen=True)
class Conclude:
    ending: Ending
    promotions: Promotions
    machines: Machines
    preflight: Preflight

    def promote(self, compared: Mapping[str, Any]) -> dict[str, Any]:
        """The challenger goes live, in steps where the model has some, in the name of who approved it; unless something else went live
        since the comparison: then a person decides."""
        ending, model = self.ending, self.ending.model
        version, champion = compared["version"], compared["champion_version"]
        deployment = ending.deployments.current(model)
        live, canary = deployment.live, deployment.canary
        if live is None or live.version not in (champion, version):
            seen = f"version {live.version}" if live else "nothing"
            return self._left_to_people(compared, f"{seen} went live while it was retrained")
        if canary and canary.deployed.version != version:
            tried = f"version {canary.deployed.version} is the canary, with {canary.percent} % of the requests"
            return self._left_to_people(compared, tried)
        prepared = self.preflight.prepare(model, version)
        try:
            self.preflight.check_inputs(model, prepared)
        except Refused as refused:
            return self._left_to_people(compared, str(refused))
        who, reason = self._who_and_why(compared)
        if machine := self.machines.find(model):
            return self._promote_in_steps(machine, compared, who, reason)
        ending.deployments.promote(model, prepared, who, reason=reason)
        ending.end("promoted")
        return ending.answer(
            "promoted",
            f"version {version} of {model} is live",
            [
                f"{ending.introduced} It was retrained from the recipe of version {champion}.",
                f"The new version {version} is better: it is live now, in place of version {champion}.",
                "",
                *details(compared),
                "",
                f"To take it back: labcycle models rollback {model}",
                f"To see what happened: labcycle models history {model}",
            ],
        )

    def _who_and_why(self, compared: Mapping[str, Any]) -> tuple[Who, str]:
        ending = self.ending
        reason = f"better {ending.after}: {figures(compared)}"
        review = ending.reactions.mark(ending.model, ending.execution, REVIEWED)
        if review is None or review["decision"] != APPROVED:
            return ending.who, reason
        said = f"approved: {review['reason']}; " if review["reason"] else "approved; "
        return Who(**review["who"]), said + reason

    def _promote_in_steps(self, machine: str, compared: Mapping[str, Any], who: Who, reason: str) -> dict[str, Any]:
        ending, model, version = self.ending, self.ending.model, compared["version"]
        try:
            begun = self.promotions.begin(model, version, who, reason=reason)
        except Refused as refused:
            return self._left_to_people(compared, str(refused))
        try:
            self.machines.start(machine, begun.execution)
        except Throttled:
            raise
        except Exception as error:  # nothing may stay half promoted: the next promotion would wait for this one
            said = {"version": version, "outcome": FAILED, "why": f"its state machine could not be started: {error}"}
            ended = {"state": ENDED, "outcome": FAILED, "percent": 0, "said": (said["why"],)}
            self.promotions.tell(model, begun.execution, "promotion_failed", ending.who, said, **ended)
            raise
        ending.end("promoted")
        return ending.answer(
            "promoted",
            f"version {version} of {model} is being promoted",
            [
                f"{ending.introduced} It was retrained from the recipe of version {compared['champion_version']}.",
                f"The new version {version} is better: it is promoted in steps, and how that ends will be told.",
                "",
                *details(compared),
                "",
                f"To see how far it is: labcycle models promotion {model}",
                f"To take it back: labcycle models rollback {model}",
            ],
        )

    def _left_to_people(self, compared: Mapping[str, Any], because: str) -> dict[str, Any]:
        """Nothing changes, since people changed something in the meantime: they decide on."""
        ending, model, version = self.ending, self.ending.model, compared["version"]
        ending.end("left_to_people")
        return ending.answer(
            "left_to_people",
            f"version {version} of {model} is better, and left to you",
            [
                f"{ending.introduced} It was retrained.",
                f"The new version {version} is better than version {compared['champion_version']}.",
                f"It is not live: {because}.",
                "",
                *details(compared),
                "",
                f"To make it live: labcycle models promote {model} {version}",
                f"To see what is live: labcycle models deployment {model}",
            ],
        )

    def roll_back(self, compared: Mapping[str, Any]) -> dict[str, Any]:
        """The version before measured best: it comes back, unless something else was changed since the comparison."""
        ending, model, version = self.ending, self.ending.model, compared["version"]
        champion, previous = compared["champion_version"], compared["previous_version"]
        self._reject(compared)
        rejected = self._review_said()
        compared_with = "" if rejected else "that, and than "
        reason = f"better than version {champion} {ending.after}: {figures(compared)}"
        try:
            self.preflight.check_roll_back(model, champion)
            ending.deployments.roll_back(model, ending.who, from_version=champion, to_version=previous, reason=reason)
        except Refused as refused:
            return self._kept(compared, f"Version {previous} is better, but: {refused}", paused=False)
        ending.end("rolled_back")
        return ending.answer(
            "rolled_back",
            f"version {previous} of {model} is live again",
            [
                f"{ending.introduced} It was retrained as version {version}{', which' if rejected else ''}{rejected}.",
                f"Version {previous} is better than {compared_with}version {champion} that was live: it is live again.",
                "",
                *details(compared),
                "",
                f"To take it back: labcycle models promote {model} {champion}",
                f"To see what happened: labcycle models history {model}",
            ],
        )

    def keep(self, compared: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing better is at hand: the champion stays live, or what the policy says otherwise, and the owner learns that what was
        found persists."""
        ending, champion = self.ending, compared["champion_version"]
        if rejected := self._review_said():
            said = f"Version {compared['version']}{rejected}"
        elif compared["objections"]:
            said = f"Version {compared['version']} does not go live: {'; '.join(compared['objections'])}"
        else:
            minimum = compared["minimum_gain"]
            wanted = f"better than version {champion}" + (f" by {minimum:g} or more" if minimum else "")
            said = f"Version {compared['version']} is not {wanted}"
        if "previous" in compared:
            also = "neither is" if not rejected and not compared["objections"] else "no better is"
            said += f", and {also} version {compared['previous_version']}, which was live before"
        self._reject(compared)
        live = ending.deployments.current(ending.model).live
        as_it_was = live is not None and live.version == champion
        return self._kept(compared, f"{said}.", paused=as_it_was and ending.policy.otherwise == "pause")

    def _kept(self, compared: Mapping[str, Any], because: str, *, paused: bool) -> dict[str, Any]:
        ending, model, version = self.ending, self.ending.model, compared["version"]
        if paused:
            ending.pause(f"paused by its reaction: {ending.introduced} {because}")
        outcome = "paused" if paused else "kept"
        ending.end(outcome)
        changed = "It was paused: it gives no predictions." if paused else "Nothing was changed."
        drifted = ending.begun.get("cause", "drift") == "drift"
        found = "The drift" if drifted else "What was found"
        stays = f"drift of {model} persists" if drifted else f"{model} stays as it is"
        return ending.answer(
            outcome,
            f"{f'{model} was paused' if paused else stays}, nothing better is at hand",
            [
                f"{ending.introduced} It was retrained as version {version}.",
                because,
                f"{changed} Live: {ending.live()}.",
                "",
                *details(compared),
                "",
                f"{found} persists, and while it lasts there is no second notice. What to do:",
                f"- See which columns moved: labcycle models history {model}. Where their source is broken, mend it.",
                f"- Are the rows below s3://{ending.environment.artifact_bucket}/{data_prefix(model)} many, recent, labelled right?",
                '  Mend them, then start the state machine again with the input {"ignore_cool_down": true}.',
                f"- Where the world has changed: train with other columns, then labcycle models promote {model} VERSION",
                f"- Where version {version} is good enough, and the change lasts: labcycle models promote {model} {version}",
                "  Drift is then measured from the new data on.",
                *([f"- To let it predict again: labcycle models resume {model}"] if paused else []),
            ],
        )

    def _review_said(self) -> str:
        """What the reviewer said of it, where that was no; else nothing."""
        review = self.ending.reactions.mark(self.ending.model, self.ending.execution, REVIEWED)
        if review is None or review["decision"] != REJECTED:
            return ""
        return f" was rejected by {Who(**review['who'])}" + (f" ({review['reason']})" if review["reason"] else "")

    def _reject(self, compared: Mapping[str, Any]) -> None:
        self.ending.reactions.once(
            self.ending.model,
            self.ending.execution,
            _REJECTED,
            {"version": compared["version"]},
            action="challenger_rejected",
            who=self.ending.who,
            detail=compared,
        )


def figures(compared: Mapping[str, Any]) -> str:
    """The values of all versions, in a sentence."""
    said = (
        f"{compared['metric']} of version {compared['version']} (retrained) {_figure(compared['challenger'])}, "
        f"version {compared['champion_version']} (live) {_figure(compared['champion'])}"
    )
    if "previous_version" not in compared:
        return said
    value = _figure(compared["previous"]) if "previous" in compared else "left out"
    return f"{said}, version {compared['previous_version']} (before) {value}"


def details(compared: Mapping[str, Any]) -> list[str]:
    """The same as lines of a notice, with the cohorts."""
    metric = compared["metric"]
    better = "lower" if metric in LOWER_IS_BETTER else "higher"
    lines = [
        f"{metric} on the same {compared['holdout_rows']} rows ({better} is better):",
        f"  version {compared['version']} (retrained): {_figure(compared['challenger'])}",
        f"  version {compared['champion_version']} (live when they were compared): {_figure(compared['champion'])}",
    ]
    if "previous" in compared:
        lines.append(f"  version {compared['previous_version']} (live before that): {_figure(compared['previous'])}")
    elif "previous_version" in compared:
        lines.append(
            f"  version {compared['previous_version']} (live before that): left out, since {compared['previous_left_out']}"
        )
    if compared["minimum_gain"]:
        lines.append(f"Minimum gain: {compared['minimum_gain']:g}")
    lines += [
        f"  {cohort['rows']} rows with {cohort['field']} {cohort['value']}: {_figure(cohort['challenger'])} (live {_figure(cohort['champion'])})"
        for cohort in compared["cohorts"]
    ]
    return [*lines, f"Run: {compared['run_id']}"]


def _figure(value: float) -> str:
    return f"{value:.6g}"
