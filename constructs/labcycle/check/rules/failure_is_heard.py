"""Every failure that nobody waits for is heard: by an alarm, a notice, or dead letters that have an alarm."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.failures import failures
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "Work that nobody waits for fails in silence, and is missed only when its result is."
MEND = "Give the failure a way to somebody; one alarm on a queue that gathers a team's dead letters costs 0.10 USD a month."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for row in failures(estate):
        if row.template == template and not row.heard:
            yield Violation(row.logical_id, f"{row.failure}, and nobody hears; needed is {row.needed}")
