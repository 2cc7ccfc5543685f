"""Every alarm, rule, schedule, notification and log is let in where it is sent: by the target's policy, the role and the key."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.delivery import deliveries, refusals
from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "What a service is not let deliver is dropped: the alarm fires, and nobody hears."
MEND = "Let the named principal in by the named policy; docs/delivery.md tells which conditions each service can meet."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for delivery in deliveries(estate):
        if delivery.template == template:
            for refusal in refusals(estate, delivery):
                yield Violation(delivery.logical_id, refusal, delivery.property_path)
