"""What a unit of use costs, from what the templates say of memory, processors and instances."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from labcycle.check.values import mapping, mappings
from labcycle.config import TIERS

from .assumptions import (
    BUILD_MINUTES,
    CALL_SECONDS,
    DOOR_SECONDS,
    EVALUATION_READS,
    EVALUATION_SECONDS,
    LOGGED_KB,
    MACHINE_SECONDS,
    OBJECT_PUTS,
    OBJECT_SECONDS,
    OBJECT_TRANSITIONS,
    PREDICTION_SECONDS,
    PREDICTION_WRITES,
    REPORT_SECONDS,
    RUN_CALLS,
    RUN_FILES,
    RUN_WRITES,
)
from .calls import computing, is_provisioned, memory_gb, request, watching
from .kinds import ALWAYS_PUBLISHED, is_custom
from .resource import Resource
from .scheduled import functions_of, training_of, transitions

_THOUSAND = 1_000
_KB_A_GB = 1_000_000
_JOB_GIB = 4


@dataclass(frozen=True)
class Use:
    """A unit of use, and what it costs.

    Parameters
    ----------
    of
        What the price is made of, in USD.
    at_most
        Whether it is the most that it can cost.
    anywhere
        Whether it is the same in all parts.
    """

    what: str
    of: Mapping[str, float]
    at_most: bool = False
    anywhere: bool = False

    @property
    def usd(self) -> float:
        return sum(self.of.values())


Pricing = Callable[[Resource], Iterator[Use]]


def uses(resource: Resource) -> Iterator[Use]:
    """What it costs to use a resource.

    Raises
    ------
    NoPrice
        If that cannot be told.
    """
    pricing = _BY_TYPE.get(resource.type)
    if pricing is not None:
        yield from pricing(resource)


def _function(function: Resource) -> Iterator[Use]:
    pricing = _BY_HANDLER.get(function.text("Handler").removesuffix(".handle"))
    if pricing is not None:
        yield from pricing(function)


def _predictions(function: Resource) -> Iterator[Use]:
    """Of a model on Lambda."""
    seconds = PREDICTION_SECONDS.value
    of = _answers(function, computing(function, seconds, provisioned=is_provisioned(function)))
    yield Use("1,000 predictions", of)
    if function.text("SnapStart", "ApplyOn") == "PublishedVersions":
        restored = memory_gb(function) * function.prices.usd("lambda_restored_gb")
        yield Use("1,000 starts from the snapshot", {"starts": _THOUSAND * restored})


def _behind_a_door(function: Resource) -> Iterator[Use]:
    """Of a model on an endpoint of SageMaker."""
    of = _answers(function, computing(function, DOOR_SECONDS.value))
    for variant in _variants(function):
        if serverless := mapping(variant.get("ServerlessConfig")):
            second = float(serverless["MemorySizeInMB"]) / 1024 * function.prices.usd("sagemaker_serverless_gb_second")
            of["servers"] = _THOUSAND * PREDICTION_SECONDS.value * second
    yield Use("1,000 predictions", of)


def _answered_later(function: Resource) -> Iterator[Use]:
    """A request and the fetching of its answer; instances while they are there."""
    call = _answers(function, computing(function, CALL_SECONDS.value))
    yield Use("1,000 predictions, without their instances", {what: 2 * usd for what, usd in call.items()})
    for variant in _variants(function):
        kind = str(variant.get("InstanceType"))
        hour = function.prices.usd(f"sagemaker_instance_hour.{kind}")
        yield Use(f"an hour of an instance that answers ({kind})", {"instance": hour})


def _variants(resource: Resource) -> Iterator[Mapping[str, object]]:
    for config in resource.beside("AWS::SageMaker::EndpointConfig"):
        yield from mappings(config.get("ProductionVariants"))


def _answers(function: Resource, call: float) -> dict[str, float]:
    """What a thousand calls through the API of the stack cost, each with so much of the function."""
    return {
        "API": _THOUSAND * request(function),
        "function": _THOUSAND * call,
        "trace and logs": _THOUSAND * (watching(function) + _access_line(function)),
        "ledger": _THOUSAND * PREDICTION_WRITES.value * function.prices.usd("dynamodb_write"),
    }


def _tasks(service: Resource) -> Iterator[Use]:
    """Their time is paid, whether they answer or not."""
    of = {
        "API": request(service),
        "logs": 2 * _access_line(service),
        "ledger": PREDICTION_WRITES.value * service.prices.usd("dynamodb_write"),
    }
    yield Use("1,000 predictions, beside the tasks", {what: _THOUSAND * usd for what, usd in of.items()})


def _access_line(resource: Resource) -> float:
    return LOGGED_KB.value / _KB_A_GB * resource.prices.usd("logs_gb")


def _run(function: Resource) -> Iterator[Use]:
    call = computing(function, CALL_SECONDS.value) + watching(function) + _access_line(function) + request(function)
    of = {
        "calls": RUN_CALLS.value * call,
        "ledger": RUN_WRITES.value * function.prices.usd("dynamodb_write"),
        "files": RUN_FILES.value * function.prices.usd("s3_put"),
    }
    yield Use("1,000 logged runs", {what: _THOUSAND * usd for what, usd in of.items()})


def _evaluation(function: Resource) -> Iterator[Use]:
    of = {
        "function": computing(function, EVALUATION_SECONDS.value) + watching(function),
        "ledger": EVALUATION_READS.value * function.prices.usd("dynamodb_read"),
        "metrics": 2 * function.prices.usd("metric_read"),
    }
    yield Use("1,000 evaluations of a busy model", {what: _THOUSAND * usd for what, usd in of.items()})


def _object(function: Resource) -> Iterator[Use]:
    of = {
        "function": computing(function, OBJECT_SECONDS.value) + watching(function),
        "transitions": OBJECT_TRANSITIONS.value * function.prices.usd("states_transition"),
        "files": OBJECT_PUTS.value * function.prices.usd("s3_put"),
    }
    yield Use("1,000 objects scored in batches", {what: _THOUSAND * usd for what, usd in of.items()})


def _report(function: Resource) -> Iterator[Use]:
    of = {
        "function": computing(function, REPORT_SECONDS.value) + watching(function),
        "mail": function.prices.usd("mail"),
    }
    yield Use("1,000 reports to one recipient", {what: _THOUSAND * usd for what, usd in of.items()})


def _machine(machine: Resource) -> Iterator[Use]:
    functions = sum(computing(one, MACHINE_SECONDS.value) + watching(one) for one in functions_of(machine))
    of = {"transitions": transitions(machine), "functions": functions}
    training = training_of(machine)
    if training is None:
        name = re.sub("[0-9A-F]{8}$", "", machine.logical_id)  # without the hash that CDK adds
        yield Use(f"1,000 executions of {name}", {what: _THOUSAND * usd for what, usd in of.items()})
        return
    what = f"a retraining of {training.seconds / 60:g} minutes on {training.instance_type}, the longest that is allowed"
    yield Use(what, {"training": training.usd(machine), **of}, at_most=True)


def _jobs(environment: Resource) -> Iterator[Use]:
    prices = environment.prices
    if "NVIDIA" in str(environment.get("ComputeResources", "Ec2Configuration")):
        yield Use("an hour of a job with a GPU, on demand", {"instance": prices.usd("job_gpu_hour")}, anywhere=True)
        return
    of = {"processor": prices.usd("job_processor_hour"), "memory": _JOB_GIB * prices.usd("job_gib_hour")}
    yield Use(f"an hour of a job with 1 vCPU and {_JOB_GIB} GiB, on demand", of, anywhere=True)


def _workspace(template: Resource) -> Iterator[Use]:
    data = mapping(template.get("LaunchTemplateData"))
    if not data.get("InstanceType"):
        return  # what starts it says which: the machines of jobs
    kind = str(data.get("InstanceType"))
    tier = next((name for name, tier in TIERS.items() if tier.instance_type == kind), "")
    named = f"{tier} ({kind})" if tier else kind
    yield Use(
        f"an hour of a workspace {named}", {"instance": template.prices.usd(f"ec2_instance_hour.{kind}")}, anywhere=True
    )
    for device in mappings(data.get("BlockDeviceMappings")):
        disk = mapping(device.get("Ebs"))
        if disk.get("DeleteOnTermination") is False and (size := float(disk.get("VolumeSize", 0))):
            month = size * template.prices.usd("volume_gb_month")
            yield Use(
                f"a month of a workspace's {size:g} GiB, until somebody deletes them", {"volume": month}, anywhere=True
            )


def _build(project: Resource) -> Iterator[Use]:
    minute = project.prices.usd(f"build_minute.{project.text('Environment', 'ComputeType')}")
    yield Use("an image that a deployment builds", {"minutes": BUILD_MINUTES.value * minute})


def _metric(alarm: Resource) -> Iterator[Use]:
    name = alarm.text("MetricName")
    if is_custom(alarm) and name not in ALWAYS_PUBLISHED:
        month = alarm.prices.usd("metric_month")
        yield Use(f"a month in which {name} has a figure in each hour", {"metric": month})


def _table(table: Resource) -> Iterator[Use]:
    of = {"table": table.prices.usd("dynamodb_gb_month")}
    if mapping(table.get("PointInTimeRecoverySpecification")).get("PointInTimeRecoveryEnabled"):
        of["point-in-time recovery"] = table.prices.usd("dynamodb_backup_gb_month")
    yield Use("a GB kept a month in the ledger", of)


def _stored(what: str, key: str) -> Pricing:
    def pricing(resource: Resource) -> Iterator[Use]:
        yield Use(f"a GB kept a month in {what}", {"storage": resource.prices.usd(key)}, anywhere=True)

    return pricing


def _passing(what: str, key: str) -> Pricing:
    def pricing(resource: Resource) -> Iterator[Use]:
        yield Use(f"a GB {what}", {"data": resource.prices.usd(key)}, anywhere=True)

    return pricing


def _vpc_endpoint(endpoint: Resource) -> Iterator[Use]:
    if endpoint.text("VpcEndpointType") == "Interface":
        yield Use(
            "a GB through an interface endpoint", {"data": endpoint.prices.usd("interface_endpoint_gb")}, anywhere=True
        )


def _load_balancer(balancer: Resource) -> Iterator[Use]:
    hour = balancer.prices.usd("load_balancer_capacity_hour")
    yield Use("an hour of a capacity unit of the load balancer, 25 new connections a second", {"capacity": hour})


def _shadow(function: Resource) -> Iterator[Use]:
    of = {
        "function": computing(function, PREDICTION_SECONDS.value),
        "trace and logs": watching(function),
        "ledger": 2 * function.prices.usd("dynamodb_write"),
    }
    yield Use("1,000 predictions of a shadow", {what: _THOUSAND * usd for what, usd in of.items()})


_SERVER = "labcycle_lambdas.model_server"
_BY_HANDLER: Mapping[str, Pricing] = {
    "labcycle_lambdas.batch.handler": _object,
    "labcycle_lambdas.endpoint.asynchronous_handler": _answered_later,
    "labcycle_lambdas.endpoint.handler": _behind_a_door,
    "labcycle_lambdas.monitoring.handler": _evaluation,
    "labcycle_lambdas.report.handler": _report,
    "labcycle_lambdas.tracking.handler": _run,
    f"{_SERVER}.handler": _predictions,
    f"{_SERVER}.shadow_handler": _shadow,
}
_BY_TYPE: Mapping[str, Pricing] = {
    "AWS::Batch::ComputeEnvironment": _jobs,
    "AWS::CloudWatch::Alarm": _metric,
    "AWS::CodeBuild::Project": _build,
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::FlowLog": _passing("of flow logs", "flow_logs_gb"),
    "AWS::EC2::LaunchTemplate": _workspace,
    "AWS::EC2::NatGateway": _passing("through the NAT gateway", "nat_gb"),
    "AWS::EC2::VPCEndpoint": _vpc_endpoint,
    "AWS::ECR::Repository": _stored("the image repository", "ecr_gb_month"),
    "AWS::ECS::Service": _tasks,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _stored("logs", "logs_kept_gb_month"),
    "AWS::S3::Bucket": _stored("S3", "s3_gb_month"),
    "AWS::StepFunctions::StateMachine": _machine,
}
