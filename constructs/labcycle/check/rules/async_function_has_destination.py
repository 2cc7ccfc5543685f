"""Every function that is called asynchronously has a dead letter queue or a destination for failures."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.delivery import deliveries, named_function
from labcycle.check.estate import Estate
from labcycle.check.failures import handles_failed_calls
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "Lambda tries an asynchronous call three times, and then throws the event away."
MEND = "Set DeadLetterConfig, or an EventInvokeConfig with DestinationConfig.OnFailure, to a queue that has an alarm."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    callers: dict[str, str] = {}
    for delivery in deliveries(estate):
        if delivery.way.invokes != "asynchronously":
            continue
        found = named_function(estate, delivery.template, delivery.target)
        if found is not None and found[0] == template:
            callers.setdefault(found[1], f"{delivery.way.producer} {delivery.logical_id}")
    for logical_id, caller in callers.items():
        if not handles_failed_calls(estate, template, logical_id):
            yield Violation(
                logical_id,
                f"the {caller} calls it asynchronously, and what fails goes nowhere; allowed are a DeadLetterConfig or an "
                "OnFailure destination",
                "Properties.DeadLetterConfig",
            )
