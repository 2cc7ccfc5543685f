"""What is done without a training: tell the owner, stop predictions, or take the live version back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployment
from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.lifecycle.preflight import Preflight
from labcycle_lambdas.reaction.ending import Ending
from labcycle_lambdas.reaction.good_versions import newest_good

_CHOSEN = "CHOSEN"


@dataclass(frozen=True)
class Act:
    ending: Ending
    preflight: Preflight
    table: Table

    def tell(self) -> dict[str, Any]:
        """Nothing changes."""
        ending = self.ending
        ending.end("told")
        return ending.answer(
            "told",
            f"{ending.model} needs a look",
            [
                f"{ending.introduced} Its reaction is to tell you, and nothing else: nothing was changed.",
                f"Live: {ending.live()}.",
                "",
                f"To see how it stands: labcycle monitor status {ending.model}",
                f"To see what happened: labcycle models history {ending.model}",
            ],
        )

    def pause(self) -> dict[str, Any]:
        """The model answers an error to each request, until somebody resumes it."""
        ending = self.ending
        try:
            ending.pause(f"paused by its reaction: {ending.introduced}")
        except Refused as refused:
            return self._kept(f"It was not paused: {refused}")
        ending.end("paused")
        return ending.answer(
            "paused",
            f"{ending.model} was paused",
            [
                f"{ending.introduced} It was paused: it gives no predictions. Live: {ending.live()}.",
                "",
                *ending.resuming(),
            ],
        )

    def roll_back(self) -> dict[str, Any]:
        """The newest version that was good is live again; where there is none, what the policy says otherwise."""
        ending, model = self.ending, self.ending.model
        chosen = self._chosen()
        leaving, target = chosen["from"], chosen["to"]
        passed = {int(version): why for version, why in chosen["passed"]}
        if leaving is None:
            return self._kept("No version is live: there is nothing to roll back.")
        over = [f"Version {version} was passed over: {why}." for version, why in passed.items()]
        if target is None:
            return self._nothing_good(leaving, over)
        reason = f"rolled back {ending.after}" + "".join(
            f"; version {v} was passed over, {why}" for v, why in passed.items()
        )
        try:
            self.preflight.check_roll_back(model, leaving, to_version=target)
            ending.deployments.roll_back(
                model, ending.who, from_version=leaving, to_version=target, passing_over=passed, reason=reason
            )
        except Refused as refused:
            return self._kept(f"It was not rolled back to version {target}: {refused}", over)
        ending.end("rolled_back")
        return ending.answer(
            "rolled_back",
            f"version {target} of {model} is live again",
            [
                f"{ending.introduced} Version {target} is live again, in place of version {leaving}: the newest one before it that",
                "was neither taken back, rejected nor paused, and during which nothing was found.",
                *over,
                "",
                f"To take it back: labcycle models promote {model} {leaving}",
                f"To see what happened: labcycle models history {model}",
            ],
        )

    def _chosen(self) -> dict[str, Any]:
        """Chosen once, since the roll back itself is told against the version that it takes back."""
        ending = self.ending
        done = ending.reactions.mark(ending.model, ending.execution, _CHOSEN)
        if done is not None:
            return done
        record: Deployment = ending.deployments.current(ending.model)
        good, passed = newest_good(record.previous, Custody(self.table).events(f"model/{ending.model}"))
        doc = {
            "from": record.live.version if record.live else None,
            "to": good.version if good else None,
            "passed": [[version, why] for version, why in passed.items()],
        }
        return ending.reactions.leave(ending.model, ending.execution, _CHOSEN, doc)

    def _nothing_good(self, leaving: int, over: list[str]) -> dict[str, Any]:
        ending, said = self.ending, "There is no version before it that was good."
        if ending.policy.otherwise != "pause":
            return self._kept(said, over)
        ending.pause(f"paused by its reaction: {ending.introduced} {said}")
        ending.end("paused")
        return ending.answer(
            "paused",
            f"{ending.model} was paused, there is nothing to go back to",
            [
                f"{ending.introduced} {said}",
                *over,
                f"It was paused: it gives no predictions. Live: version {leaving}.",
                "",
                *ending.resuming(),
            ],
        )

    def _kept(self, said: str, over: list[str] | None = None) -> dict[str, Any]:
        ending = self.ending
        ending.end(
            "kept", ("reaction_ended", ending.who, {"execution": ending.execution, "outcome": "kept", "why": said})
        )
        return ending.answer(
            "kept",
            f"{ending.model} stays as it is",
            [
                f"{ending.introduced} {said}",
                *(over or []),
                f"Nothing was changed. Live: {ending.live()}.",
                "",
                f"To stop its predictions: labcycle models pause {ending.model}",
                f"To make another version live: labcycle models promote {ending.model} VERSION",
                f"To see what happened: labcycle models history {ending.model}",
            ],
        )
