"""Every task's failure is caught on a way that publishes a notice, or the machine's failures have an alarm."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.failures import machine_is_watched
from labcycle.check.rules import Violation
from labcycle.check.state_machines import definition, states
from labcycle.check.template import Template

WHY = "An execution that fails unseen leaves work half done, and somebody finds out when it is needed."
MEND = "Add a Catch of States.ALL that leads to a state that publishes, or an alarm or rule on the machine's failed executions."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::StepFunctions::StateMachine"):
        if machine_is_watched(estate, template, logical_id, "FAILED"):
            continue
        for state in states(definition(estate, template, logical_id)):
            if state.type == "Task" and not state.publishes() and not state.failure_is_noticed():
                yield Violation(
                    logical_id,
                    f"when the task {state.path} fails, no way leads to a state that publishes a notice",
                    f"Definition.States.{state.path}.Catch",
                )
