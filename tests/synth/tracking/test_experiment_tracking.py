"""ExperimentTracking: what it makes, what it grants, and that it stands alone in a foreign app."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Match
from aws_cdk.assertions import Template as Assertions

from labcycle.tracking import ExperimentTracking
from labcycle_lambdas.ledger.table import EXPIRES
from labcycle_lambdas.tracking.rights import needed
from labcycle_lambdas.tracking.routes import ROUTES
from tests.synth.assembly import Template, alone, as_list, of_type, resources, statements


def _build(stack: Stack) -> None:
    tracking = ExperimentTracking(stack, "Tracking", team="ours")
    for name, grant in (
        ("log", tracking.grant_log),
        ("read", tracking.grant_read),
        ("promote", tracking.grant_promote),
    ):
        role = iam.Role(stack, f"role-{name}", role_name=name, assumed_by=iam.AccountRootPrincipal())
        grant(role)


@pytest.fixture(scope="module")
def template() -> Template:
    return alone(_build)


@pytest.fixture(scope="module")
def assertions(template: Template) -> Assertions:
    return Assertions.from_json(template)


def granted(template: Template, role: str) -> dict[str, set[str]]:
    """Action -> resources (as JSON) that the policies of a role allow."""
    logical = next(k for k, r in template["Resources"].items() if r.get("Properties", {}).get("RoleName") == role)
    found: dict[str, set[str]] = {}
    for policy in resources(template, "AWS::IAM::Policy"):
        if {"Ref": logical} in policy["Properties"]["Roles"]:
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                for action in as_list(statement["Action"]):
                    found.setdefault(action, set()).update(json.dumps(r) for r in as_list(statement["Resource"]))
    return found


def routes(resources_: set[str]) -> set[str]:
    """METHOD/path of execute-api ARNs."""
    return {r.partition("/$default/")[2].strip('"]}') for r in resources_}


def test_who_may_read_may_ask_whatever_reads(template: Template) -> None:
    reading = {
        re.sub(r"^/[0-9.]+/mlflow/", "", path)
        for (method, path), operation in ROUTES.items()
        if method == "POST" and needed(method, operation) == "read"
    }
    asked = routes(granted(template, "read")["execute-api:Invoke"])
    assert {what.removeprefix("POST/api/*/mlflow/") for what in asked if what.startswith("POST/api/")} == reading


def test_an_api_that_keeps_failing_is_told_where_there_is_a_topic(template: Template) -> None:
    assert of_type(template, "AWS::CloudWatch::Alarm") == []
    told = alone(
        lambda stack: ExperimentTracking(stack, "Tracking", team="ours", notice_topic=sns.Topic(stack, "Topic"))
    )
    (alarm,) = of_type(told, "AWS::CloudWatch::Alarm")
    (api,) = (name for name, r in told["Resources"].items() if r["Type"] == "AWS::ApiGatewayV2::Api")
    assert alarm["Dimensions"] == [{"Name": "ApiId", "Value": {"Ref": api}}]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("5xx", "Average", 0.05)
    assert len(alarm["AlarmActions"]) == 1


def test_the_table_is_protected(assertions: Assertions) -> None:
    assertions.has_resource(
        "AWS::DynamoDB::Table",
        {
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "TableName": "labcycle-ours-ledger",
                "BillingMode": "PAY_PER_REQUEST",
                "DeletionProtectionEnabled": True,
                "TimeToLiveSpecification": {"AttributeName": EXPIRES, "Enabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": Match.any_value()},
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "GlobalSecondaryIndexes": Match.absent(),  # an index is never consistent
            },
        },
    )


def test_the_bucket_keeps_versions_and_is_private(assertions: Assertions, template: Template) -> None:
    assertions.has_resource(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "RetainExceptOnCreate",
            "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {
                            "BucketKeyEnabled": True,
                            "ServerSideEncryptionByDefault": {
                                "SSEAlgorithm": "aws:kms",
                                "KMSMasterKeyID": Match.any_value(),
                            },
                        }
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        Match.object_like(
                            {
                                "NoncurrentVersionExpiration": {"NoncurrentDays": 3650},
                                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                                "ExpirationInDays": Match.absent(),
                                "Prefix": Match.absent(),
                            }
                        ),
                        *(
                            Match.object_like({"Prefix": f"asynchronous/{kind}/", "ExpirationInDays": days})
                            for kind, days in (("in", 7), ("out", 7), ("failed", 7), ("asked", 30))
                        ),
                        Match.object_like({"Prefix": "predictions/", "ExpirationInDays": 92}),
                    ]
                },
            },
        },
    )
    denied = [s for _, s in statements(template) if s["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [s["Condition"] for s in denied]


def test_without_a_key_it_makes_one_that_rotates(template: Template) -> None:
    (key,) = resources(template, "AWS::KMS::Key")
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["DeletionPolicy"] == "Retain"
    services = json.dumps(key["Properties"]["KeyPolicy"])
    assert "logs." in services, "the log groups are encrypted with it"


def test_every_route_asks_for_a_signature(template: Template) -> None:
    found = of_type(template, "AWS::ApiGatewayV2::Route")
    assert {(r["RouteKey"], r["AuthorizationType"]) for r in found} == {
        ("ANY /labcycle/{proxy+}", "AWS_IAM"),
        ("ANY /{proxy+}", "AWS_IAM"),
        ("ANY /", "AWS_IAM"),
    }
    assert {r["PayloadFormatVersion"] for r in of_type(template, "AWS::ApiGatewayV2::Integration")} == {"2.0"}


def test_the_stage_is_throttled_and_its_log_has_no_payload(template: Template) -> None:
    (stage,) = of_type(template, "AWS::ApiGatewayV2::Stage")
    assert (
        stage["DefaultRouteSettings"]["ThrottlingRateLimit"],
        stage["DefaultRouteSettings"]["ThrottlingBurstLimit"],
    ) == (100, 200)
    logged = json.dumps(stage["AccessLogSettings"]["Format"]).lower()
    assert "identity" in logged
    for secret in ("querystring", "request.body", "request.header", "authorization", "$context.path "):
        assert secret not in logged
    names = {group.get("LogGroupName") for group in of_type(template, "AWS::Logs::LogGroup")}
    assert "/aws/vendedlogs/labcycle/ours/tracking" in names


def test_two_functions_know_their_ledger(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function")
    assert {f["Handler"] for f in functions} == {
        "labcycle_lambdas.tracking.handler.handle",
        "labcycle_lambdas.lifecycle.handler.handle",
    }
    for function in functions:
        variables = function["Environment"]["Variables"]
        assert variables["TEAM"] == "ours"
        assert {"LEDGER_TABLE", "ARTIFACT_BUCKET"} <= set(variables)
        assert function["Runtime"] == "python3.13"
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["Timeout"] < 30, "an HTTP API answers 504 after 30 seconds, which clients retry for minutes"
        assert "LoggingConfig" in function


def function_actions(template: Template, folder: str) -> dict[str, set[str]]:
    function = next(f for f in of_type(template, "AWS::Lambda::Function") if folder in f["Handler"])
    role = function["Role"]["Fn::GetAtt"][0]
    found: dict[str, set[str]] = {}
    for policy in of_type(template, "AWS::IAM::Policy"):
        if {"Ref": role} in policy["Roles"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                for action in as_list(statement["Action"]):
                    found.setdefault(action, set()).update(json.dumps(r) for r in as_list(statement["Resource"]))
    return found


def test_functions_may_do_what_they_do_and_no_more(template: Template) -> None:
    tracking, lifecycle = function_actions(template, "tracking"), function_actions(template, "lifecycle")
    ledger = {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}
    assert {a for a in tracking if a.startswith("dynamodb:")} == {
        *ledger,
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
    }
    assert {a for a in lifecycle if a.startswith("dynamodb:")} == {*ledger, "dynamodb:BatchGetItem"}
    assert {a for a in tracking if a.startswith("s3:")} == {
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",  # which hides: no version can be removed
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:PutObject",
    }
    assert all("experiments/*" in resource for resource in tracking["s3:PutObject"] | tracking["s3:DeleteObject"])
    reads = {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"}
    assert {a for a in lifecycle if a.startswith("s3:")} == {*reads, "s3:PutObject"}
    assert all("outcomes/*/in/*" in resource for resource in lifecycle["s3:PutObject"])
    for action in (*tracking, *lifecycle):
        assert "*" not in action


def test_scientists_log_but_do_not_promote(template: Template) -> None:
    log, read, promote = (granted(template, role) for role in ("log", "read", "promote"))
    assert "POST/api/*" in routes(log["execute-api:Invoke"]) and "GET/*" in routes(log["execute-api:Invoke"])
    asked = routes(log["execute-api:Invoke"])
    assert {route for route in asked if "labcycle" in route} == {
        f"POST/labcycle/1.0/models/*/{what}" for what in ("outcomes", "records")
    }
    assert not asked & {"*", "POST/*"}
    assert "s3:PutObject" in log and "s3:DeleteObject" not in log
    below = ("experiments/*", "data/*", "outcomes/*/in/*", "outcomes/*/rejected/*")
    assert all(any(f"/{place}" in resource for place in below) for resource in log["s3:PutObject"])
    assert "s3:PutObject" not in read
    asks = ("/presigned-download-url", "/search", "/search-datasets", "/get-latest-versions")
    assert all(route.startswith("GET/") or route.endswith(asks) for route in routes(read["execute-api:Invoke"]))
    assert routes(promote["execute-api:Invoke"]) == {"POST/labcycle/1.0/models/*", "GET/labcycle/*"}
    assert set(promote) == {"execute-api:Invoke"}
    for actions in (log, read, promote):
        assert not {action for action in actions if "*" in action or action.startswith("dynamodb:")}


def test_the_address_is_published(template: Template) -> None:
    (parameter,) = of_type(template, "AWS::SSM::Parameter")
    assert parameter["Name"] == "/labcycle/team/ours/tracking-url"
    assert "ApiEndpoint" in json.dumps(parameter["Value"])


def test_joined_rows_are_kept_as_they_were_for_a_day() -> None:
    template = alone(lambda stack: ExperimentTracking(stack, "T", team="ours", models_with_outcomes=["card-fraud"]))
    (bucket,) = of_type(template, "AWS::S3::Bucket")
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["joined-card-fraud"] == {
        "Id": "joined-card-fraud",
        "Prefix": "outcomes/card-fraud/joined/",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "Status": "Enabled",
    }


def test_a_sandbox_lets_its_table_go_but_never_its_bucket() -> None:
    template = alone(lambda stack: ExperimentTracking(stack, "Tracking", team="ours", retain_data=False))
    (table,) = resources(template, "AWS::DynamoDB::Table")
    (bucket,) = resources(template, "AWS::S3::Bucket")
    assert (table["DeletionPolicy"], bucket["DeletionPolicy"]) == ("Delete", "RetainExceptOnCreate")
    assert not table["Properties"].get("DeletionProtectionEnabled")


def test_settings_reach_the_template() -> None:
    def build(stack: Stack) -> None:
        ExperimentTracking(
            stack, "T", team="ours", artifact_retention=Duration.days(30), requests_per_second=7, burst=9
        )

    template = alone(build)
    (stage,) = of_type(template, "AWS::ApiGatewayV2::Stage")
    settings = stage["DefaultRouteSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (7, 9)
    (bucket,) = of_type(template, "AWS::S3::Bucket")
    rules: list[dict[str, Any]] = bucket["LifecycleConfiguration"]["Rules"]
    assert rules[0]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30


def test_predictions_are_kept_as_long_as_each_model_asks_for_and_no_version_of_them_longer() -> None:
    template = alone(lambda stack: ExperimentTracking(stack, "T", team="ours", prediction_days={"a": 7, "b": 400}))
    (bucket,) = of_type(template, "AWS::S3::Bucket")
    rules = [
        rule for rule in bucket["LifecycleConfiguration"]["Rules"] if rule.get("Prefix", "")[:12] == "predictions/"
    ]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules} == {
        "predictions/a/": 7,
        "predictions/b/": 400,
        "predictions/": 400,  # of models that are no more; the earlier end counts
    }
    assert {rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules} == {1}


def test_a_retention_under_thirty_days_is_refused() -> None:
    with pytest.raises(ValueError, match="artifact_retention: got 29 days; allowed 30 days or more"):
        alone(lambda stack: ExperimentTracking(stack, "T", team="ours", artifact_retention=Duration.days(29)))


def test_it_needs_no_account_or_region_at_synth() -> None:
    template = alone(lambda stack: ExperimentTracking(stack, "T", team="ours"), env=None)
    assert of_type(template, "AWS::DynamoDB::Table")
