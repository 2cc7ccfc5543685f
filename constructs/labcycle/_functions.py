"""One way to make a Lambda function: own role, own encrypted log group, tracing, exact permissions."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Aws, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from labcycle._assets import LAMBDA_RUNTIME, function_code, packages_archive
from labcycle._grants import allow
from labcycle._runtime import ModelRuntime
from labcycle.config import names

NEXT_RUNTIME_DISK_MIB = 1024  # the archive of its packages, and what is unpacked
LOGS_KEPT = logs.RetentionDays.THREE_MONTHS


def log_group(
    scope: Construct, construct_id: str, *, key: kms.IKey, name: str | None = None, retain: bool = False
) -> logs.LogGroup:
    """An encrypted log group, kept three months. See `let_logs_use`."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        encryption_key=key,
        retention=LOGS_KEPT,
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY,
    )


def python_function(
    scope: Construct,
    construct_id: str,
    *,
    folder: str,
    team: str,
    description: str,
    environment: Mapping[str, str],
    memory_mib: int,
    timeout: Duration,
    key: kms.IKey,
    retain_logs: bool = False,
    reserved_concurrency: int | None = None,
    disk: Size | None = None,
    handler: str = "handler",
    runtime: ModelRuntime | None = None,
    snap_start: bool = False,
) -> lambda_.Function:
    """The function whose code is the folder `folder` of labcycle_lambdas, in which the module `handler` has its entry, with what
    `runtime` loads models with. Its role may do nothing but log and trace, and read the packages of the next runtime. `snap_start`:
    of its versions there are snapshots, for which it must have no disk of its own."""
    group = log_group(scope, f"{construct_id}Log", key=key, retain=retain_logs)
    role = iam.Role(
        scope,
        f"{construct_id}Role",
        path=names.role_path(team),
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        description=description,
    )
    allow(role, ["logs:CreateLogStream", "logs:PutLogEvents"], [group.log_group_arn])
    beside: dict[str, str] = {}
    if runtime and runtime.next:
        archive, sha256 = packages_archive(runtime.next.lock)
        asset = s3_assets.Asset(scope, f"{construct_id}Next", path=str(archive))
        allow(role, ["s3:GetObject"], [asset.bucket.arn_for_objects(asset.s3_object_key)])
        place = {"bucket": asset.s3_bucket_name, "key": asset.s3_object_key, "sha256": sha256}
        beside = runtime.beside("/tmp/runtimes", timeout, **place)
        disk = Size.mebibytes(max(NEXT_RUNTIME_DISK_MIB, int(disk.to_mebibytes()) if disk else 0))
    return lambda_.Function(
        scope,
        construct_id,
        description=description,
        runtime=LAMBDA_RUNTIME,
        architecture=lambda_.Architecture.X86_64,
        code=function_code(folder, runtime.lock if runtime else None),
        handler=f"labcycle_lambdas.{folder}.{handler}.handle",
        role=role,
        memory_size=memory_mib,
        timeout=timeout,
        reserved_concurrent_executions=reserved_concurrency,
        ephemeral_storage_size=disk,
        snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
        tracing=lambda_.Tracing.ACTIVE,
        log_group=group,
        environment={**environment, **(runtime.environment(memory_mib) if runtime else {}), **beside, "TEAM": team},
    )


def let_logs_use(key: kms.IKey, scope: Construct) -> None:
    """Let CloudWatch Logs use a key of the same stack; without it no log group can have that key.

    The policy of a key of another stack is that stack's business.
    """
    if Stack.of(key) is not Stack.of(scope):
        return
    groups = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:*"
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
            actions=[
                "kms:Decrypt",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            resources=["*"],  # in a key policy: this key
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )
