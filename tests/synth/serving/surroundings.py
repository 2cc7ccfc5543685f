"""What a model's API in containers is given, in an app that knows nothing else of labcycle."""

from __future__ import annotations

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]


def network(stack: Stack, subnets: int = 2) -> ec2.IVpc:
    """With so many private subnets."""
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a", "eu-west-1b"][:subnets],
        private_subnet_ids=SUBNETS[:subnets],
    )


def around(stack: Stack) -> dict[str, Any]:
    """Of the model card-fraud of the team fraud."""
    key = kms.Key(stack, "Key")
    return {
        "team": "fraud",
        "model": "card-fraud",
        "ledger": dynamodb.Table.from_table_arn(
            stack, "Ledger", "arn:aws:dynamodb:eu-west-1:123456789012:table/labcycle-fraud-ledger"
        ),
        "artifact_bucket": s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
        "encryption_key": key,
        "notice_topic": sns.Topic(stack, "Topic", master_key=key),
    }
