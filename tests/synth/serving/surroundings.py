"""What a model's API in containers is given, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

from labcycle.config import names

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


def published_and_told(template: Template, kind: str) -> tuple[Any, Any]:
    """What the parameter says that the model's server runs on, and what the server itself is told: a resource of `kind`."""
    (published,) = [
        one["Properties"]["Value"]
        for one in template.find_resources("AWS::SSM::Parameter").values()
        if one["Properties"]["Name"] == names.model_server_runs_on_parameter("fraud", "card-fraud")
    ]
    told = set(_values_of("RUNS_ON", template.find_resources(kind)))
    assert len(told) == 1
    return json.loads(published), json.loads(told.pop())


def _values_of(variable: str, part: Any) -> Iterator[str]:
    """As a function, a container of ECS and one of SageMaker have their variables."""
    if isinstance(part, list):
        for one in part:
            yield from _values_of(variable, one)
    elif isinstance(part, dict):
        if variable in part:
            yield part[variable]
        elif part.get("Name") == variable:
            yield part["Value"]
        for one in part.values():
            yield from _values_of(variable, one)
