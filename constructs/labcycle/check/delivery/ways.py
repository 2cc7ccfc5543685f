"""How AWS services deliver to each other, and what that needs: one table, from which proof and docs/delivery.md are made.

To write the page anew: `python -c "from labcycle.check.delivery.ways import page; print(page(), end='')" > docs/delivery.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ROLE = "a role"
SOURCE = ("aws:SourceAccount", "aws:SourceArn")
_ENVELOPE = ("kms:Decrypt", "kms:GenerateDataKey")
_DOCS = "https://docs.aws.amazon.com"


@dataclass(frozen=True)
class Way:
    """One row: a kind of producer, a kind of target.

    Parameters
    ----------
    producer, target
        What they are called in messages.
    principal
        Service principal, with `{region}`, in whose name the target is used; or `ROLE`: that of the producer.
    actions
        What must be allowed on the target: by its own policy, or of a role by the role's.
    sends
        Condition keys that the service sends to the target's policy. A condition on another key never holds.
    key_actions
        What must be allowed on the customer key of an encrypted target; empty where the target has no such key.
    key_sends
        Condition keys that the service sends to the key's policy.
    assumed_by
        Service that must be able to assume the role, where it is used in the name of one.
    invokes
        How a function is called, where the target is one.
    url
        Where AWS says so.
    note
        What goes wrong silently.
    """

    producer: str
    target: str
    principal: str
    actions: tuple[str, ...]
    url: str
    sends: tuple[str, ...] = SOURCE
    key_actions: tuple[str, ...] = ()
    key_sends: tuple[str, ...] = SOURCE
    assumed_by: str = ""
    invokes: Literal["", "asynchronously", "synchronously"] = ""
    note: str = ""


_EVENTBRIDGE = f"{_DOCS}/eventbridge/latest/userguide/eb-use-resource-based.html"
_EVENTBRIDGE_ROLES = f"{_DOCS}/eventbridge/latest/userguide/eb-use-identity-based.html"
_NO_SOURCE = "EventBridge sends no source to the key: a condition on one drops every event"


def _rows() -> list[Way]:
    rows = [
        Way(
            "alarm",
            "topic",
            "cloudwatch.amazonaws.com",
            ("sns:Publish",),
            f"{_DOCS}/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
            key_actions=_ENVELOPE,
            note="the key `alias/aws/sns` can never work: nobody can change its policy",
        ),
        Way(
            "alarm",
            "function",
            "lambda.alarms.cloudwatch.amazonaws.com",
            ("lambda:InvokeFunction",),
            f"{_DOCS}/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html",
            invokes="asynchronously",
            note="another principal than for topics",
        ),
        Way(
            "rule",
            "topic",
            "events.amazonaws.com",
            ("sns:Publish",),
            _EVENTBRIDGE,
            sends=(),
            key_actions=_ENVELOPE,
            key_sends=(),
            note=f"{_NO_SOURCE}; nor to the topic",
        ),
        Way(
            "rule",
            "queue",
            "events.amazonaws.com",
            ("sqs:SendMessage",),
            _EVENTBRIDGE,
            key_actions=_ENVELOPE,
            key_sends=(),
            note=_NO_SOURCE,
        ),
        Way(
            "rule",
            "function",
            "events.amazonaws.com",
            ("lambda:InvokeFunction",),
            _EVENTBRIDGE,
            invokes="asynchronously",
        ),
        Way(
            "rule",
            "log group",
            "events.amazonaws.com",
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            _EVENTBRIDGE,
            sends=(),
            note="by a resource policy of CloudWatch Logs, of which a region has ten",
        ),
        Way(
            "budget",
            "topic",
            "budgets.amazonaws.com",
            ("sns:Publish",),
            f"{_DOCS}/cost-management/latest/userguide/budgets-sns-policy.html",
            key_actions=_ENVELOPE,
        ),
        Way(
            "topic",
            "queue",
            "sns.amazonaws.com",
            ("sqs:SendMessage",),
            f"{_DOCS}/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html",
            key_actions=_ENVELOPE,
            note="the queue's key lets SNS in, not the topic's",
        ),
        Way(
            "topic",
            "function",
            "sns.amazonaws.com",
            ("lambda:InvokeFunction",),
            f"{_DOCS}/lambda/latest/dg/with-sns.html",
            invokes="asynchronously",
        ),
        Way(
            "log group",
            "function",
            "logs.amazonaws.com",
            ("lambda:InvokeFunction",),
            f"{_DOCS}/AmazonCloudWatch/latest/logs/SubscriptionFilters.html",
            invokes="asynchronously",
        ),
        Way(
            "API",
            "function",
            "apigateway.amazonaws.com",
            ("lambda:InvokeFunction",),
            f"{_DOCS}/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
            sends=SOURCE,
            invokes="synchronously",
        ),
        Way(
            "bucket's access log",
            "bucket",
            "logging.s3.amazonaws.com",
            ("s3:PutObject",),
            f"{_DOCS}/AmazonS3/latest/userguide/enable-server-access-logging.html",
            note="a bucket that encrypts with a customer key, or locks objects by default, gets none",
        ),
        Way(
            "load balancer",
            "bucket",
            "logdelivery.elasticloadbalancing.amazonaws.com",
            ("s3:PutObject",),
            f"{_DOCS}/elasticloadbalancing/latest/application/enable-access-logging.html",
            sends=(),
            note="a bucket that encrypts with a customer key gets none",
        ),
        Way(
            "flow log",
            "bucket",
            "delivery.logs.amazonaws.com",
            ("s3:GetBucketAcl", "s3:PutObject"),
            f"{_DOCS}/vpc/latest/userguide/flow-logs-s3-permissions.html",
            key_actions=(
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ),
        ),
        Way(
            "log group",
            "key",
            "logs.{region}.amazonaws.com",
            (
                "kms:Decrypt",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ),
            f"{_DOCS}/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
            sends=("kms:EncryptionContext:aws:logs:arn",),
            note="the encryption context is the group's ARN without `:*`; API, Step Functions and flow logs come this way too",
        ),
    ]
    bucket = f"{_DOCS}/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"
    rows += [
        Way("bucket", "topic", "s3.amazonaws.com", ("sns:Publish",), bucket, key_actions=_ENVELOPE),
        Way("bucket", "queue", "s3.amazonaws.com", ("sqs:SendMessage",), bucket, key_actions=_ENVELOPE),
        Way("bucket", "function", "s3.amazonaws.com", ("lambda:InvokeFunction",), bucket, invokes="asynchronously"),
    ]
    return rows + _by_roles()


# By the kind of target: what a role needs to deliver to it.
_DELIVERIES: dict[str, tuple[str, ...]] = {
    "topic": ("sns:Publish",),
    "queue": ("sqs:SendMessage",),
    "function": ("lambda:InvokeFunction",),
    "state machine": ("states:StartExecution",),
    "bus": ("events:PutEvents",),
    "stream": ("kinesis:PutRecord",),
}
_ENCRYPTED = ("topic", "queue")
# By the kind of source: what a role needs to read from it.
_READINGS: dict[str, tuple[str, ...]] = {
    "queue": ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
    "table": ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    "stream": ("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"),
}


# Who must be able to assume the role of a producer.
_ASSUMED_BY = {
    "event source mapping": "lambda.amazonaws.com",
    "function": "lambda.amazonaws.com",
    "pipe": "pipes.amazonaws.com",
    "pipe's source": "pipes.amazonaws.com",
    "rule by its role": "events.amazonaws.com",
    "schedule": "scheduler.amazonaws.com",
    "state machine": "states.amazonaws.com",
}


def _by_roles() -> list[Way]:
    lambda_destinations = f"{_DOCS}/lambda/latest/dg/invocation-async-retain-records.html"
    producers: list[tuple[str, str, tuple[str, ...], Literal["", "asynchronously", "synchronously"]]] = [
        ("rule by its role", _EVENTBRIDGE_ROLES, ("state machine", "bus", "stream"), ""),
        (
            "schedule",
            f"{_DOCS}/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role",
            tuple(_DELIVERIES),
            "asynchronously",
        ),
        (
            "pipe",
            f"{_DOCS}/eventbridge/latest/userguide/eb-pipes-permissions.html",
            tuple(_DELIVERIES),
            "synchronously",
        ),
        ("function", lambda_destinations, ("topic", "queue", "function", "bus"), "asynchronously"),
        (
            "state machine",
            f"{_DOCS}/step-functions/latest/dg/service-integration-iam-templates.html",
            ("topic", "queue", "function", "state machine", "bus"),
            "synchronously",
        ),
    ]
    rows = [
        Way(
            producer,
            target,
            ROLE,
            _DELIVERIES[target],
            url,
            sends=(),
            key_actions=_ENVELOPE if target in _ENCRYPTED else (),
            key_sends=(),
            assumed_by=_ASSUMED_BY[producer],
            invokes=invokes if target == "function" else "",
        )
        for producer, url, targets, invokes in producers
        for target in targets
    ]
    readers = [
        ("event source mapping", f"{_DOCS}/lambda/latest/dg/invocation-eventsourcemapping.html"),
        ("pipe's source", f"{_DOCS}/eventbridge/latest/userguide/eb-pipes-permissions.html"),
    ]
    rows += [
        Way(
            producer,
            source,
            ROLE,
            actions,
            url,
            sends=(),
            key_actions=("kms:Decrypt",) if source == "queue" else (),
            key_sends=(),
            assumed_by=_ASSUMED_BY[producer],
        )
        for producer, url in readers
        for source, actions in _READINGS.items()
    ]
    return rows


WAYS: dict[tuple[str, str], Way] = {(way.producer, way.target): way for way in _rows()}


def page() -> str:
    """docs/delivery.md, whole."""
    lines = [
        "# What a delivery needs",
        "",
        "A producer whose message is refused says so to nobody. The rule `delivery-reaches-its-target` walks each row of this",
        "table through the policies of the templates: the target's own, or the role's, and that of the customer key of an",
        "encrypted target. Targets outside of the templates are not judged. The page is made from the table in",
        "`labcycle.check.delivery.ways`; a test compares.",
        "",
        "| from | to | in whose name | needs on the target | conditions it can meet | needs on its key | conditions there | beware |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in WAYS.values():
        principal = f"{ROLE} that `{way.assumed_by}` can assume" if way.principal == ROLE else f"`{way.principal}`"
        cells = [
            f"[{way.producer}]({way.url})",
            way.target,
            principal,
            _code(way.actions),
            "by the role's policies" if way.principal == ROLE else _code(way.sends) or "none",
            _code(way.key_actions),
            _code(way.key_sends) or ("none" if way.key_actions else "") if way.key_actions else "",
            way.note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _code(texts: tuple[str, ...]) -> str:
    return ", ".join(f"`{text}`" for text in texts)
