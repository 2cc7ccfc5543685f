"""Rules that are not held against templates, each with its reason.

A rule belongs here only if what it asks for is wrong for every synthesized template, or if one of ours asks for the same and
knows the exceptions. What is right for one resource alone is acknowledged there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .finding import Finding

NOT_HELD = {
    "AwsSolutions-IAM5": "it is against any asterisk; our rules iam-no-wildcard-action and iam-no-wildcard-resource say which are "
    "wrong, also where an action could be scoped and is not",
    "AwsSolutions-L1": "the newest runtime is not the right one while libraries have no wheels for it; deprecated ones are found "
    "by the schema checkers",
    "AwsSolutions-SQS3": "it does not know dead-letter queues of rules, schedules and functions; our rule failure-is-heard does",
    "RESOURCE_STAR": "it does not know boundaries, which are ceilings; our rule iam-no-wildcard-resource does",
    "Serverless-LambdaDLQ": "only asynchronous calls use it; our rule async-function-has-destination asks for it there",
    "Serverless-LambdaLatestVersion": "as AwsSolutions-L1",
    "Serverless-SQSRedrivePolicy": "as AwsSolutions-SQS3",
    "W3005": "CDK orders a function after its role and policy by DependsOn, also where a reference does so already",
    "W3010": "zones are named in the target file on purpose, so that they are never looked up",
    "W9013": "a stack is synthesized for one account, whose id it may hold",
}


def held(findings: Iterable[Finding]) -> tuple[list[Finding], Counter[str]]:
    """The findings that count, and how many there were of each rule that does not."""
    counting: list[Finding] = []
    left_out: Counter[str] = Counter()
    for finding in findings:
        rule = finding.rule.partition("[")[
            0
        ]  # a rule may tell its findings apart, as in `AwsSolutions-IAM5[Resource::*]`
        if rule in NOT_HELD:
            left_out[rule] += 1
        else:
            counting.append(finding)
    return counting, left_out
