"""Every bucket's policy refuses requests that do not come over TLS."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template
from labcycle.check.transport import refuses_plain_text

WHY = "S3 answers plain HTTP too, where everybody on the way can read and change what passes."
MEND = (
    "Deny s3:* on the bucket and its objects to everybody where aws:SecureTransport is false (CDK: enforce_ssl=True)."
)


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::S3::Bucket"):
        arn = estate.arn(template, logical_id)
        if not refuses_plain_text(estate, arn, ["s3:*"], [arn, f"{arn}/*"]):
            yield Violation(logical_id, "no policy of the bucket denies s3:* on it and its objects without TLS")
