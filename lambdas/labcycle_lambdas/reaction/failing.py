"""Where a step failed for good: tidy up, tell the owner; and go on from there when somebody redrives the execution.

A redrive runs the last state again, with its input and the variables as they were:
https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.reactions import RETRAIN
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.reaction.cannot_react import CannotReact
from labcycle_lambdas.reaction.ending import Ending
from labcycle_lambdas.reaction.material import job_name_of, run_id_of
from labcycle_lambdas.reaction.policies import Training, introduced, spending_of
from labcycle_lambdas.step_failure import explain

TRAIN, NOTIFY = "Train", "Notify"  # states of the machine


@dataclass(frozen=True)
class Failing:
    ending: Ending
    runs: Runs

    def fail(self, given: Mapping[str, Any], at: str, error: str, cause: str) -> dict[str, Any]:
        """Mark the run as failed, release the lock. Works from wherever the reaction stopped, the state `at`."""
        ending, model, why = self.ending, self.ending.model, explain(error, cause)
        run_id, trained = self._fail_run()
        do, introduction = self._what(given)
        retrains = do == RETRAIN
        detail = {"execution": ending.execution, "run_id": run_id, "error": error, "cause": why, "at": at}
        event = ("retraining_failed" if retrains else "reaction_failed", ending.who, detail)
        if trained:
            self._settle(cause)
        # Nothing was spent where nothing was trained: it may be started again at once.
        until = ending.now + ending.cool_down if trained else None
        ending.reactions.end(model, ending.execution, "failed", do=do, cool_down_until=until, event=event)
        answer = ending.answer(
            "failed",
            f"{'retraining' if retrains else 'the reaction of'} {model} failed",
            [
                f"{introduction} But {'it could not be retrained' if retrains else 'the reaction failed'}: {why}",
                "",
                f"Live: {ending.live()}.",
                *([f"Run: {run_id}"] if run_id else []),
                f"Execution: {ending.execution}, at its state {at}",
                "",
                "Mend the cause. Then let it go on where it stopped (aws stepfunctions redrive-execution, within 14 days), or start it",
                f'anew: labcycle monitor react {model}, or the state machine with the input {{"ignore_cool_down": true}}.',
            ],
        )
        return {**answer, "why": why}

    def resume(self, at: str, begun: Mapping[str, Any], redrives: int) -> dict[str, Any]:
        """Take the lock again, and let the run go on. What the machine knows of its beginning, with a training job of another name where
        one is to be trained anew: a name is taken once.

        Raises
        ------
        Busy
            If another reaction is under way.
        OverBudget
            If another training would take more than is left of the month.
        """
        ending, model, training = self.ending, self.ending.model, self.ending.environment.policies.training
        if at == NOTIFY:  # all was done but the notice
            return dict(begun)
        ending.reactions.resume(model, ending.execution, ending.now, ending.environment.longest, at=at, who=ending.who)
        if not begun or ending.begun.get("do") != RETRAIN or training is None:
            return dict(begun)
        run_id = run_id_of(ending.execution)
        if self.runs.get(run_id).status == "FAILED":
            self.runs.update(run_id, status="RUNNING", who=ending.who)
        if at != TRAIN:
            return dict(begun)
        job = job_name_of(ending.environment.team, model, f"{ending.execution} {redrives}")
        if spending := spending_of(training, ending.policy, job):
            ending.reactions.reserve(model, ending.now, spending)
        return {**begun, "job_name": job}

    def _what(self, given: Mapping[str, Any]) -> tuple[str, str]:
        """What is done, and the sentence that tells why: by its beginning, or, where it did not begin, by its input."""
        ending = self.ending
        if ending.begun:
            return ending.begun.get("do", RETRAIN), ending.introduced
        try:
            number, cause = ending.environment.policies.chosen(given)
        except CannotReact:
            return "", f"The reaction of {ending.model} was started."
        return ending.environment.policies.each[number].do, introduced(cause, ending.model)

    def _fail_run(self) -> tuple[str, bool]:
        run_id = run_id_of(self.ending.execution)
        try:
            if self.runs.get(run_id).status == "RUNNING":
                at = int(self.ending.now.timestamp() * 1000)
                self.runs.update(run_id, status="FAILED", end_time=at, who=self.ending.who)
        except NotFound:
            return "", False
        return run_id, True

    def _settle(self, cause: str) -> None:
        """What a training took that failed, as its job says."""
        training = self.ending.environment.policies.training
        try:
            job = json.loads(cause)
            name, seconds = job["TrainingJobName"], float(job["BillableTimeInSeconds"])
        except (ValueError, KeyError, TypeError):
            return  # another step failed, or the job does not tell
        settle(self.ending, training, name, seconds)


def settle(ending: Ending, training: Training | None, job: str, seconds: float) -> None:
    """Count what a training took in place of what it was expected to take."""
    usd = training.price(seconds) if training and seconds >= 0 else None
    if usd is not None:
        ending.reactions.settle(ending.model, ending.now, job, usd)
