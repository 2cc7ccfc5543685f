"""A better challenger waits for a person: it is asked for once, reminded of once, and what is said is kept in the ledger.

The machine waits with a token. What a reviewer says is written before the token is used, so that it counts whatever becomes of the
token: a wait that begins afterwards ends at once, and the end of all waiting asks the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from labcycle_lambdas.ledger.reactions import APPROVED, ASKED, REJECTED, REVIEWED
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.reaction.conclude import details
from labcycle_lambdas.reaction.ending import Ending
from labcycle_lambdas.reaction.verdict import Verdict

LEAVE = "leave"
# After the time for the review the machine needs some to close it; until then no other retraining begins.
_CLOSING = timedelta(minutes=30)


class AlreadyReviewed(Exception):
    """Nothing is waited for."""


@dataclass(frozen=True)
class Review:
    ending: Ending

    def ask(self, compared: Mapping[str, Any]) -> dict[str, Any]:
        """The notice that asks, and the one that reminds."""
        ending, model, version = self.ending, self.ending.model, compared["version"]
        length = ending.policy.review
        asked = ending.reactions.mark(model, ending.execution, ASKED)
        until = asked["until"] if asked else stamp(ending.now + length)
        if not asked:
            detail = {"execution": ending.execution, "version": version, "until": until}
            ending.reactions.ask(model, ending.execution, ending.now + length + _CLOSING, ending.who, detail)
        lines = [
            f"{ending.introduced} It was retrained.",
            f"The new version {version} is better than version {compared['champion_version']}. It is not live: it waits for your review",
            f"until {until}. Whoever may promote can give it; if nobody does, nothing changes.",
            "",
            *details(compared),
            "",
            f"To make it live: labcycle models review {model} --approve",
            f"To drop it: labcycle models review {model} --reject REASON",
            f"To see what is live: labcycle models deployment {model}",
        ]
        return {
            "notice": ending.notice(f"version {version} of {model} waits for your review", lines),
            "reminder": ending.notice(f"reminder: version {version} of {model} waits for your review", lines),
        }

    def wait(self, token: str) -> dict[str, Any]:
        """Keep the token of a wait. Raises `AlreadyReviewed`, which ends the wait, where there is nothing to wait for."""
        ending = self.ending
        until = ending.now + ending.policy.review + _CLOSING
        ending.reactions.keep_token(ending.model, ending.execution, token, until)
        # Behind the token: a reviewer writes first and looks for the token then, so that one of the two sees the other.
        if ending.reactions.mark(ending.model, ending.execution, REVIEWED) is not None:
            raise AlreadyReviewed(f"the review of {ending.execution} was given")
        return {}

    def reviewed(self, compared: Mapping[str, Any]) -> dict[str, Any]:
        """What follows from what was said, or from nobody's having said anything; from here on nobody can any more."""
        decision = self.ending.reactions.close_review(self.ending.model, self.ending.execution)["decision"]
        if decision == APPROVED:
            return {"next": Verdict.PROMOTE.value}
        return {"next": compared["otherwise"] if decision == REJECTED else LEAVE}

    def leave(self, compared: Mapping[str, Any]) -> dict[str, Any]:
        """Nobody reviewed it in time: all stays as it is."""
        ending, model, version = self.ending, self.ending.model, compared["version"]
        why = f"nobody reviewed version {version} in time"
        detail = {"execution": ending.execution, "outcome": "unreviewed", "version": version, "why": why}
        ending.end("unreviewed", ("reaction_ended", ending.who, detail))
        return ending.answer(
            "unreviewed",
            f"version {version} of {model} was not reviewed in time",
            [
                f"{ending.introduced} It was retrained as version {version}, which is better than the live one.",
                "Nobody reviewed it in time.",
                f"Nothing was changed. Live: {ending.live()}.",
                "",
                *details(compared),
                "",
                f"To make it live all the same: labcycle models promote {model} {version}",
            ],
        )
