"""What in an estate delivers to what, walked from the templates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.state_machines import definition, states
from labcycle.check.template import Template
from labcycle.check.values import mapping, mappings

from .ways import WAYS, Way

Properties = Mapping[str, Any]
# By service and kind of the ARN, what a target is called in the table.
_KINDS = (
    (re.compile(r"arn:aws[a-z-]*:sns:[^:]+:[^:]+:[^:]+$"), "topic"),
    (re.compile(r"arn:aws[a-z-]*:sqs:[^:]+:[^:]+:[^:]+$"), "queue"),
    (re.compile(r"arn:aws[a-z-]*:lambda:[^:]+:[^:]+:function:[^:]+(:[^:]+)?$"), "function"),
    (re.compile(r"arn:aws[a-z-]*:states:[^:]+:[^:]+:stateMachine:[^:]+(:[^:]+)?$"), "state machine"),
    (re.compile(r"arn:aws[a-z-]*:events:[^:]+:[^:]+:event-bus/.+$"), "bus"),
    (re.compile(r"arn:aws[a-z-]*:kinesis:[^:]+:[^:]+:stream/.+$"), "stream"),
    (re.compile(r"arn:aws[a-z-]*:dynamodb:[^:]+:[^:]+:table/.+$"), "table"),
    (re.compile(r"arn:aws[a-z-]*:logs:[^:]+:[^:]+:log-group:.+$"), "log group"),
    (re.compile(r"arn:aws[a-z-]*:s3:::[^/]+$"), "bucket"),
    (re.compile(r"arn:aws[a-z-]*:kms:[^:]+:[^:]+:key/.+$"), "key"),
)
_FUNCTION_IN_URI = re.compile(r"functions/(arn:[^/]+)/invocations")
_INVOKED = re.compile(r"^lambda:invoke")
# Of state machines: the service integration, and the argument that names the target.
_INTEGRATIONS = {
    "lambda:invoke": "FunctionName",
    "sns:publish": "TopicArn",
    "sqs:sendMessage": "QueueUrl",
    "states:startExecution": "StateMachineArn",
}


@dataclass(frozen=True)
class Delivery:
    """One way from a producer to a target.

    Parameters
    ----------
    template, logical_id, property_path
        Where the producer says so.
    source
        ARN that the service sends as `aws:SourceArn`; for a role its ARN.
    target
        ARN of the target.
    detail
        What follows the target's ARN where an object is written, for instance `/AWSLogs/*`.
    is_dead_letters
        Whether only what could not be delivered goes there.
    is_bounded
        Whether the producer by itself sends only so much at once: a schedule, an alarm, a throttled stage.
    role
        ARN of the role in whose name it is sent as well, though the service could do it by itself.
    """

    template: Template
    logical_id: str
    property_path: str
    way: Way
    source: str
    target: str
    detail: str = ""
    is_dead_letters: bool = False
    is_bounded: bool = False
    role: str = ""


def kind_of(arn: str) -> str:
    """What a target with this ARN is called in the table; empty for what is not in it."""
    return next((kind for form, kind in _KINDS if form.match(arn)), "")


@lru_cache(maxsize=2)
def deliveries(estate: Estate) -> tuple[Delivery, ...]:
    """Every delivery of the estate that the table knows, whether or not its target is part of the estate."""
    return tuple(_all(estate))


def _all(estate: Estate) -> Iterator[Delivery]:
    for template, logical_id, resource in estate.resources():
        walk = _WALKS.get(str(resource.get("Type", "")))
        if walk is not None:
            yield from walk(_Producer(estate, template, logical_id))


class _Producer:
    """A resource that delivers; makes its deliveries."""

    def __init__(self, estate: Estate, template: Template, logical_id: str) -> None:
        self.estate, self.template, self.logical_id = estate, template, logical_id
        self.properties = template.properties(logical_id)

    @property
    def arn(self) -> str:
        return self.estate.arn(self.template, self.logical_id)

    def text(self, value: Any) -> str:
        return self.estate.text(self.template, value) if value is not None else ""

    def arn_in_service(self, service: str, rest: str) -> str:
        """ARN in the account and region of the producer."""
        estate, template = self.estate, self.template
        place = f"{estate.region(template)}:{estate.account(template)}"
        return f"arn:{estate.partition(template)}:{service}:{place}:{rest}"

    def to(
        self,
        producer: str,
        target: Any,
        path: str,
        *,
        source: str | None = None,
        detail: str = "",
        dead: bool = False,
        bounded: bool = False,
        role: str = "",
    ) -> Iterator[Delivery]:
        """The delivery of this kind of producer to a target, if the table knows such."""
        arn = self.text(target)
        way = WAYS.get((producer, kind_of(arn)))
        if way is not None:
            yield Delivery(
                self.template,
                self.logical_id,
                path,
                way,
                self.arn if source is None else source,
                arn,
                detail,
                dead,
                bounded,
                role,
            )


def _alarm(alarm: _Producer) -> Iterator[Delivery]:
    for key in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        actions = alarm.properties.get(key)
        for n, action in enumerate(actions if isinstance(actions, list) else []):
            yield from alarm.to("alarm", action, f"Properties.{key}.{n}", bounded=True)


def _rule(rule: _Producer) -> Iterator[Delivery]:
    bus = rule.text(rule.properties.get("EventBusName", "default")).rpartition("/")[2]
    name = rule.estate.name(rule.template, rule.logical_id)
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-manage-iam-access.html
    source = rule.arn_in_service("events", f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}")
    for n, target in enumerate(mappings(rule.properties.get("Targets"))):
        path = f"Properties.Targets.{n}"
        role = rule.text(target.get("RoleArn"))
        bounded = "ScheduleExpression" in rule.properties
        yield from rule.to("rule", target.get("Arn"), f"{path}.Arn", source=source, bounded=bounded, role=role)
        yield from rule.to("rule by its role", target.get("Arn"), f"{path}.Arn", source=role)
        letters = mapping(target.get("DeadLetterConfig")).get("Arn")
        yield from rule.to("rule", letters, f"{path}.DeadLetterConfig", source=source, dead=True)


def _schedule(schedule: _Producer) -> Iterator[Delivery]:
    target = mapping(schedule.properties.get("Target"))
    role = schedule.text(target.get("RoleArn"))
    yield from schedule.to("schedule", target.get("Arn"), "Properties.Target.Arn", source=role, bounded=True)
    letters = mapping(target.get("DeadLetterConfig")).get("Arn")
    yield from schedule.to("schedule", letters, "Properties.Target.DeadLetterConfig", source=role, dead=True)


def _pipe(pipe: _Producer) -> Iterator[Delivery]:
    properties = pipe.properties
    role = pipe.text(properties.get("RoleArn"))
    yield from pipe.to("pipe's source", properties.get("Source"), "Properties.Source", source=role)
    for key in ("Enrichment", "Target"):
        yield from pipe.to("pipe", properties.get(key), f"Properties.{key}", source=role, bounded=True)
    for key, parameters in mapping(properties.get("SourceParameters")).items():
        letters = mapping(mapping(parameters).get("DeadLetterConfig")).get("Arn")
        path = f"Properties.SourceParameters.{key}.DeadLetterConfig"
        yield from pipe.to("pipe", letters, path, source=role, dead=True)


def _budget(budget: _Producer) -> Iterator[Delivery]:
    estate, template = budget.estate, budget.template
    name = budget.text(mapping(budget.properties.get("Budget")).get("BudgetName")) or "budget"
    source = f"arn:{estate.partition(template)}:budgets::{estate.account(template)}:budget/{name}"
    for n, notice in enumerate(mappings(budget.properties.get("NotificationsWithSubscribers"))):
        for m, subscriber in enumerate(mappings(notice.get("Subscribers"))):
            path = f"Properties.NotificationsWithSubscribers.{n}.Subscribers.{m}.Address"
            yield from budget.to("budget", subscriber.get("Address"), path, source=source)


def _bucket(bucket: _Producer) -> Iterator[Delivery]:
    notices = mapping(bucket.properties.get("NotificationConfiguration"))
    for key, named in (
        ("LambdaConfigurations", "Function"),
        ("QueueConfigurations", "Queue"),
        ("TopicConfigurations", "Topic"),
    ):
        for n, notice in enumerate(mappings(notices.get(key))):
            yield from bucket.to("bucket", notice.get(named), f"Properties.NotificationConfiguration.{key}.{n}.{named}")
    logging = mapping(bucket.properties.get("LoggingConfiguration"))
    if "DestinationBucketName" in logging:
        name = bucket.text(logging["DestinationBucketName"])
        target = f"arn:{bucket.estate.partition(bucket.template)}:s3:::{name}"
        detail = f"/{bucket.text(logging.get('LogFilePrefix'))}2026-01-01-00-00-00-0123456789ABCDEF"
        yield from bucket.to("bucket's access log", target, "Properties.LoggingConfiguration", detail=detail)


def _subscription(subscription: _Producer) -> Iterator[Delivery]:
    topic = subscription.text(subscription.properties.get("TopicArn"))
    yield from subscription.to("topic", subscription.properties.get("Endpoint"), "Properties.Endpoint", source=topic)
    letters = redrive_target(subscription.properties)
    yield from subscription.to("topic", letters, "Properties.RedrivePolicy", source=topic, dead=True)


def _function(function: _Producer) -> Iterator[Delivery]:
    role = function.text(function.properties.get("Role"))
    letters = mapping(function.properties.get("DeadLetterConfig")).get("TargetArn")
    yield from function.to("function", letters, "Properties.DeadLetterConfig.TargetArn", source=role, dead=True)


def _role_of(producer: _Producer) -> str:
    """ARN of the role of the function that the resource names."""
    found = named_function(producer.estate, producer.template, producer.properties.get("FunctionName"))
    return producer.estate.text(found[0], found[0].properties(found[1]).get("Role")) if found else ""


def named_function(estate: Estate, template: Template, name: Any) -> tuple[Template, str] | None:
    """The function of the estate with this name or ARN, with or without a version or alias."""
    text = estate.text(template, name)
    if not text.startswith("arn:"):
        place = f"{estate.region(template)}:{estate.account(template)}"
        text = f"arn:{estate.partition(template)}:lambda:{place}:function:{text}"
    return estate.find(":".join(text.split(":")[:7]))


def _invoke_config(config: _Producer) -> Iterator[Delivery]:
    for key, outcome in mapping(config.properties.get("DestinationConfig")).items():
        path = f"Properties.DestinationConfig.{key}.Destination"
        target = mapping(outcome).get("Destination")
        yield from config.to("function", target, path, source=_role_of(config), dead=key == "OnFailure")


def _event_source(reader: _Producer) -> Iterator[Delivery]:
    properties, role = reader.properties, _role_of(reader)
    yield from reader.to(
        "event source mapping", properties.get("EventSourceArn"), "Properties.EventSourceArn", source=role
    )
    letters = mapping(mapping(properties.get("DestinationConfig")).get("OnFailure")).get("Destination")
    path = "Properties.DestinationConfig.OnFailure.Destination"
    yield from reader.to("function", letters, path, source=role, dead=True)


def _state_machine(machine: _Producer) -> Iterator[Delivery]:
    role = machine.text(machine.properties.get("RoleArn"))
    for state in states(definition(machine.estate, machine.template, machine.logical_id)):
        if state.type != "Task":
            continue
        path = f"Definition.States.{state.path}"
        if kind_of(state.resource) == "function":
            yield from machine.to("state machine", state.resource, path, source=role, bounded=_is_bounded(state))
        arguments = mapping(state.body.get("Arguments", state.body.get("Parameters")))
        for integration, named in _INTEGRATIONS.items():
            if not state.resource.startswith(integration):
                continue
            target = arguments.get(named)
            if named == "QueueUrl" and isinstance(target, str):
                found = machine.estate.find(target)
                target = machine.estate.arn(*found) if found else target
            if named == "FunctionName" and isinstance(target, str) and "%" not in target:
                found = named_function(machine.estate, machine.template, target)
                target = machine.estate.arn(*found) if found else target
            if isinstance(target, str):
                yield from machine.to("state machine", target, path, source=role, bounded=_is_bounded(state))


def _is_bounded(state: Any) -> bool:
    """Whether no distributed map around the state runs as many at once as it likes (10,000)."""
    around = state.within
    while around is not None:
        mode = mapping(mapping(around.body.get("ItemProcessor")).get("ProcessorConfig")).get("Mode")
        limits = ("MaxConcurrency", "MaxConcurrencyPath")
        if around.type == "Map" and mode == "DISTRIBUTED" and not any(around.body.get(limit) for limit in limits):
            return False
        around = around.within
    return True


def _http_integration(integration: _Producer) -> Iterator[Delivery]:
    properties, estate, template = integration.properties, integration.estate, integration.template
    target = _function_in(integration.text(properties.get("IntegrationUri")))
    if "CredentialsArn" in properties or not target:
        return
    api = integration.text(properties.get("ApiId"))
    stages = [
        (integration.text(template.properties(one).get("StageName")), template.properties(one))
        for one, _ in template.resources("AWS::ApiGatewayV2::Stage")
        if integration.text(template.properties(one).get("ApiId")) == api
    ]
    bounded = all(_throttles(stage.get("DefaultRouteSettings")) for _, stage in stages)
    for route, _ in template.resources("AWS::ApiGatewayV2::Route"):
        target_of_route = template.properties(route).get("Target")
        if integration.logical_id not in json.dumps(target_of_route):
            continue
        method, _, path = estate.text(template, template.properties(route).get("RouteKey")).partition(" ")
        place = f"{'GET' if method == 'ANY' else method}{path}"
        stage = stages[0][0] if stages else "$default"
        source = integration.arn_in_service("execute-api", f"{api}/{stage}/{place}")
        yield from integration.to("API", target, "Properties.IntegrationUri", source=source, bounded=bounded)


def _rest_method(method: _Producer) -> Iterator[Delivery]:
    properties = method.properties
    call = mapping(properties.get("Integration"))
    target = _function_in(method.text(call.get("Uri")))
    if "Credentials" in call or not target:
        return
    api = method.text(properties.get("RestApiId"))
    stages = [
        method.template.properties(one)
        for one, _ in method.template.resources("AWS::ApiGateway::Stage")
        if method.text(method.template.properties(one).get("RestApiId")) == api
    ]
    bounded = all(any(map(_throttles, mappings(stage.get("MethodSettings")))) for stage in stages)
    verb = method.text(properties.get("HttpMethod"))
    stage = method.text(stages[0].get("StageName")) if stages else "prod"
    place = f"{api}/{stage or 'prod'}/{'GET' if verb == 'ANY' else verb}{_rest_path(method)}"
    source = method.arn_in_service("execute-api", place)
    yield from method.to("API", target, "Properties.Integration.Uri", source=source, bounded=bounded)


def _rest_path(method: _Producer) -> str:
    """Path of a method, with `*` for its variable parts, as AWS sends it."""
    parts: list[str] = []
    reference = method.properties.get("ResourceId")
    while isinstance(reference, Mapping) and "Ref" in reference and len(parts) < 50:
        resource = method.template.properties(str(reference["Ref"]))
        parts.insert(0, re.sub(r"\{[^}]*\}", "*", method.text(resource.get("PathPart"))))
        reference = resource.get("ParentId")
    return "/" + "/".join(parts)


def _throttles(settings: Any) -> bool:
    return {"ThrottlingBurstLimit", "ThrottlingRateLimit"} <= set(mapping(settings))


def _function_in(uri: str) -> str:
    found = _FUNCTION_IN_URI.search(uri)
    return found[1] if found else uri


def _log_group(group: _Producer) -> Iterator[Delivery]:
    key = encryption_key(group.estate, group.template, group.properties.get("KmsKeyId"))
    if key is not None:
        arn = group.estate.arn(*key)
        yield from group.to("log group", arn, "Properties.KmsKeyId", source=group.arn.removesuffix(":*"))


def _log_filter(subscription: _Producer) -> Iterator[Delivery]:
    name = subscription.text(subscription.properties.get("LogGroupName"))
    source = subscription.arn_in_service("logs", f"log-group:{name}:*")
    target = subscription.properties.get("DestinationArn")
    yield from subscription.to("log group", target, "Properties.DestinationArn", source=source)


def _flow_log(log: _Producer) -> Iterator[Delivery]:
    if log.properties.get("LogDestinationType") != "s3":
        return
    target, _, prefix = log.text(log.properties.get("LogDestination")).partition("/")
    detail = "/".join(filter(None, ["", prefix.strip("/"), f"AWSLogs/{log.estate.account(log.template)}/x"]))
    # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
    source = log.arn_in_service("logs", "*")
    yield from log.to("flow log", target, "Properties.LogDestination", source=source, detail=f"/{detail.lstrip('/')}")


def _load_balancer(balancer: _Producer) -> Iterator[Delivery]:
    if balancer.properties.get("Type", "application") != "application":
        return
    attributes = {
        balancer.text(one.get("Key")): balancer.text(one.get("Value"))
        for one in mappings(balancer.properties.get("LoadBalancerAttributes"))
    }
    if attributes.get("access_logs.s3.enabled") == "true" and "access_logs.s3.bucket" in attributes:
        target = f"arn:{balancer.estate.partition(balancer.template)}:s3:::{attributes['access_logs.s3.bucket']}"
        account = balancer.estate.account(balancer.template)
        prefix = attributes.get("access_logs.s3.prefix", "")
        detail = f"/{prefix}{'/' if prefix else ''}AWSLogs/{account}/x"
        yield from balancer.to("load balancer", target, "Properties.LoadBalancerAttributes", detail=detail)


def encryption_key(estate: Estate, template: Template, value: Any) -> tuple[Template, str] | None:
    """The customer key of the estate that an id, ARN or alias means; None for any other."""
    text = estate.text(template, value) if value is not None else ""
    alias = text.rpartition(":")[2] if ":alias/" in text else text
    if alias.startswith("alias/"):
        for owner, logical_id, _ in estate.resources("AWS::KMS::Alias"):
            properties = owner.properties(logical_id)
            same_place = (owner.account, owner.region) == (template.account, template.region)
            if same_place and estate.text(owner, properties.get("AliasName")) == alias:
                return encryption_key(estate, owner, properties.get("TargetKeyId"))
        return None
    if text and not text.startswith("arn:"):
        place = f"{estate.region(template)}:{estate.account(template)}"
        text = f"arn:{estate.partition(template)}:kms:{place}:key/{text}"
    return estate.find(text)


def redrive_target(properties: Properties) -> Any:
    """The queue of a resource's redrive policy, which may be an object or JSON; None where it has none."""
    policy = properties.get("RedrivePolicy")
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except ValueError:
            return None
    return mapping(policy).get("deadLetterTargetArn")


_WALKS: dict[str, Callable[[_Producer], Iterator[Delivery]]] = {
    "AWS::ApiGateway::Method": _rest_method,
    "AWS::ApiGatewayV2::Integration": _http_integration,
    "AWS::Budgets::Budget": _budget,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::CompositeAlarm": _alarm,
    "AWS::EC2::FlowLog": _flow_log,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::Events::Rule": _rule,
    "AWS::Lambda::EventInvokeConfig": _invoke_config,
    "AWS::Lambda::EventSourceMapping": _event_source,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::SubscriptionFilter": _log_filter,
    "AWS::Pipes::Pipe": _pipe,
    "AWS::S3::Bucket": _bucket,
    "AWS::SNS::Subscription": _subscription,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::StepFunctions::StateMachine": _state_machine,
}
