"""Every topic's policy refuses requests that do not come over TLS."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template
from labcycle.check.transport import refuses_plain_text

WHY = "SNS takes plain HTTP too, where everybody on the way can read and change messages."
MEND = (
    "Deny sns:Publish to everybody where aws:SecureTransport is false; the policy replaces SNS's own, so let in alarms "
    "and rules as well."
)


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::SNS::Topic"):
        arn = estate.arn(template, logical_id)
        if not refuses_plain_text(estate, arn, ["sns:Publish"], [arn]):
            yield Violation(logical_id, "no policy of the topic denies sns:Publish without TLS")
