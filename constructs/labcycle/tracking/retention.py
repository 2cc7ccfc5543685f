"""What lets runs go that nobody needs: a function of its own, since nothing else may remove bytes for good."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from labcycle._functions import python_function
from labcycle._grants import allow, allow_key
from labcycle.config import RetentionRule

ROUTE = "labcycle/1.0/retention"
_LEDGER = ("BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query")


class Retention(Construct):
    """The function that says what a team's rules let go, and lets it go when a member with the right asks for it.

    It alone may delete versions of objects below `experiments/`, and points of metrics.

    Parameters
    ----------
    rules
        The first rule that applies to a run decides.
    environment
        What all functions of the tracking API are told.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        rules: Sequence[RetentionRule],
        table: dynamodb.ITable,
        bucket: s3.IBucket,
        key: kms.IKey,
        environment: Mapping[str, str],
        timeout: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        told = json.dumps([{"status": rule.status, "days": rule.days} for rule in rules], separators=(",", ":"))
        self.function = python_function(
            self,
            "Function",
            folder="retention",
            team=team,
            description=f"What the team {team} lets go of its runs",
            environment={**environment, "RETENTION": told},
            memory_mib=512,
            timeout=timeout,
            key=key,
        )
        allow(self.function, [f"dynamodb:{action}" for action in _LEDGER], [table.table_arn])
        allow_key(self.function, key, "read and write items", region=Stack.of(self).region)
        below = {"StringLike": {"s3:prefix": ["experiments/*"]}}
        allow(self.function, ["s3:ListBucketVersions"], [bucket.bucket_arn], below)
        allow(self.function, ["s3:DeleteObjectVersion"], [bucket.arn_for_objects("experiments/*")])
