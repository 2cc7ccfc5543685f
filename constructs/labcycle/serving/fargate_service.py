"""The scoring API of one model, on ECS Fargate."""

from __future__ import annotations

import math

from aws_cdk import Duration, Size
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as event_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_apigatewayv2_integrations import HttpAlbIntegration
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle._functions import log_group
from labcycle._notices import let_rule_tell
from labcycle._runtime import ModelRuntime
from labcycle._tasks import tasks_of
from labcycle.config import Monitor, TaskOffHours, names
from labcycle.config.fargate import allowed_memory_mb
from labcycle.serving._off_hours import rest_in
from labcycle.serving.container_api import ContainerApi
from labcycle.serving.model_api import PERIOD, as_json, check_figures
from labcycle.serving.server_image import PORT, USER

TASKS = (1, 50)
TIMEOUT_SECONDS = (3, 29)
_LISTENS = 80
_CPU_PERCENT = 60
_STOP = Duration.seconds(60)  # the process gives itself 40: labcycle_lambdas/model_server/process.py
_DRAIN = Duration.seconds(30)  # the longest request takes 29
_CONTAINER = "server"
_RETRY_SECONDS = "60"
_NOT_STARTING = (
    "SERVICE_TASK_CONFIGURATION_FAILURE",
    "SERVICE_TASK_PLACEMENT_FAILURE",
    "SERVICE_TASK_START_IMPAIRED",
)


