"""What a function may do that takes in outcomes."""

from __future__ import annotations

import json

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3

from labcycle.monitoring._outcomes import let_take_in
from tests.synth.assembly import alone, as_list, of_type


def _build(stack: Stack) -> None:
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handle",
        code=lambda_.Code.from_inline("def handle(event, context): ..."),
    )
    let_take_in(
        function,
        model="card-fraud",
        ledger=dynamodb.Table.from_table_name(stack, "Ledger", "ledger"),
        bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "artifacts"),
        key=kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-west-1:123456789012:key/k"),
    )


def test_it_reaches_the_outcomes_of_its_model_alone() -> None:
    (policy,) = of_type(alone(_build), "AWS::IAM::Policy")
    statements = policy["PolicyDocument"]["Statement"]
    allowed: dict[str, set[str]] = {}
    for statement in statements:
        for action in as_list(statement["Action"]):
            places = {json.dumps(resource) for resource in as_list(statement["Resource"])}
            allowed.setdefault(action, set()).update(places)
    s3_actions = {action: places for action, places in allowed.items() if action.startswith("s3:")}
    ends = {
        action: {place.rpartition("artifacts")[2].strip('/"]}') for place in places}
        for action, places in s3_actions.items()
    }
    assert ends == {
        "s3:GetObject": {
            "predictions/card-fraud/*",
            "outcomes/card-fraud/in/*",
            "outcomes/card-fraud/joined/*",
        },
        "s3:PutObject": {"outcomes/card-fraud/joined/*", "outcomes/card-fraud/rejected/*"},
        "s3:DeleteObject": {"outcomes/card-fraud/in/*"},
        "s3:ListBucket": {""},
    }
    conditions = [statement["Condition"] for statement in statements if "Condition" in statement]
    assert {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["OUTCOMES#card-fraud", "OUTCOMES#card-fraud#*"]}
    } in conditions
    assert {"StringLike": {"s3:prefix": ["outcomes/card-fraud/*", "predictions/card-fraud/*"]}} in conditions
    dynamodb_actions = {action for action in allowed if action.startswith("dynamodb:")}
    assert dynamodb_actions == {f"dynamodb:{verb}" for verb in ("BatchGetItem", "GetItem", "PutItem", "Query")}
    assert "kms:GenerateDataKey" in allowed
