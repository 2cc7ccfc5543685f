"""The table of resource types: what each costs while nobody uses it. A type that is not here is told by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from labcycle.check.values import listed, mapping, mappings
from labcycle.config.price_list import HOURS_A_MONTH

from .assumptions import POLLS_A_MONTH, SCALING_ALARMS
from .calls import MONTH_SECONDS, memory_gb
from .prices import NoPrice
from .resource import Resource
from .scheduled import runs


@dataclass(frozen=True)
class Cost:
    """What is paid in a month though nobody asks.

    Parameters
    ----------
    what
        In the plural, by which the same of several resources are added up.
    later_usd
        What it costs more some day by itself.
    """

    what: str
    count: float
    usd: float
    later_usd: float = 0.0


Pricing = Callable[[Resource], Iterator[Cost]]

# Metrics that functions publish while nobody asks, too; all others only while there is something to tell.
ALWAYS_PUBLISHED = {"DataStale"}  # as long as a version is live: lambdas/labcycle_lambdas/monitoring/freshness.py
_FAST_SECONDS = 60  # alarms that look more often than this cost more


def _monthly(what: str, key: str) -> Pricing:
    def pricing(resource: Resource) -> Iterator[Cost]:
        yield Cost(what, 1, resource.prices.usd(key))

    return pricing


def _hourly(what: str, key: str) -> Pricing:
    def pricing(resource: Resource) -> Iterator[Cost]:
        yield Cost(what, 1, HOURS_A_MONTH * resource.prices.usd(key))

    return pricing


def _key(resource: Resource) -> Iterator[Cost]:
    rotates = resource.get("EnableKeyRotation") is True or resource.text("EnableKeyRotation") == "true"
    later = 2 * resource.prices.usd("kms_rotation_month") if rotates else 0.0
    yield Cost("KMS keys", 1, resource.prices.usd("kms_key_month"), later)


def _alarm(resource: Resource) -> Iterator[Cost]:
    queries = mappings(resource.get("Metrics"))
    watched = sum("MetricStat" in query for query in queries) or 1
    if resource.get("ThresholdMetricId"):
        watched += 2  # both edges of the band that AWS expects
    periods = [query["MetricStat"].get("Period", _FAST_SECONDS) for query in queries if "MetricStat" in query]
    period = min(map(float, periods), default=resource.number("Period", otherwise=_FAST_SECONDS))
    key = "fast_alarm_metric_month" if period < _FAST_SECONDS else "alarm_metric_month"
    yield Cost("alarms", 1, watched * resource.prices.usd(key))
    if is_custom(resource) and resource.text("MetricName") in ALWAYS_PUBLISHED:
        yield Cost("metrics that are always published", 1, resource.prices.usd("metric_month"))


def is_custom(alarm: Resource) -> bool:
    """Whether it watches a metric that is published for a price."""
    return bool(alarm.text("MetricName")) and not alarm.text("Namespace").startswith("AWS/")


def _scaling_policy(resource: Resource) -> Iterator[Cost]:
    if resource.text("PolicyType") == "TargetTrackingScaling":
        count = SCALING_ALARMS.value
        yield Cost("alarms of scaling", count, count * resource.prices.usd("alarm_metric_month"))


def _alias(resource: Resource) -> Iterator[Cost]:
    """Functions that are started ahead."""
    config = mapping(resource.get("ProvisionedConcurrencyConfig"))
    if not config:
        return
    count = resource.always_there(float(config.get("ProvisionedConcurrentExecutions", 0)))
    for function in _function_of(resource):
        second = memory_gb(function) * resource.prices.usd("lambda_provisioned_gb_second")
        yield Cost("functions started ahead", count, count * MONTH_SECONDS * second)


def _version(resource: Resource) -> Iterator[Cost]:
    """Its snapshot, and functions that are started ahead."""
    yield from _alias(resource)
    for function in _function_of(resource):
        if function.text("SnapStart", "ApplyOn") == "PublishedVersions":
            second = memory_gb(function) * resource.prices.usd("lambda_snapshot_gb_second")
            yield Cost("snapshots of functions", 1, MONTH_SECONDS * second)


def _function_of(resource: Resource) -> Iterator[Resource]:
    found = [one for one in resource.referred("FunctionName") if one.type == "AWS::Lambda::Function"]
    if not found:
        raise NoPrice("the function is not in its template, so that its memory is not known")
    yield found[0]


def _event_source(resource: Resource) -> Iterator[Cost]:
    source = resource.text("EventSourceArn")
    if ":sqs:" in source:
        yield Cost("queues that a function asks", 1, POLLS_A_MONTH.value * resource.prices.usd("sqs_request"))
    elif ":dynamodb:" not in source:
        raise NoPrice("what is paid for reading this source is not known")


def _service(resource: Resource) -> Iterator[Cost]:
    if resource.get("CapacityProviderStrategy"):
        raise NoPrice("tasks of capacity providers have changing prices")
    if resource.text("LaunchType") != "FARGATE":
        return  # its instances are paid
    task = next((one for one in resource.referred("TaskDefinition") if one.type == "AWS::ECS::TaskDefinition"), None)
    if task is None:
        raise NoPrice("its task definition is not in its template")
    count = resource.always_there(resource.number("DesiredCount", otherwise=1))
    hour = task.number("Cpu") / 1024 * resource.prices.usd("fargate_processor_hour")
    hour += task.number("Memory") / 1024 * resource.prices.usd("fargate_gb_hour")
    yield Cost("tasks", count, count * HOURS_A_MONTH * hour)


def _endpoint(resource: Resource) -> Iterator[Cost]:
    config = next(
        (one for one in resource.referred("EndpointConfigName") if one.type == "AWS::SageMaker::EndpointConfig"), None
    )
    if config is None:
        raise NoPrice("its configuration is not in its template")
    for variant in mappings(config.get("ProductionVariants")):
        if serverless := mapping(variant.get("ServerlessConfig")):
            if serverless.get("ProvisionedConcurrency"):
                raise NoPrice("servers of a serverless endpoint that are started ahead are not in the table")
            continue
        count = resource.always_there(float(variant.get("InitialInstanceCount", 1)))
        hour = resource.prices.usd(f"sagemaker_instance_hour.{variant.get('InstanceType')}")
        yield Cost("SageMaker instances", count, count * HOURS_A_MONTH * hour)


def _notebook(resource: Resource) -> Iterator[Cost]:
    hour = resource.prices.usd(f"sagemaker_instance_hour.{resource.text('InstanceType')}")
    yield Cost("notebook instances", 1, HOURS_A_MONTH * hour)


def _instance(resource: Resource) -> Iterator[Cost]:
    hour = resource.prices.usd(f"ec2_instance_hour.{resource.text('InstanceType')}")
    yield Cost("EC2 instances", 1, HOURS_A_MONTH * hour)
    for device in mappings(resource.get("BlockDeviceMappings")):
        size = float(mapping(device.get("Ebs")).get("VolumeSize", 0))
        yield Cost("GB of volumes", size, size * resource.prices.usd("volume_gb_month"))


def _volume(resource: Resource) -> Iterator[Cost]:
    size = resource.number("Size")
    yield Cost("GB of volumes", size, size * resource.prices.usd("volume_gb_month"))


def _load_balancer(resource: Resource) -> Iterator[Cost]:
    if resource.text("Type") == "gateway":
        raise NoPrice("gateway load balancers are not in the table")
    yield Cost("load balancers", 1, HOURS_A_MONTH * resource.prices.usd("load_balancer_hour"))
    if resource.text("Scheme") != "internal":
        count = len(listed(resource.get("Subnets")) or listed(resource.get("SubnetMappings")))
        yield Cost("public addresses", count, count * HOURS_A_MONTH * resource.prices.usd("public_address_hour"))


def _vpc_endpoint(resource: Resource) -> Iterator[Cost]:
    kind = resource.text("VpcEndpointType") or "Gateway"
    if kind == "Gateway":
        return
    subnets = resource.get("SubnetIds")
    if kind != "Interface" or not isinstance(subnets, list):
        raise NoPrice("in how many zones it is is not known")
    count = len(subnets)
    yield Cost("interface endpoints", count, count * HOURS_A_MONTH * resource.prices.usd("interface_endpoint_hour"))


def _table(resource: Resource) -> Iterator[Cost]:
    if resource.text("BillingMode") == "PAY_PER_REQUEST":
        return
    reads, writes = (resource.number("ProvisionedThroughput", f"{name}CapacityUnits") for name in ("Read", "Write"))
    hour = reads * resource.prices.usd("dynamodb_read_capacity_hour")
    hour += writes * resource.prices.usd("dynamodb_write_capacity_hour")
    yield Cost("provisioned tables", 1, HOURS_A_MONTH * hour)


def _parameter(resource: Resource) -> Iterator[Cost]:
    if resource.text("Tier") == "Advanced":
        yield Cost("advanced parameters", 1, resource.prices.usd("parameter_month"))


def _rest_stage(resource: Resource) -> Iterator[Cost]:
    if resource.get("CacheClusterEnabled"):
        raise NoPrice("the cache of a REST API is paid by the hour, and is not in the table")
    yield from ()


def _compute_environment(resource: Resource) -> Iterator[Cost]:
    if resource.number("ComputeResources", "MinvCpus", otherwise=0):
        raise NoPrice("it always has instances, of a type that AWS chooses")
    yield from ()


PRICED: Mapping[str, Pricing] = {
    "AWS::ApiGateway::Stage": _rest_stage,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _scaling_policy,
    "AWS::Batch::ComputeEnvironment": _compute_environment,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::CompositeAlarm": _monthly("composite alarms", "composite_alarm_month"),
    "AWS::CloudWatch::Dashboard": _monthly("dashboards", "dashboard_month"),
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::EIP": _hourly("public addresses", "public_address_hour"),
    "AWS::EC2::Instance": _instance,
    "AWS::EC2::NatGateway": _hourly("NAT gateways", "nat_gateway_hour"),
    "AWS::EC2::VPCEndpoint": _vpc_endpoint,
    "AWS::EC2::Volume": _volume,
    "AWS::ECS::Service": _service,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::Events::Rule": lambda rule: _scheduled(rule, runs(rule)),
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Alias": _alias,
    "AWS::Lambda::EventSourceMapping": _event_source,
    "AWS::Lambda::Version": _version,
    "AWS::Route53::HostedZone": _monthly("hosted zones", "hosted_zone_month"),
    "AWS::SSM::Parameter": _parameter,
    "AWS::SageMaker::Endpoint": _endpoint,
    "AWS::SageMaker::NotebookInstance": _notebook,
    "AWS::Scheduler::Schedule": lambda schedule: _scheduled(schedule, runs(schedule)),
    "AWS::SecretsManager::Secret": _monthly("secrets", "secret_month"),
}


def _scheduled(resource: Resource, found: tuple[float, float]) -> Iterator[Cost]:
    times, usd = found
    if times:
        yield Cost("scheduled runs", times, times * usd)


_REQUESTS, _TIME, _STORED, _DATA = "by request", "by the time that it runs", "by what it stores", "by data that passes"
FREE: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "AWS::ApiGateway::Account",
            "AWS::ApiGateway::ApiKey",
            "AWS::ApiGateway::Deployment",
            "AWS::ApiGateway::GatewayResponse",
            "AWS::ApiGateway::Method",
            "AWS::ApiGateway::Resource",
            "AWS::ApiGateway::UsagePlan",
            "AWS::ApiGateway::UsagePlanKey",
            "AWS::ApiGatewayV2::Authorizer",
            "AWS::ApiGatewayV2::Integration",
            "AWS::ApiGatewayV2::Route",
            "AWS::ApiGatewayV2::Stage",
            "AWS::ApiGatewayV2::VpcLink",
            "AWS::ApplicationAutoScaling::ScalableTarget",
            "AWS::Batch::JobDefinition",
            "AWS::Batch::JobQueue",
            "AWS::Budgets::Budget",
            "AWS::CDK::Metadata",
            "AWS::CloudFormation::WaitConditionHandle",
            "AWS::EC2::InternetGateway",
            "AWS::EC2::Route",
            "AWS::EC2::RouteTable",
            "AWS::EC2::SecurityGroup",
            "AWS::EC2::SecurityGroupEgress",
            "AWS::EC2::SecurityGroupIngress",
            "AWS::EC2::Subnet",
            "AWS::EC2::SubnetRouteTableAssociation",
            "AWS::EC2::VPC",
            "AWS::EC2::VPCGatewayAttachment",
            "AWS::ECS::Cluster",
            "AWS::ECS::TaskDefinition",
            "AWS::ElasticLoadBalancingV2::Listener",
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            "AWS::Events::EventBusPolicy",
            "AWS::IAM::Group",
            "AWS::IAM::InstanceProfile",
            "AWS::IAM::ManagedPolicy",
            "AWS::IAM::Policy",
            "AWS::IAM::Role",
            "AWS::IAM::RolePolicy",
            "AWS::IAM::User",
            "AWS::IAM::UserPolicy",
            "AWS::KMS::Alias",
            "AWS::Lambda::EventInvokeConfig",
            "AWS::Lambda::Permission",
            "AWS::Logs::LogStream",
            "AWS::Logs::ResourcePolicy",
            "AWS::S3::BucketPolicy",
            "AWS::SNS::Subscription",
            "AWS::SNS::TopicPolicy",
            "AWS::SQS::QueuePolicy",
            "AWS::SageMaker::EndpointConfig",
            "AWS::SageMaker::Model",
            "AWS::SageMaker::StudioLifecycleConfig",
            "AWS::SageMaker::UserProfile",
            "AWS::Scheduler::ScheduleGroup",
            "AWS::SecretsManager::ResourcePolicy",
            "Custom::LabcycleImage",
        ),
        "nothing",
    ),
    **dict.fromkeys(
        (
            "AWS::ApiGateway::RestApi",
            "AWS::ApiGatewayV2::Api",
            "AWS::Events::EventBus",
            "AWS::SNS::Topic",
            "AWS::SQS::Queue",
        ),
        _REQUESTS,
    ),
    **dict.fromkeys(
        (
            "AWS::CodeBuild::Project",
            "AWS::EC2::LaunchTemplate",
            "AWS::Lambda::Function",
            "AWS::SageMaker::Domain",
            "AWS::SageMaker::Space",
        ),
        _TIME,
    ),
    "AWS::EC2::FlowLog": _DATA,
    "AWS::Logs::MetricFilter": "by the hours in which it finds something",
    "AWS::Logs::QueryDefinition": "by the data that it reads when somebody asks it",
    "AWS::StepFunctions::StateMachine": "by transition",
    **dict.fromkeys(("AWS::ECR::Repository", "AWS::Logs::LogGroup", "AWS::S3::Bucket"), _STORED),
}


def is_known(kind: str) -> bool:
    """Whether a resource type is in the table."""
    return kind in PRICED or kind in FREE
