"""The scoring API of one model, on an endpoint of SageMaker."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import ArnFormat, Duration, Fn, Size, Stack, Token
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle._functions import log_group, python_function
from labcycle._grants import allow
from labcycle._runtime import ModelRuntime
from labcycle.config import InstanceOffHours, Monitor, names
from labcycle.config.endpoints import EndpointInstance, endpoint_memory_mb, is_accelerated
from labcycle.serving._asynchronous import (
    ANSWERS,
    GPU_AMI,
    LATER_CONCURRENCY,
    Asynchronous,
    async_config,
    let_ask,
    let_take,
    scale_by_backlog,
    waiting_alarm,
)
from labcycle.serving._off_hours import rest_in
from labcycle.serving.container_api import ContainerApi
from labcycle.serving.model_api import PERIOD, as_json, check_figures

INSTANCES = (1, 50)
CONCURRENCY = (1, 200)
SERVERLESS_MIB = (1024, 6144)
TIMEOUT_SECONDS = (3, 29)
LATER_TIMEOUT_SECONDS = (3, 3600)  # https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html
_VARIANT = "all"  # the same always: SageMaker keeps counts, and takes a deployment back, by the variant's name
_BODY_BYTES = 6_000_000  # what a function takes
_SERVERLESS_BODY_BYTES = 4_000_000  # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
_DOOR_MIB = 512
_BAKING = Duration.minutes(5)
_LATE_SHARE = 0.8  # of the timeout


@dataclass(frozen=True)
class RealTime:
    """Instances that are always there, in the private subnets of `vpc`, two or more, which need a way out: logs, images and the
    ledger are reached by it. In `off_hours` there are so many, whatever is asked."""

    vpc: ec2.IVpc
    instance_type: EndpointInstance = "ml.m5.large"
    minimum_instances: int = 2
    maximum_instances: int = 4
    off_hours: InstanceOffHours | None = None


@dataclass(frozen=True)
class Serverless:
    """Servers that SageMaker starts when somebody asks, in no network of the account; `memory` is 1 to 6 GiB, in whole ones."""

    memory: Size = field(default_factory=lambda: Size.mebibytes(3072))
    maximum_concurrency: int = 10


Endpoint = RealTime | Serverless | Asynchronous
_OnInstances = RealTime | Asynchronous


class SageMakerModelService(ContainerApi):
    """The version of `model` that is live, as on Lambda, from an endpoint of SageMaker that runs our own container.

    An HTTP API with IAM authorisation calls a small function, the door, which asks the endpoint and answers as its model server
    did. The container reads the deployment record every few seconds, so that promotion, trial and roll back need no deployment of
    the endpoint; therefore it has a network, and `EnableNetworkIsolation` cannot be set.

    A change of image, instances or settings makes a new configuration, to which SageMaker moves all requests at once when its
    containers are healthy; it moves back when the alarms on 5xx or latency go off within five minutes. The count of instances is
    left to scaling.

    `RealTime`: an ml.m5.large costs about 84 USD a month, whether anybody calls or not. `Serverless`: nothing while idle; a request
    of 100 ms at 3,072 MiB about 6 USD a million. `Asynchronous`: an instance by the hour while there is something to do; the door
    queues a request, answers 202, and has the answer at `GET /answers/{id}` for a week. Beside it 1.00 USD a million requests for the API, and about 1 USD for the door
    (us-east-1, January 2026, estimate).

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    endpoint
        What answers.
    ledger
        The table with the deployment record; profiles of the traffic are written to it.
    artifact_bucket
        A versioned bucket; the model's files lie below its prefix `experiments/`.
    encryption_key
        Encrypts ledger, bucket, images, disks and the logs. A key of the same stack is told to serve CloudWatch Logs; the policy
        of any other must allow it.
    notice_topic
        Gets the alarms (0.10 USD a month each). A topic of the same stack, and its key, are told to let them publish; those of
        another stack must. Absent: they only guard deployments.
    timeout
        Of one request, 3 to 29 seconds, which is the default; 3 to 3,600 where it is `Asynchronous`.
    requests_per_second, burst
        The stage answers 429 above these rates. Each instance is meant to take its share of the first.
    app
        Serve `GET /app` too: a page with a form on which people try the model. See docs/app.md. Not where it is `Asynchronous`.
    runtime
        What versions are loaded with: a flavour of MLflow and a lock of its packages, with hashes. Absent: ONNX Runtime.
    monitor
        What is watched. It decides what the server keeps of its predictions, below `predictions/<model>/` of the bucket; see
        docs/capture.md. Absent: profiles of the traffic alone.
    retain_logs
        Keep the logs, which last three months, when the stack is deleted. Absent: they go with it.

    Raises
    ------
    ValueError
        If a figure is outside its range, the VPC has fewer than two private subnets, or `app` is asked of what answers later.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        endpoint: Endpoint,
        ledger: dynamodb.ITable,
        artifact_bucket: s3.IBucket,
        encryption_key: kms.IKey,
        notice_topic: sns.ITopic | None = None,
        timeout: Duration | None = None,
        requests_per_second: int = 50,
        burst: int = 100,
        app: bool = False,
        retain_logs: bool = False,
        runtime: ModelRuntime | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        timeout = timeout or Duration.seconds(29)
        _check(endpoint, timeout, requests_per_second, burst, app=app, runtime=runtime)
        super().__init__(
            scope,
            construct_id,
            team=team,
            model=model,
            ledger=ledger,
            artifact_bucket=artifact_bucket,
            encryption_key=encryption_key,
            notice_topic=notice_topic,
            runtime=runtime,
            timeout=timeout,
            retain_logs=retain_logs,
            accelerated=_on_gpu(endpoint),
            monitor=monitor,
        )
        self._timeout = timeout
        self.endpoint_name = names.endpoint(team, model)
        self.log_group = log_group(
            self, "Log", key=encryption_key, name=names.endpoint_log_group(team, model), retain=retain_logs
        )
        size = _size(endpoint)
        self._environment["RUNS_ON"] = as_json(size)
        self.execution_role = self._execution_role(endpoint)
        self.endpoint = self._endpoint(self._container(endpoint), endpoint)
        if isinstance(endpoint, RealTime):
            self._scale(endpoint, requests_per_second)
        if isinstance(endpoint, Asynchronous):
            scale_by_backlog(self, self._instances(endpoint), self.endpoint_name, endpoint)
            if notice_topic is not None:
                waiting_alarm(self, self.endpoint_name, team=team, model=model, topic=notice_topic, key=encryption_key)
            self.door = self._queueing_door(retain_logs)
        else:
            self.door = self._door_function(_body_bytes(endpoint), retain_logs)
        self.api = self._http_api(
            self.door,
            app=app,
            requests_per_second=requests_per_second,
            burst=burst,
            access_log=self._access_log(encryption_key, retain_logs),
            more=[ANSWERS] if isinstance(endpoint, Asynchronous) else [],
        )
        self._announce(
            memory_mb=_memory_mb(endpoint),
            runs_on={**size, **_count(endpoint)},
            runtime=runtime,
            topic=notice_topic,
            key=encryption_key,
            errors_in=f"the log groups of the function {self.door.function_name} and {self.log_group.log_group_name}",
        )
        if isinstance(endpoint, _OnInstances):
            self._has_place_for_shadow("process")

    def metric_integrated_requests(self) -> cloudwatch.Metric:
        """Requests a minute that reached the endpoint: what the door refuses, or answers of those that wait, the server does not see."""
        return self._of_endpoint("Invocations", "Sum")

    def metric_model_latency(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Microseconds that the container takes, as SageMaker sees it."""
        return self._of_endpoint("ModelLatency", statistic)

    def metric_overhead_latency(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Microseconds that SageMaker takes beside the container; of a serverless endpoint with the start of a server."""
        return self._of_endpoint("OverheadLatency", statistic)

    def metric_model_errors(self) -> cloudwatch.Metric:
        """Answers of the container with 5xx a minute."""
        return self._of_endpoint("Invocation5XXErrors", "Sum")

    def _of_endpoint(self, name: str, statistic: str) -> cloudwatch.Metric:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map={"EndpointName": self.endpoint_name, "VariantName": _VARIANT},
            period=PERIOD,
            statistic=statistic,
        )

    def _execution_role(self, endpoint: Endpoint) -> iam.Role:
        """What SageMaker needs, and what the server does:
        https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
        """
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "ExecutionRole",
            path=names.role_path(self._team),
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
            description=f"Endpoint with the model server of {self._model}, team {self._team}",
        )
        self._let_serve(role, shadow=isinstance(endpoint, _OnInstances))
        self._let_fetch_and_log(role)
        # CloudWatch Logs names a group with an empty stream: https://github.com/aws/sagemaker-python-sdk/issues/2253
        group = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=names.endpoint_log_group(self._team, self._model),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(role, ["logs:CreateLogGroup", "logs:DescribeLogStreams"], [group, f"{group}:log-stream:"])
        # The action cannot be scoped to a resource; the namespace is what can be.
        namespace = {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}}
        allow(role, ["cloudwatch:PutMetricData"], ["*"], namespace)
        if isinstance(endpoint, Asynchronous):
            let_take(role, model=self._model, bucket=self._bucket, key=self._key)
        if isinstance(endpoint, _OnInstances):
            self._let_join_network(role, endpoint.vpc)
        if _takes_disk_key(endpoint):
            allow(role, ["kms:CreateGrant"], [self._key.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}})
        return role

    def _let_join_network(self, role: iam.Role, vpc: ec2.IVpc) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html"""
        stack = Stack.of(self)

        def of_network(kind: str, name: str) -> str:
            return stack.format_arn(service="ec2", resource=kind, resource_name=name)

        self._group = group = self._security_group("Group", vpc, "the endpoint: HTTPS out")
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS, over TLS")
        interfaces = of_network("network-interface", "*")
        subnets = [of_network("subnet", subnet.subnet_id) for subnet in vpc.private_subnets]
        made_of = [interfaces, of_network("security-group", group.security_group_id), *subnets]
        allow(role, ["ec2:CreateNetworkInterface"], made_of)
        of_interfaces = (
            "CreateNetworkInterfacePermission",
            "DeleteNetworkInterface",
            "DeleteNetworkInterfacePermission",
        )
        allow(role, [f"ec2:{action}" for action in of_interfaces], [interfaces])
        looked_at = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
        allow(role, [f"ec2:Describe{what}" for what in looked_at], ["*"])  # they take no resource

    def _container(self, endpoint: Endpoint) -> sagemaker.CfnModel:
        # Nothing says that a serverless container runs between requests; that of an instance does.
        environment = {**self._environment, **({"SUSPENDED": "true"} if isinstance(endpoint, Serverless) else {})}
        network = None
        if isinstance(endpoint, _OnInstances):
            network = sagemaker.CfnModel.VpcConfigProperty(
                security_group_ids=[self._group.security_group_id],
                subnets=[subnet.subnet_id for subnet in endpoint.vpc.private_subnets],
            )
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.execution_role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=self.image.uri, environment=environment
            ),
            vpc_config=network,
        )
        model.node.add_dependency(self.image.ready, self.execution_role)
        return model

    def _endpoint(self, model: sagemaker.CfnModel, endpoint: Endpoint) -> sagemaker.CfnEndpoint:
        """CloudFormation replaces the configuration at each change, so that the endpoint gets one of another name."""
        runs_on: dict[str, Any]
        if isinstance(endpoint, _OnInstances):
            runs_on = {
                "instance_type": endpoint.instance_type,
                # SageMaker begins with one; scaling may end it.
                "initial_instance_count": max(1, endpoint.minimum_instances),
                "inference_ami_version": GPU_AMI if _on_gpu(endpoint) else None,
            }
        else:
            runs_on = {
                "serverless_config": sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                    memory_size_in_mb=int(endpoint.memory.to_mebibytes()),
                    max_concurrency=endpoint.maximum_concurrency,
                )
            }
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=_VARIANT,
                    model_name=model.attr_model_name,
                    initial_variant_weight=1,
                    **runs_on,
                )
            ],
            kms_key_id=self._key.key_arn if _takes_disk_key(endpoint) else None,
            async_inference_config=async_config(endpoint, self._model, self._bucket, self._key)
            if isinstance(endpoint, Asynchronous)
            else None,
        )
        # A deployment begins with an instance, however many scaling has left: without one nothing of it would be tried.
        begins_anew = isinstance(endpoint, Asynchronous) and endpoint.minimum_instances == 0
        made = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=self.endpoint_name,
            endpoint_config_name=config.attr_endpoint_config_name,
            retain_all_variant_properties=not begins_anew,
            deployment_config=self._guarded(),
        )
        if begins_anew:
            acknowledge(
                made,
                sagemaker_endpoint_keeps_capacity="A count of none would be kept, and a deployment accepted untried; requests wait "
                "meanwhile.",
            )
        made.node.add_dependency(self.log_group)
        return made

    def _guarded(self) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        alarms = [
            sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in self._deployment_alarms()
        ]
        return sagemaker.CfnEndpoint.DeploymentConfigProperty(
            auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(alarms=alarms),
            blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
                maximum_execution_timeout_in_seconds=3600,
                termination_wait_in_seconds=0,
                traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
                    type="ALL_AT_ONCE", wait_interval_in_seconds=int(_BAKING.to_seconds())
                ),
            ),
        )

    def _deployment_alarms(self) -> list[cloudwatch.Alarm]:
        whose = f"of the model {self._model} (team {self._team})"
        return [
            self._guard(
                "FailingAlarm",
                f"The endpoint {whose} answers with 5xx. A deployment that is under way is taken back by itself",
                self.metric_model_errors(),
                10,
                minutes=(2, 3),
            ),
            self._guard(
                "SlowAlarm",
                f"One in a hundred answers {whose} takes nearly as long as a request may. Let it have more memory, or more "
                "instances",
                self.metric_model_latency(),
                int(_LATE_SHARE * 1e6 * self._timeout.to_seconds()),
                minutes=(3, 5),
            ),
        ]

    def _instances(self, endpoint: _OnInstances) -> scaling.ScalableTarget:
        """Their count, which scaling sets."""
        stack = Stack.of(self)
        # AWS's own role, which it makes itself:
        # https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
        role = stack.format_arn(
            service="iam",
            region="",
            resource="role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com",
            resource_name="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        )
        return scaling.ScalableTarget(
            self,
            "Scaling",
            service_namespace=scaling.ServiceNamespace.SAGEMAKER,
            resource_id=Fn.join("", ["endpoint/", self.endpoint.attr_endpoint_name, f"/variant/{_VARIANT}"]),
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            min_capacity=endpoint.minimum_instances,
            max_capacity=endpoint.maximum_instances,
            role=iam.Role.from_role_arn(self, "ScalingRole", role),
        )

    def _scale(self, endpoint: RealTime, rate: int) -> None:
        instances = self._instances(endpoint)
        instances.scale_to_track_metric(
            "Requests",
            target_value=max(1, math.ceil(60 * rate / endpoint.maximum_instances)),  # a minute
            predefined_metric=scaling.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE,
            scale_out_cooldown=Duration.seconds(60),
            scale_in_cooldown=Duration.minutes(5),
        )
        if endpoint.off_hours:
            least, most = endpoint.minimum_instances, endpoint.maximum_instances
            rest_in(instances, endpoint.off_hours, meanwhile=endpoint.off_hours.instances, least=least, most=most)

    def _door_function(self, body_bytes: int, retain_logs: bool) -> lambda_.Function:
        seconds = int(self._timeout.to_seconds())
        door = python_function(
            self,
            "Door",
            folder="endpoint",
            team=self._team,
            description=f"Door of the endpoint of {self._model}, team {self._team}",
            environment={
                "MODEL": self._model,
                "ENDPOINT": self.endpoint_name,
                "BODY_BYTES": str(body_bytes),
                "PATIENCE_SECONDS": str(seconds - 1),
            },
            memory_mib=_DOOR_MIB,
            timeout=Duration.seconds(seconds),
            key=self._key,
            retain_logs=retain_logs,
        )
        allow(door, ["sagemaker:InvokeEndpoint"], [self._endpoint_arn()])
        return door

    def _queueing_door(self, retain_logs: bool) -> lambda_.Function:
        """It answers at once whatever the endpoint does."""
        door = python_function(
            self,
            "Door",
            folder="endpoint",
            handler="asynchronous_handler",
            team=self._team,
            description=f"Door of the endpoint of {self._model}, team {self._team}, which answers later",
            environment={
                "MODEL": self._model,
                "ENDPOINT": self.endpoint_name,
                "LEDGER_TABLE": self._ledger.table_name,
                "ARTIFACT_BUCKET": self._bucket.bucket_name,
                "TIMEOUT_SECONDS": str(int(self._timeout.to_seconds())),
            },
            memory_mib=_DOOR_MIB,
            timeout=Duration.seconds(TIMEOUT_SECONDS[1]),
            key=self._key,
            retain_logs=retain_logs,
        )
        allow(door, ["sagemaker:InvokeEndpointAsync"], [self._endpoint_arn()])
        let_ask(door, model=self._model, ledger=self._ledger, bucket=self._bucket, key=self._key)
        return door

    def _endpoint_arn(self) -> str:
        return Stack.of(self).format_arn(service="sagemaker", resource="endpoint", resource_name=self.endpoint_name)


def _size(endpoint: Endpoint) -> dict[str, object]:
    """What makes one server of the endpoint, with the keys of the team file."""
    if isinstance(endpoint, Serverless):
        return {"runtime": "sagemaker", "mode": "serverless", "memory_mb": _memory_mb(endpoint)}
    mode = "asynchronous" if isinstance(endpoint, Asynchronous) else "real_time"
    return {"runtime": "sagemaker", "mode": mode, "instance_type": endpoint.instance_type}


def _count(endpoint: Endpoint) -> dict[str, object]:
    """How many of them there are."""
    if isinstance(endpoint, Serverless):
        return {"maximum_concurrency": endpoint.maximum_concurrency}
    return {"minimum_instances": endpoint.minimum_instances, "maximum_instances": endpoint.maximum_instances}


def _on_gpu(endpoint: Endpoint) -> bool:
    return isinstance(endpoint, Asynchronous) and is_accelerated(endpoint.instance_type)


def _takes_disk_key(endpoint: Endpoint) -> bool:
    """Instances with disks of their own, as all with a GPU are, encrypt them by themselves, and a key of ours is refused:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html"""
    return isinstance(endpoint, _OnInstances) and not _on_gpu(endpoint)


def _memory_mb(endpoint: Endpoint) -> int:
    if isinstance(endpoint, _OnInstances):
        return endpoint_memory_mb(endpoint.instance_type)
    return int(endpoint.memory.to_mebibytes())


def _body_bytes(endpoint: RealTime | Serverless) -> int:
    return _SERVERLESS_BODY_BYTES if isinstance(endpoint, Serverless) else _BODY_BYTES


def _check(
    endpoint: Endpoint,
    timeout: Duration,
    requests_per_second: int,
    burst: int,
    *,
    app: bool,
    runtime: ModelRuntime | None,
) -> None:
    later = isinstance(endpoint, Asynchronous)
    figures: list[tuple[str, float, float, float]] = [
        ("timeout (seconds)", timeout.to_seconds(), *(LATER_TIMEOUT_SECONDS if later else TIMEOUT_SECONDS)),
        ("requests_per_second", requests_per_second, 1, 10_000),
        ("burst", burst, 1, 5_000),
    ]
    if isinstance(endpoint, _OnInstances):
        least, most = endpoint.minimum_instances, endpoint.maximum_instances
        figures += [
            ("minimum_instances", least, 0 if later else INSTANCES[0], INSTANCES[1]),
            ("maximum_instances", most, max(1, least), INSTANCES[1]),
        ]
    if isinstance(endpoint, Asynchronous):
        figures.append(("concurrency", endpoint.concurrency, *LATER_CONCURRENCY))
    if isinstance(endpoint, Serverless):
        memory_mib = endpoint.memory.to_mebibytes()
        figures += [
            ("memory (MiB)", memory_mib, *SERVERLESS_MIB),
            ("maximum_concurrency", endpoint.maximum_concurrency, *CONCURRENCY),
        ]
    check_figures(*figures)
    if isinstance(endpoint, _OnInstances) and len(endpoint.vpc.private_subnets) < 2:
        raise ValueError("vpc: got fewer than two private subnets; instances run in two zones or more.")
    if isinstance(endpoint, Serverless) and not Token.is_unresolved(memory_mib) and memory_mib % 1024:
        raise ValueError(f"memory (MiB): got {memory_mib:g}; allowed 1024 to 6144 in steps of 1024.")
    if runtime and _on_gpu(endpoint):
        raise ValueError(
            "runtime: got one for instances with a GPU; allowed without, since only models in ONNX compute on it."
        )
    if later and app:
        raise ValueError("app: got a page for a model that answers later; allowed where a request is answered at once.")
