"""The steps by name, as the state machine calls them. Each can be repeated: what was done already is not done again.

An answer holds `next`, the name of what comes next; before it, `seconds` are to be waited. At the end it holds the
`outcome` and a `notice` for the owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployment, Deployments
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.promotions import (
    ENDED,
    FAILED,
    GIVEN_UP,
    LIVE,
    REFUSED,
    TAKEN_BACK,
    WATCHING,
    Promotion,
    Promotions,
    Superseded,
)
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.lifecycle.trial import BAD, GOOD, judged, sides
from labcycle_lambdas.lineage.run_reader import RunReader
from labcycle_lambdas.promotion.environment import Environment
from labcycle_lambdas.promotion.policy import Policy
from labcycle_lambdas.promotion.tidings import notice
from labcycle_lambdas.step_failure import explain

LOOK_SECONDS = 60
LATER_LOOK_SECONDS = 300  # after an hour: a history holds 25,000 events
_OFTEN = timedelta(hours=1)


@dataclass(frozen=True)
class Steps:
    """Of one execution, at one time. `probe` loads and tries a version: see `Probing`."""

    environment: Environment
    table: Table
    preflight: Preflight
    probe: Callable[[str, Deployed, Deployed | None], dict[str, Any]]
    execution: str
    now: datetime
    who: Who

    def do(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of the step `event["action"]`.

        Raises
        ------
        Throttled
            If the ledger or S3 asks for patience; the step can be repeated.
        """
        try:
            match event["action"]:
                case "preflight":
                    return self._preflight()
                case "widen":
                    return self._widen(int(event["step"]))
                case "look":
                    return self._look()
                case "promote":
                    return self._promote()
                case "take_back":
                    return self._take_back(TAKEN_BACK)
                case "fail":
                    why = explain(event.get("error", ""), event.get("cause", ""))
                    return self._take_back(FAILED, (why,))
                case action:
                    raise ValueError(f"unknown action {action!r}")
        except Superseded:
            return self._as_it_ended()

    def _preflight(self) -> dict[str, Any]:
        """Nothing is changed before all of this holds."""
        model, held = self.environment.model, self._promotions.held(self.environment.model, self.execution)
        live = self._deployments.current(model).live
        following = {"next": "widen" if live else "promote", "step": 0}
        if held.evidence:
            return following  # it passed before
        try:
            reader = RunReader(self.table, self.preflight.s3, self.preflight.bucket)
            Policy(self.environment, reader).check(held, self.now)
            deployed = self.preflight.prepare(model, held.version)
            if not held.new_inputs:
                self.preflight.check_inputs(model, deployed)
            measured = self.probe(model, deployed, live)
        except (Refused, NotFound) as problem:
            self._end(REFUSED, [str(problem)], "promotion_refused")
            return self._as_it_ended()
        detail = {"version": held.version, "measured": measured}
        self._promotions.tell(model, self.execution, "preflight_passed", self.who, detail, evidence=measured)
        return following

    def _widen(self, step: int) -> dict[str, Any]:
        """The share behind `step`; the first one begins the trial."""
        model, held = self.environment.model, self._promotions.held(self.environment.model, self.execution)
        if held.step > step:
            return {"next": "look", "seconds": LOOK_SECONDS}  # done before
        deployment = self._deployments.current(model)
        if ended := self._decided_by_others(held, deployment):
            return ended
        percent = self.environment.percents[held.step]
        deployed = deployment.canary.deployed if deployment.canary else self.preflight.prepare(model, held.version)
        changed = {
            "state": WATCHING,
            "step": held.step + 1,
            "percent": percent,
            "since": stamp(self.now),
            "said": (f"answers {percent} % of the requests",),
        }
        hold = self._promotions.hold(model, self.execution, **changed)
        try:
            change = self._deployments.try_out(
                model,
                deployed,
                percent,
                self.who,
                reason=self._reason(held),
                evidence={"execution": self.execution, "evidence": held.evidence},
                also=hold,
            )
        except (Refused, NotFound) as problem:  # something else happened to the model in between
            self._end(REFUSED, [str(problem)], "promotion_refused")
            return self._as_it_ended()
        if not change.changed:
            self._promotions.keep(model, self.execution, **changed)
        return {"next": "look", "seconds": LOOK_SECONDS}

    def _look(self) -> dict[str, Any]:
        """How both sides did since the last step, and what follows."""
        model, held = self.environment.model, self._promotions.held(self.environment.model, self.execution)
        deployment = self._deployments.current(model)
        if ended := self._decided_by_others(held, deployment):
            return ended
        assert deployment.live and deployment.canary
        since = datetime.fromisoformat(held.since)
        live, canary = sides(self.table, model, deployment.live, deployment.canary.deployed, since)
        verdict, reasons = judged(live, canary, self.environment.minimum_requests)
        took = self.now - since
        following = "look"
        if verdict == BAD:
            following = "take_back"
        elif verdict == GOOD and took >= self.environment.step:
            following = "widen" if held.step < len(self.environment.percents) else "promote"
        elif verdict != GOOD and took >= self.environment.longest:
            following = "take_back"
            reasons = [f"{reason}, within {_hours(self.environment.longest)}" for reason in reasons]
        seen = {"percent": held.percent, "verdict": verdict, "sides": [live.to_doc(), canary.to_doc()]}
        self._promotions.keep(model, self.execution, said=tuple(reasons), evidence=seen)
        if following == "look":
            return {"next": following, "seconds": LOOK_SECONDS if took < _OFTEN else LATER_LOOK_SECONDS}
        return {"next": following, "step": held.step}

    def _promote(self) -> dict[str, Any]:
        model, held = self.environment.model, self._promotions.held(self.environment.model, self.execution)
        deployment = self._deployments.current(model)
        if held.step and (ended := self._decided_by_others(held, deployment)):
            return ended
        deployed = deployment.canary.deployed if deployment.canary else self.preflight.prepare(model, held.version)
        changed = {"state": ENDED, "outcome": LIVE, "percent": 100}
        try:
            change = self._deployments.promote(
                model,
                deployed,
                self.who,
                reason=self._reason(held),
                evidence={"execution": self.execution, "evidence": held.evidence},
                also=self._promotions.hold(model, self.execution, **changed),
            )
        except (Refused, NotFound) as problem:
            self._end(REFUSED, [str(problem)], "promotion_refused")
            return self._as_it_ended()
        if not change.changed:
            self._promotions.keep(model, self.execution, **changed)
        return self._as_it_ended()

    def _take_back(self, outcome: str, said: tuple[str, ...] | None = None) -> dict[str, Any]:
        """The version that is tried is taken out of traffic; without one there is nothing to take back."""
        model, held = self.environment.model, self._promotions.held(self.environment.model, self.execution)
        said = held.said if said is None else said
        deployment = self._deployments.current(model)
        canary = deployment.canary
        if canary and canary.deployed.version == held.version:
            hold = self._promotions.hold(model, self.execution, state=ENDED, outcome=outcome, percent=0, said=said)
            try:
                change = self._deployments.roll_back(
                    model,
                    self.who,
                    from_version=held.version,
                    reason="; ".join(said),
                    evidence={"execution": self.execution, "evidence": held.evidence},
                    also=hold,
                )
            except Refused:  # somebody was faster
                return self._take_back(outcome, said)
            if change.changed:
                return self._as_it_ended()
        self._end(outcome, list(said), f"promotion_{outcome}")
        return self._as_it_ended()

    def _decided_by_others(self, held: Promotion, deployment: Deployment) -> dict[str, Any] | None:
        """The end, where somebody else decided what is live or tried in the meantime."""
        live, canary = deployment.live, deployment.canary
        if live and live.version == held.version:
            said = f"{live.promoted_by} made it live at {live.promoted_at}"
            self._end(LIVE, [said], "promotion_overtaken")
        elif canary and canary.deployed.version != held.version:
            said = f"version {canary.deployed.version} is tried now, by {canary.deployed.promoted_by}"
            self._end(GIVEN_UP, [said], "promotion_overtaken")
        elif canary is None and held.step:
            self._end(GIVEN_UP, ["somebody took it back"], "promotion_overtaken")
        else:
            return None
        return self._as_it_ended()

    def _end(self, outcome: str, said: list[str], action: str) -> None:
        changed = {"state": ENDED, "outcome": outcome, "percent": 0, "said": tuple(said)}
        held = self._promotions.held(self.environment.model, self.execution)
        detail = {"version": held.version, "outcome": outcome, "why": "; ".join(said)}
        self._promotions.tell(self.environment.model, self.execution, action, self.who, detail, **changed)

    def _as_it_ended(self) -> dict[str, Any]:
        """Also for a step that is repeated after its promotion had ended."""
        model = self.environment.model
        last = self._promotions.current(model)
        if last is None or last.execution != self.execution:
            return {"next": "end", "outcome": GIVEN_UP, "notice": None}
        live = self._deployments.current(model).live
        told = notice(self.environment.team, model, last, live.version if live else None)
        return {"next": "end", "outcome": last.outcome, "notice": told.to_doc()}

    def _reason(self, held: Promotion) -> str:
        return f"{held.reason + ', ' if held.reason else ''}asked for by {held.requested_by}"

    @property
    def _promotions(self) -> Promotions:
        return Promotions(self.table, lambda: self.now)

    @property
    def _deployments(self) -> Deployments:
        return Deployments(self.table, lambda: self.now)


def _hours(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{hours:g} hour{'' if hours == 1 else 's'}"
