"""Every task state has a time-out."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.state_machines import definition, states
from labcycle.check.template import Template

WHY = "A task without one waits for up to a year for an answer that never comes, and nobody is told."
MEND = "Set TimeoutSeconds a little above the longest that the work can take."
_TIMEOUTS = ("TimeoutSeconds", "TimeoutSecondsPath")  # https://states-language.net/#timeouts


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::StepFunctions::StateMachine"):
        for state in states(definition(estate, template, logical_id)):
            if state.type == "Task" and not any(key in state.body for key in _TIMEOUTS):
                yield Violation(
                    logical_id,
                    f"the task {state.path} has no TimeoutSeconds; a number of seconds is needed",
                    f"Definition.States.{state.path}.TimeoutSeconds",
                )
