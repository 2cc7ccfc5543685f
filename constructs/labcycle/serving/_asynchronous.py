"""A model that answers later: its requests wait in SageMaker's queue, and requests and answers lie in the artifact bucket.

https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from labcycle._grants import allow, allow_key
from labcycle._notices import tell
from labcycle.config import names
from labcycle.config.endpoints import LaterInstance
from labcycle.serving.model_api import PERIOD, let_read_record

ANSWERS = ("/answers/{id}", apigateway.HttpMethod.GET)
LATER_CONCURRENCY = (1, 8)  # the server's threads
# Driver 580, CUDA 13.0: what ONNX Runtime for GPUs is built for.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
GPU_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
_BACKLOG_AN_INSTANCE = 5
_COOL_DOWN = Duration.minutes(5)
_LONG_SECONDS = 1800  # an instance is there within ten minutes or so


@dataclass(frozen=True)
class Asynchronous:
    """Instances that there are while requests wait, in the private subnets of `vpc`, two or more, which need a way out. Each answers
    `concurrency` requests at once, 1 to 8. `minimum_instances` may be 0: then the first request waits for an instance."""

    vpc: ec2.IVpc
    instance_type: LaterInstance = "ml.m5.large"
    minimum_instances: int = 0
    maximum_instances: int = 4
    concurrency: int = 4


def async_config(
    endpoint: Asynchronous, model: str, bucket: s3.IBucket, key: kms.IKey
) -> sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty:
    """Where answers are written, and how many requests an instance gets at once."""
    return sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty(
        client_config=sagemaker.CfnEndpointConfig.AsyncInferenceClientConfigProperty(
            max_concurrent_invocations_per_instance=endpoint.concurrency
        ),
        output_config=sagemaker.CfnEndpointConfig.AsyncInferenceOutputConfigProperty(
            kms_key_id=key.key_arn,
            s3_output_path=_address(bucket, names.asynchronous_prefix("out", model)),
            s3_failure_path=_address(bucket, names.asynchronous_prefix("failed", model)),
        ),
    )


def let_ask(door: iam.IGrantable, *, model: str, ledger: dynamodb.ITable, bucket: s3.IBucket, key: kms.IKey) -> None:
    """What the door does besides asking: it reads what is live, keeps requests, and reads answers."""
    let_read_record(door, model, ledger)
    kept = [_of(bucket, "asked", model), _of(bucket, "in", model)]
    allow(door, ["s3:PutObject"], kept)
    allow(door, ["s3:GetObject"], [kept[0], _of(bucket, "out", model), _of(bucket, "failed", model)])
    allow_key(door, key, "read and write items", "read objects", "write objects", region=Stack.of(bucket).region)


def let_take(role: iam.IGrantable, *, model: str, bucket: s3.IBucket, key: kms.IKey) -> None:
    """What SageMaker does in the endpoint's name: it reads requests, and writes answers."""
    allow(role, ["s3:GetObject"], [_of(bucket, "in", model)])
    # https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-create-endpoint-prerequisites.html
    written = ["s3:AbortMultipartUpload", "s3:PutObject"]
    allow(role, written, [_of(bucket, "out", model), _of(bucket, "failed", model)])
    allow_key(role, key, "write objects", region=Stack.of(bucket).region)


def scale_by_backlog(
    scope: Construct, instances: scaling.ScalableTarget, endpoint_name: str, endpoint: Asynchronous
) -> None:
    """By the requests that wait for each instance; and from none to one as soon as a request waits, since without instances there is
    no number of requests for each: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html"""
    instances.scale_to_track_metric(
        "Backlog",
        target_value=_BACKLOG_AN_INSTANCE,
        custom_metric=_metric("ApproximateBacklogSizePerInstance", endpoint_name, "Average"),
        scale_out_cooldown=_COOL_DOWN,
        scale_in_cooldown=_COOL_DOWN,
    )
    if endpoint.minimum_instances > 0:
        return
    begin = scaling.StepScalingAction(
        scope,
        "Begin",
        scaling_target=instances,
        adjustment_type=scaling.AdjustmentType.CHANGE_IN_CAPACITY,
        cooldown=_COOL_DOWN,
        metric_aggregation_type=scaling.MetricAggregationType.AVERAGE,
    )
    begin.add_adjustment(adjustment=1, lower_bound=0)
    waits = cloudwatch.Alarm(
        scope,
        "WaitsForFirst",
        alarm_description="A request waits, and there is no instance: it starts one, and tells nobody.",
        metric=_metric("HasBacklogWithoutCapacity", endpoint_name, "Average"),
        threshold=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.MISSING,
    )
    waits.add_alarm_action(actions.ApplicationScalingAction(begin))


def waiting_alarm(
    scope: Construct, endpoint_name: str, *, team: str, model: str, topic: sns.ITopic, key: kms.IKey
) -> cloudwatch.Alarm:
    """Tell when a request waits long: that no instance comes, or too few are allowed."""
    alarm = cloudwatch.Alarm(
        scope,
        "WaitingAlarm",
        alarm_description=(
            f"A request of the model {model} (team {team}) has waited for {_LONG_SECONDS // 60} minutes. See whether the endpoint "
            f"{endpoint_name} gets instances (quotas of the account), and let it have more of them."
        ),
        metric=_metric("ApproximateAgeOfOldestRequest", endpoint_name, "Maximum"),
        threshold=_LONG_SECONDS,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=5,
        datapoints_to_alarm=3,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    tell(alarm, topic, key)
    return alarm


def _metric(name: str, endpoint_name: str, statistic: str) -> cloudwatch.Metric:
    """Of the endpoint as a whole: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html"""
    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=name,
        dimensions_map={"EndpointName": endpoint_name},
        period=PERIOD,
        statistic=statistic,
    )


def _of(bucket: s3.IBucket, kind: names.Waiting, model: str) -> str:
    return bucket.arn_for_objects(f"{names.asynchronous_prefix(kind, model)}*")


def _address(bucket: s3.IBucket, prefix: str) -> str:
    return f"s3://{bucket.bucket_name}/{prefix.rstrip('/')}"
