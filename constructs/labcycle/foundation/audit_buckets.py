"""The two buckets for evidence: access logs, and anchors of the custody chains.

Both are retained, but not when the deployment that made them fails: their names would be taken at the next attempt. Both
are encrypted by S3 itself (SSE-S3). S3 delivers access logs to no bucket with a customer key or an Object Lock, and
an anchor must stay readable when the team's key is gone.
"""

from __future__ import annotations

from aws_cdk import Annotations, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle.config import names

LOGS_KEPT = Duration.days(400)  # a year and its review
_UNFINISHED = Duration.days(7)


def log_bucket(scope: Construct, construct_id: str, *, team: str) -> s3.Bucket:
    """Receives the server access logs of the team's buckets, which are kept 400 days.

    Not versioned: log objects are written once under unique names, and a version of each would double their price.
    """
    stack = Stack.of(scope)
    bucket = s3.Bucket(
        scope,
        construct_id,
        bucket_name=names.bucket(team, "logs", stack.account, stack.region),
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        lifecycle_rules=[
            s3.LifecycleRule(id="expire", expiration=LOGS_KEPT, abort_incomplete_multipart_upload_after=_UNFINISHED)
        ],
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
    acknowledge(
        bucket,
        bucket_versioned="S3 alone writes here, each log once under a name of its own: no earlier version comes to be.",
    )
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html#grant-log-delivery-permissions-general
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AccessLogs",
            principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects("*")],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {
                    "aws:SourceArn": f"arn:{stack.partition}:s3:::{names.bucket(team, '*', stack.account, stack.region)}"
                },
            },
        )
    )
    return bucket


def anchor_bucket(
    scope: Construct, construct_id: str, *, team: str, logs: s3.IBucket, locked_for: Duration, compliance: bool
) -> s3.Bucket:
    """Holds the anchors, which nobody can change or delete for `locked_for`.

    With `compliance` that is true for the root of the account too, and the account cannot be closed cleanly before;
    else (governance) a role with `s3:BypassGovernanceRetention` can lift it. No role of a team has that.
    """
    stack = Stack.of(scope)
    bucket = s3.Bucket(
        scope,
        construct_id,
        bucket_name=names.bucket(team, "anchors", stack.account, stack.region),
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        versioned=True,
        object_lock_enabled=True,
        object_lock_default_retention=(
            s3.ObjectLockRetention.compliance(locked_for)
            if compliance
            else s3.ObjectLockRetention.governance(locked_for)
        ),
        # By name, so that CDK adds no second statement to the policy above.
        server_access_logs_bucket=s3.Bucket.from_bucket_name(scope, f"{construct_id}Log", logs.bucket_name),
        server_access_logs_prefix="anchors/",
        lifecycle_rules=[s3.LifecycleRule(id="unfinished", abort_incomplete_multipart_upload_after=_UNFINISHED)],
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
    Annotations.of(bucket).acknowledge_warning(
        "@aws-cdk/aws-s3:accessLogsPolicyNotAdded", "log_bucket has the statement"
    )
    return bucket
