"""Rules that are not held against templates, each with its reason: they are about templates that people write by hand.

A rule belongs here only if what it asks for is wrong for every synthesized template. What is right for one resource alone
is acknowledged there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .finding import Finding

NOT_HELD = {
    "W3005": "CDK orders a function after its role and policy by DependsOn, also where a reference does so already",
    "W3010": "zones are named in the target file on purpose, so that they are never looked up",
    "W9013": "a stack is synthesized for one account, whose id it may hold",
}


def held(findings: Iterable[Finding]) -> tuple[list[Finding], Counter[str]]:
    """The findings that count, and how many there were of each rule that does not."""
    counting: list[Finding] = []
    left_out: Counter[str] = Counter()
    for finding in findings:
        if finding.rule in NOT_HELD:
            left_out[finding.rule] += 1
        else:
            counting.append(finding)
    return counting, left_out
