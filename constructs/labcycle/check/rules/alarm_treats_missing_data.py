"""Every alarm states how it treats missing data."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "By default an alarm keeps its state when data stop, so that a dead service looks as healthy as it last was."
MEND = "Set TreatMissingData to breaching, notBreaching, ignore or missing, after asking what silence means here."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::CloudWatch::Alarm"):
        if "TreatMissingData" not in template.properties(logical_id):
            yield Violation(
                logical_id,
                "got no TreatMissingData; allowed breaching, notBreaching, ignore, missing",
                "Properties.TreatMissingData",
            )
