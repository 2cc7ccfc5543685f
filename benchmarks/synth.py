"""Synth: the time of one team from a warm cache, and what a resource costs against the same in hand-written CDK.

    python -m benchmarks.synth

The peer is a stack of plain CDK constructs, as one would write it by hand, with the same resources as ExperimentTracking;
both are built in turns in one process, so that they share kernel and noise. Prints CPU seconds of this process and of
the jsii kernel together, and the ratio per resource.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration

from labcycle._assets import stage
from labcycle.tracking import ExperimentTracking

AIM_SECONDS, AIM_RATIO = 4.0, 1.1
ROUNDS, PAIRS, STACKS = 5, 11, 6
ENVIRONMENT = cdk.Environment(account="111122223333", region="eu-central-1")


def by_hand(stack: cdk.Stack, number: int) -> None:
    """What ExperimentTracking makes, written out."""
    key = kms.Key(stack, "Key", enable_key_rotation=True, pending_window=cdk.Duration.days(30))
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{cdk.Aws.REGION}.amazonaws.com")],
            actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            resources=["*"],
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:*:{cdk.Aws.ACCOUNT_ID}:*"}},
        )
    )
    table = dynamodb.Table(
        stack,
        "Table",
        table_name=f"table-{number}",
        partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=key,
        deletion_protection=True,
    )
    bucket = s3.Bucket(
        stack,
        "Bucket",
        bucket_name=f"bucket-{number}-111122223333",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        versioned=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=True,
        lifecycle_rules=[s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(3650))],
    )
    functions = []
    for name in ("tracking", "lifecycle"):
        group = logs.LogGroup(stack, f"{name}Log", encryption_key=key, retention=logs.RetentionDays.THREE_MONTHS)
        role = iam.Role(stack, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        for actions, resources in (
            (["logs:CreateLogStream", "logs:PutLogEvents"], [group.log_group_arn]),
            (["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], [table.table_arn]),
            (["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn]),
            (["s3:GetObject", "s3:GetObjectVersion"], [bucket.arn_for_objects("experiments/*")]),
            (["s3:ListBucket"], [bucket.bucket_arn]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        functions.append(
            lambda_.Function(
                stack,
                name,
                runtime=lambda_.Runtime.PYTHON_3_13,
                code=lambda_.Code.from_asset(str(stage(name))),
                handler=f"labcycle_lambdas.{name}.handler.handle",
                role=role,
                memory_size=512,
                timeout=cdk.Duration.seconds(29),
                tracing=lambda_.Tracing.ACTIVE,
                log_group=group,
                environment={"TABLE": table.table_name, "BUCKET": bucket.bucket_name},
            )
        )
    access = logs.LogGroup(stack, "Access", encryption_key=key, retention=logs.RetentionDays.THREE_MONTHS)
    api = apigateway.HttpApi(stack, "Api", create_default_stage=False, default_authorizer=HttpIamAuthorizer())
    first, second = (HttpLambdaIntegration(f"I{n}", function) for n, function in enumerate(functions))
    for path, integration in (("/labcycle/{proxy+}", second), ("/{proxy+}", first), ("/", first)):
        api.add_routes(path=path, methods=[apigateway.HttpMethod.ANY], integration=integration)
    api_stage = apigateway.HttpStage(
        stack,
        "Stage",
        http_api=api,
        stage_name="$default",
        auto_deploy=True,
        throttle=apigateway.ThrottleSettings(rate_limit=100, burst_limit=200),
    )
    child = api_stage.node.default_child
    assert isinstance(child, apigateway.CfnStage)
    child.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
        destination_arn=access.log_group_arn, format="$context.requestId"
    )
    ssm.StringParameter(stack, "Url", parameter_name=f"/url/{number}", string_value=api.api_endpoint)


def ours(stack: cdk.Stack, number: int) -> None:
    ExperimentTracking(stack, "Tracking", team=f"team{number}")


def cpu_seconds() -> float:
    """Of this process and of its running children (the jsii kernel)."""
    ticks = 0
    for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in child.read_text().split():
            for process in [pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def cost_per_resource(fill: Callable[[cdk.Stack, int], None]) -> tuple[float, int]:
    """CPU milliseconds a resource, and resources a stack."""
    with tempfile.TemporaryDirectory() as out:
        start = cpu_seconds()
        app = cdk.App(outdir=out)
        for number in range(STACKS):
            fill(cdk.Stack(app, f"Stack{number}", env=ENVIRONMENT), number)
        assembly = app.synth()
        spent = cpu_seconds() - start
        resources = sum(len(stack.template["Resources"]) for stack in assembly.stacks)
    return spent * 1000 / resources, resources // STACKS


def one_team() -> float:
    """Wall seconds to synthesize the team `fraud` and its target in a fresh process, with warm caches."""
    with tempfile.TemporaryDirectory() as out:
        environment = {**os.environ, "CDK_OUTDIR": out, "CDK_VALIDATION": "false"}
        environment["CDK_CONTEXT_JSON"] = '{"team": "fraud"}'
        start = time.monotonic()
        subprocess.run([sys.executable, "-m", "infra.app"], check=True, env=environment)
        return time.monotonic() - start


def main() -> None:
    os.environ["CDK_VALIDATION"] = "false"
    one_team()
    seconds = statistics.median(one_team() for _ in range(ROUNDS))
    cost_per_resource(ours), cost_per_resource(by_hand)  # warm the kernel
    pairs = []
    for number in range(PAIRS):  # in turns, each first every other time
        if number % 2:
            mine = cost_per_resource(ours)
            pairs.append((mine, cost_per_resource(by_hand)))
        else:
            peer = cost_per_resource(by_hand)
            pairs.append((cost_per_resource(ours), peer))
    ratio = statistics.median(mine[0] / peer[0] for mine, peer in pairs)
    print(f"{'figure':<34}{'seen':>9}{'aim':>9}{'ratio':>8}")
    print(f"{'one team, warm, s':<34}{seconds:>9.2f}{AIM_SECONDS:>9.2f}{seconds / AIM_SECONDS:>8.2f}")
    print(f"{'a resource against hand-written':<34}{ratio:>9.2f}{AIM_RATIO:>9.2f}{ratio / AIM_RATIO:>8.2f}")
    mine, peer = pairs[-1]
    print(f"  ours {mine[0]:.1f} ms CPU a resource ({mine[1]} a stack), by hand {peer[0]:.1f} ms ({peer[1]} a stack)")


if __name__ == "__main__":
    main()
