"""Every state machine has a time-out as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.state_machines import definition
from labcycle.check.template import Template

WHY = "Loops and waits can keep an execution alive for a year though each of its tasks ends in time."
MEND = "Set TimeoutSeconds at the top of the definition, above the sum of what its states may take."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::StepFunctions::StateMachine"):
        if _is_express(template, logical_id):  # which AWS ends after five minutes
            continue
        machine = definition(estate, template, logical_id)
        if machine and "TimeoutSeconds" not in machine:
            yield Violation(
                logical_id,
                "got no TimeoutSeconds at the top of the definition; a number of seconds is needed",
                "Definition.TimeoutSeconds",
            )


def _is_express(template: Template, logical_id: str) -> bool:
    return template.properties(logical_id).get("StateMachineType") == "EXPRESS"