class FargateModelService(ContainerApi):
    """The version of `model` that is live, as on Lambda, from processes that are always there.

    An HTTP API with IAM authorisation reaches them through a VPC link and a load balancer without a public address. Between the
    two, and to the tasks, HTTP is not encrypted: it stays in the VPC, and security groups let only the one reach the other.

    The service has two tasks or more over the zones, and more of them when their share of the requests or the processor asks for
    it. A version can be the shadow of the live one, in a thread of each task. A deployment that does not become healthy, or that answers with 5xx, is taken back by itself. A task that is taken away
    gets no new request and has the time to finish the others, so that no request needs a protection of its own against scaling in.

    A task of 1,024 units and 2,048 MiB costs about 36 USD a month, the load balancer 17 USD and its traffic, whether anybody calls
    or not; 1.00 USD a million requests for the API (us-east-1, January 2026, estimate).

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    vpc
        Its private subnets, in two zones or more, need a way out: images, logs and the ledger are reached by it.
    ledger
        The table with the deployment record; profiles of the traffic are written to it.
    artifact_bucket
        A versioned bucket; the model's files lie below its prefix `experiments/`.
    encryption_key
        Encrypts ledger, bucket, images and the logs. A key of the same stack is told to serve CloudWatch Logs; the policy of
        any other must allow it.
    notice_topic
        Gets the alarms (0.10 USD a month each). A topic of the same stack, and its key, are told to let them publish; those of
        another stack must. Absent: they only guard deployments.
    dead_letters
        Gets what ECS tells of tasks that cannot start where the topic cannot be reached. Absent: that is lost.
    cpu
        Units of one task, of which 1,024 are a virtual processor.
    memory
        Of one task. A promotion is refused where five times the model's files do not fit beside the runtime.
    minimum_tasks, maximum_tasks
        Between which the service scales, 1 to 50.
    off_hours
        Hours in which there are so many tasks, whatever is asked. Where there are none, the API answers 503 with Retry-After, which
        is no error that its alarm counts; instead the topic hears of ECS when it cannot start tasks. Absent: there are no such hours.
    timeout
        Of one request, 3 to 29 seconds.
    requests_per_second, burst
        The stage answers 429 above these rates. Each of the `maximum_tasks` is meant to take its share of the first.
    app
        Serve `GET /app` too: a page with a form on which people try the model. See docs/app.md.
    runtime
        What versions are loaded with: a flavour of MLflow and a lock of its packages, with hashes. Absent: ONNX Runtime.
    monitor
        What is watched. It decides what the server keeps of its predictions, below `predictions/<model>/` of the bucket; see
        docs/capture.md. Absent: profiles of the traffic alone.
    deletion_protection
        The load balancer cannot be deleted, nor the stack, until somebody takes the protection away.
    retain_logs
        Keep the logs, which last three months, when the stack is deleted. Absent: they go with it.

    Raises
    ------
    ValueError
        If a figure is outside its range, or Fargate does not have the pair of cpu and memory, or the VPC has fewer than two
        private subnets.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        vpc: ec2.IVpc,
        ledger: dynamodb.ITable,
        artifact_bucket: s3.IBucket,
        encryption_key: kms.IKey,
        notice_topic: sns.ITopic | None = None,
        dead_letters: sqs.IQueue | None = None,
        cpu: int = 1024,
        memory: Size | None = None,
        minimum_tasks: int = 2,
        maximum_tasks: int = 6,
        off_hours: TaskOffHours | None = None,
        timeout: Duration | None = None,
        requests_per_second: int = 50,
        burst: int = 100,
        app: bool = False,
        deletion_protection: bool = False,
        retain_logs: bool = False,
        runtime: ModelRuntime | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        timeout = timeout or Duration.seconds(29)
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
            monitor=monitor,
        )
        memory = memory or Size.mebibytes(2048)
        memory_mb = int(memory.to_mebibytes())
        check_figures(
            ("minimum_tasks", minimum_tasks, *TASKS),
            ("maximum_tasks", maximum_tasks, minimum_tasks, TASKS[1]),
            ("timeout (seconds)", timeout.to_seconds(), *TIMEOUT_SECONDS),
            ("requests_per_second", requests_per_second, 1, 10_000),
            ("burst", burst, 1, 5_000),
        )
        if memory_mb not in (allowed := allowed_memory_mb(cpu)):
            raise ValueError(f"memory (MiB): got {memory_mb} with a cpu of {cpu}; allowed {allowed or 'no such cpu'}.")
        if len(vpc.private_subnets) < 2:
            raise ValueError("vpc: got fewer than two private subnets; tasks run in two zones or more.")
        self._vpc = vpc
        self.log_group = log_group(self, "Log", key=encryption_key, retain=retain_logs)
        self.task_role = self._task_role()
        size = {"runtime": "fargate", "cpu": cpu, "memory_mb": memory_mb}
        self._environment["RUNS_ON"] = as_json(size)
        task = self._task(cpu, memory_mb)
        link_group = self._security_group("LinkGroup", vpc, "the VPC link: to the load balancer alone")
        self.load_balancer = self._load_balancer(deletion_protection)
        listener = self.load_balancer.add_listener(
            "Listener", port=_LISTENS, protocol=elb.ApplicationProtocol.HTTP, open=False
        )
        listener.connections.allow_from(link_group, ec2.Port.tcp(_LISTENS), "the VPC link")
        targets = self._targets(listener)
        alarms = self._deployment_alarms(targets)
        self.service = self._service(task, targets, alarms)
        self._scale(targets, minimum_tasks, maximum_tasks, requests_per_second, off_hours)
        integration = HttpAlbIntegration(
            "Tasks",
            listener,
            vpc_link=apigateway.VpcLink(
                self,
                "Link",
                vpc=vpc,
                subnets=ec2.SubnetSelection(subnets=vpc.private_subnets),
                security_groups=[link_group],
            ),
            parameter_mapping=apigateway.ParameterMapping().overwrite_header(
                "x-request-id", apigateway.MappingValue.context_variable("requestId")
            ),
            timeout=timeout,
        )
        self.api = self._http_api(
            integration,
            app=app,
            requests_per_second=requests_per_second,
            burst=burst,
            access_log=self._access_log(encryption_key, retain_logs),
        )
        self._may_be_absent = off_hours is not None and off_hours.tasks == 0
        if self._may_be_absent:
            self._ask_again_later()
            self._tell_of_tasks_that_do_not_start(dead_letters)
        self._announce(
            memory_mb=memory_mb,
            runs_on={**size, "minimum_tasks": minimum_tasks, "maximum_tasks": maximum_tasks},
            runtime=runtime,
            topic=notice_topic,
            key=encryption_key,
            errors_in=f"the log group {self.log_group.log_group_name}",
        )
        self._has_place_for_shadow("process")

    def metric_cpu(self) -> cloudwatch.Metric:
        """Percent of the tasks' processors that are in use, on average."""
        return self.service.metric_cpu_utilization(period=PERIOD)

    def metric_memory(self) -> cloudwatch.Metric:
        """Percent of the tasks' memory that is in use, on average."""
        return self.service.metric_memory_utilization(period=PERIOD)

    def _task_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "TaskRole",
            path=names.role_path(self._team),
            assumed_by=tasks_of(self),
            description=f"Model server of {self._model}, team {self._team}",
        )
        self._let_serve(role)
        return role

    def _task(self, cpu: int, memory_mb: int) -> ecs.FargateTaskDefinition:
        execution = iam.Role(
            self,
            "ExecutionRole",
            path=names.role_path(self._team),
            assumed_by=tasks_of(self),
            description=f"Fetches the image of the model server of {self._model}, team {self._team}, and writes its log",
        )
        self._let_fetch_and_log(execution)
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=cpu,
            memory_limit_mib=memory_mb,
            execution_role=execution.without_policy_updates(),  # it has what CDK would grant again
            task_role=self.task_role.without_policy_updates(),
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
            volumes=[ecs.Volume(name="tmp")],
        )
        linux = ecs.LinuxParameters(self, "Linux", init_process_enabled=True)
        linux.drop_capabilities(ecs.Capability.ALL)
        container = task.add_container(
            _CONTAINER,
            container_name=_CONTAINER,
            image=ecs.ContainerImage.from_registry(self.image.uri),
            environment=self._environment,
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix=_CONTAINER, log_group=self.log_group, mode=ecs.AwsLogDriverMode.NON_BLOCKING
            ),
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            readonly_root_filesystem=True,
            privileged=False,
            user=str(USER),
            stop_timeout=_STOP,
            linux_parameters=linux,
        )
        container.add_mount_points(ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False))
        acknowledge(
            task, AwsSolutions_ECS2="The variables name the table, the bucket and the model; nothing in them is secret."
        )
        task.node.add_dependency(self.image.ready, execution)
        return task

    def _load_balancer(self, deletion_protection: bool) -> elb.ApplicationLoadBalancer:
        balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=self._vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=self._vpc.private_subnets),
            internet_facing=False,
            security_group=self._security_group(
                "LoadBalancerGroup", self._vpc, "the load balancer: from the VPC link to the tasks"
            ),
            drop_invalid_header_fields=True,
            deletion_protection=deletion_protection,
        )
        acknowledge(
            balancer,
            AwsSolutions_ELB2="Only the API's VPC link reaches it, and the API logs each request with its caller.",
        )
        return balancer

    def _targets(self, listener: elb.ApplicationListener) -> elb.ApplicationTargetGroup:
        targets = elb.ApplicationTargetGroup(
            self,
            "Targets",
            vpc=self._vpc,
            port=PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            deregistration_delay=_DRAIN,
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elb.HealthCheck(
                path="/ping",
                # 404 while no version is promoted, which is no fault of the task; 503 when the live one cannot be loaded.
                healthy_http_codes="200,404",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )
        listener.add_target_groups("Targets", target_groups=[targets])
        return targets

    def _deployment_alarms(self, targets: elb.ApplicationTargetGroup) -> list[cloudwatch.Alarm]:
        whose = f"of the model {self._model} (team {self._team})"
        return [
            self._guard(
                "FailingAlarm",
                f"The tasks {whose} answer with 5xx. A deployment that is under way is taken back by itself",
                targets.metrics.http_code_target(elb.HttpCodeTarget.TARGET_5XX_COUNT, period=PERIOD, statistic="Sum"),
                10,
                minutes=(2, 3),
            ),
            self._guard(
                "UnhealthyAlarm",
                f"A task {whose} does not answer GET /ping, or cannot load the version that is live. ECS replaces it",
                targets.metrics.unhealthy_host_count(period=PERIOD, statistic="Maximum"),
                1,
                minutes=(3, 5),
            ),
        ]

    def _service(
        self,
        task: ecs.FargateTaskDefinition,
        targets: elb.ApplicationTargetGroup,
        alarms: list[cloudwatch.Alarm],
    ) -> ecs.FargateService:
        cluster = ecs.Cluster(self, "Cluster", vpc=self._vpc)
        acknowledge(
            cluster,
            AwsSolutions_ECS4="Processor and memory of the service are published without it; its metrics of each task would cost "
            "more than the tasks' alarms tell.",
        )
        group = self._security_group("TaskGroup", self._vpc, "the tasks: from the load balancer, and HTTPS out")
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS, over TLS")
        service = ecs.FargateService(
            self,
            "Tasks",
            cluster=cluster,
            task_definition=task,
            vpc_subnets=ec2.SubnetSelection(subnets=self._vpc.private_subnets),
            security_groups=[group],
            assign_public_ip=False,
            min_healthy_percent=100,
            max_healthy_percent=200,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=[alarm.alarm_name for alarm in alarms],
                behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM,
            ),
            health_check_grace_period=Duration.seconds(60),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        service.attach_to_application_target_group(targets)
        resource = service.node.find_child("Service")
        assert isinstance(resource, ecs.CfnService)
        # The count belongs to scaling; a deployment that named one would set it back.
        resource.add_property_deletion_override("DesiredCount")
        return service

    def _scale(
        self, targets: elb.ApplicationTargetGroup, minimum: int, maximum: int, rate: int, off_hours: TaskOffHours | None
    ) -> None:
        scaling = self.service.auto_scale_task_count(min_capacity=minimum, max_capacity=maximum)
        out, in_again = Duration.seconds(60), Duration.minutes(5)
        scaling.scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=_CPU_PERCENT, scale_out_cooldown=out, scale_in_cooldown=in_again
        )
        scaling.scale_on_request_count(
            "Requests",
            target_group=targets,
            requests_per_target=max(1, math.ceil(60 * rate / maximum)),
            scale_out_cooldown=out,
            scale_in_cooldown=in_again,
        )
        if off_hours:
            rest_in(scaling, off_hours, meanwhile=off_hours.tasks, least=minimum, most=maximum)

    def _ask_again_later(self) -> None:
        """What the load balancer answers without tasks says nothing of when to come again."""
        for child in self.api.node.find_all():
            if isinstance(child, apigateway.CfnIntegration):
                # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-parameter-mapping.html
                later = {"Destination": "overwrite:header.retry-after", "Source": _RETRY_SECONDS}
                child.response_parameters = {"503": {"ResponseParameters": [later]}}

    def _told_errors(self) -> cloudwatch.Metric | cloudwatch.MathExpression:
        """Without those that the load balancer answers for want of tasks, in hours in which none are wanted."""
        if not self._may_be_absent:
            return super()._told_errors()
        absent = self.load_balancer.metrics.http_code_elb(elb.HttpCodeElb.ELB_503_COUNT, statistic="Sum")
        return cloudwatch.MathExpression(
            expression="(errors - FILL(absent, 0)) / requests",
            using_metrics={"errors": self.metric_errors(), "absent": absent, "requests": self.metric_requests()},
            label="share of requests that failed while there were tasks",
        )

    def _tell_of_tasks_that_do_not_start(self, dead_letters: sqs.IQueue | None) -> None:
        """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html"""
        if self._topic is None:
            return
        events.Rule(
            self,
            "NotStarting",
            description=f"Tasks of the model {self._model} (team {self._team}) that are wanted, and do not start",
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Service Action"],
                resources=[self.service.service_arn],
                detail={"eventName": list(_NOT_STARTING)},
            ),
            targets=[
                event_targets.SnsTopic(
                    self._topic,
                    dead_letter_queue=dead_letters,
                    message=events.RuleTargetInput.from_text(
                        f"ECS cannot start tasks of the model {self._model} (team {self._team}), which answers 503 where it has none: "
                        f"{events.EventField.from_path('$.detail.eventName')}. See the events of the service "
                        f"{self.service.service_name} in ECS, and the log group {self.log_group.log_group_name}."
                    ),
                )
            ],
        )
        let_rule_tell(self, self._topic, self._key)
