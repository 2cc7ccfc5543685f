"""What a function needs that takes in outcomes."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3

from labcycle._grants import allow, allow_key


def let_take_in(
    function: lambda_.IFunction, *, model: str, ledger: dynamodb.ITable, bucket: s3.IBucket, key: kms.IKey
) -> None:
    """Let `function` take in the outcomes of a model: read its prediction log and what arrived, write joined rows, what is rejected and
    the sums, and take away what is done. It may remove no version of an object.

    `key` encrypts table and bucket. The function finds the bucket by its own variable; nothing is told to it here.
    """
    partitions = [f"OUTCOMES#{model}", f"OUTCOMES#{model}#*"]
    leading = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions}}
    actions = [f"dynamodb:{action}" for action in ("BatchGetItem", "GetItem", "PutItem", "Query")]
    allow(function, actions, [ledger.table_arn], leading)
    ours = f"outcomes/{model}"
    arriving, joined = bucket.arn_for_objects(f"{ours}/in/*"), bucket.arn_for_objects(f"{ours}/joined/*")
    allow(function, ["s3:GetObject"], [bucket.arn_for_objects(f"predictions/{model}/*"), arriving, joined])
    allow(function, ["s3:PutObject"], [joined, bucket.arn_for_objects(f"{ours}/rejected/*")])
    allow(function, ["s3:DeleteObject"], [arriving])
    # Without the right to list, S3 answers 403 instead of 404 for what is not there.
    listing = {"StringLike": {"s3:prefix": [f"{ours}/*", f"predictions/{model}/*"]}}
    allow(function, ["s3:ListBucket"], [bucket.bucket_arn], listing)
    allow_key(function, key, "read and write items", "write objects", region=Stack.of(function).region)
