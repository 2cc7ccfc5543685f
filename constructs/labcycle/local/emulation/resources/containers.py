"""Services of ECS and endpoints of SageMaker: what they say is kept as a record, and their containers run as processes."""

from __future__ import annotations

import http
import uuid
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs
from ministack.services.cloudformation import provisioners, stacks

from labcycle.local.emulation import endpoints, model_servers, moto_services, private_integration, server_images
from labcycle.local.emulation.model_servers import Container, DoesNotStart
from labcycle.local.emulation.resources.registration import Made, Properties, answered, register
from labcycle.local.emulation.server_images import CannotPull
from labcycle.local.settings import Settings

MOST_TASKS = 2
_WAITING = ("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ECS::Service", "AWS::SageMaker::Endpoint")
_OK, _NOTHING_LIVE = http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND


def install(settings: Settings) -> None:
    _run_services(settings)
    _run_endpoints(settings)
    _scale(settings)
    register("AWS::ApiGatewayV2::VpcLink", _named("vpclink"), _nothing, _kept)
    _wait_beside_the_loop()


def _wait_beside_the_loop() -> None:
    """Containers ask this server while CloudFormation waits for them: it must not wait on the thread that answers."""
    original = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda resource_type: resource_type in _WAITING or original(resource_type)


# ---- ECS --------------------------------------------------------------------------------------------------------


def _run_services(settings: Settings) -> None:
    handler = provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"]
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        made: Made = create(logical_id, properties, stack)
        try:
            _place(made[0], properties, 1, settings)
        except ValueError:
            delete(made[0], properties)
            raise
        return made

    def updated(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        if old.get("TaskDefinition") != new.get("TaskDefinition"):
            _place(physical_id, new, _tasks.get(private_integration.key_of(physical_id), 1), settings)
        made: Made = update(physical_id, old, new, stack)
        return made

    def deleted(physical_id: str, properties: Properties) -> None:
        key = private_integration.key_of(physical_id)
        model_servers.remove(key)
        _tasks.pop(key, None)
        _definitions.pop(key, None)
        delete(physical_id, properties)

    handler.update(create=created, update=updated, delete=deleted)


_tasks: dict[str, int] = {}  # how many of a service run
_definitions: dict[str, str] = {}  # which task definition they have


def _place(service: str, properties: Properties, tasks: int, settings: Settings) -> None:
    """Raises `ValueError` as CloudFormation tells of a deployment that ECS takes back."""
    key, definition = private_integration.key_of(service), properties["TaskDefinition"]
    try:
        containers = [_task(definition, settings) for _ in range(tasks)]
        model_servers.place(key, containers, settings)
    except (CannotPull, DoesNotStart) as error:
        raise ValueError(f"ECS Deployment Circuit Breaker was triggered: tasks failed to start: {error}") from error
    _tasks[key], _definitions[key] = tasks, definition


def _task(definition: str, settings: Settings) -> Container:
    record = ecs._task_defs[definition.rsplit("/", 1)[-1]]
    [container] = record["containerDefinitions"]
    options = container["logConfiguration"]["options"]
    identity = uuid.uuid4().hex
    return Container(
        folder=server_images.pulled(container["image"], record["executionRoleArn"], settings),
        arguments=(),
        environment={one["name"]: str(one["value"]) for one in container.get("environment", ())},
        role=record["taskRoleArn"],
        session=identity,
        log_group=options["awslogs-group"],
        log_stream=f"{options['awslogs-stream-prefix']}/{container['name']}/{identity}",
        healthy=(_OK, _NOTHING_LIVE),
    )


def _scale(settings: Settings) -> None:
    """Nothing scales; a service of ECS runs the least count of its tasks, up to `MOST_TASKS`."""

    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        key, tasks = properties["ResourceId"], min(int(properties["MinCapacity"]), MOST_TASKS)
        if key in _definitions and _tasks[key] != tasks:
            service = f"arn:aws:ecs:{get_region()}:{get_account_id()}:{key}"
            _place(service, {"TaskDefinition": _definitions[key]}, tasks, settings)
        return f"{key}|{properties['ScalableDimension']}|{properties['ServiceNamespace']}", {}

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        return create("", new, stack)

    register("AWS::ApplicationAutoScaling::ScalableTarget", create, _nothing, update)
    register("AWS::ApplicationAutoScaling::ScalingPolicy", _named("scalingPolicy"), _nothing, _kept)


# ---- SageMaker --------------------------------------------------------------------------------------------------


def _run_endpoints(settings: Settings) -> None:
    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        name = properties.get("EndpointName") or _name(stack, logical_id)
        _host(name, properties, settings)
        asked = {"EndpointName": name, "EndpointConfigName": properties["EndpointConfigName"]}
        answered(_sagemaker("CreateEndpoint", asked), "CreateEndpoint")
        return _endpoint(name)

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        name = _of_arn(physical_id)
        if new.get("EndpointName") != old.get("EndpointName"):
            return create("", new, stack)  # CloudFormation deletes the other one
        if old["EndpointConfigName"] != new["EndpointConfigName"]:
            _host(name, new, settings)
            answered(_sagemaker("DeleteEndpoint", {"EndpointName": name}), "UpdateEndpoint")
            asked = {"EndpointName": name, "EndpointConfigName": new["EndpointConfigName"]}
            answered(_sagemaker("CreateEndpoint", asked), "UpdateEndpoint")
        return _endpoint(name)

    def delete(physical_id: str, properties: Properties) -> None:
        name = _of_arn(physical_id)
        model_servers.remove(endpoints.key_of(name))
        _sagemaker("DeleteEndpoint", {"EndpointName": name})

    register("AWS::SageMaker::Endpoint", create, delete, update)
    _record("Model")
    _record("EndpointConfig")


def _record(kind: str) -> None:
    """A model, or a configuration: each change makes another one, of another name."""

    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        name = properties.get(f"{kind}Name") or _name(stack, logical_id)
        asked = {**properties, f"{kind}Name": name}
        answered(_sagemaker(f"Create{kind}", asked), f"Create{kind}")
        return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{_RESOURCES[kind]}/{name}", {f"{kind}Name": name}

    def delete(physical_id: str, properties: Properties) -> None:
        _sagemaker(f"Delete{kind}", {f"{kind}Name": _of_arn(physical_id)})

    register(f"AWS::SageMaker::{kind}", create, delete)


_RESOURCES = {"Model": "model", "EndpointConfig": "endpoint-config"}


def _host(name: str, properties: Properties, settings: Settings) -> None:
    """Raises `ValueError` as CloudFormation tells of an endpoint that does not come to be."""
    from moto.sagemaker.models import sagemaker_backends

    backend = sagemaker_backends[settings.account][settings.region]
    [variant] = backend.describe_endpoint_config(properties["EndpointConfigName"])["ProductionVariants"]
    model = backend.describe_model(variant["ModelName"]).response_object
    container, role = model["PrimaryContainer"], model["ExecutionRoleArn"]
    try:
        hosted = Container(
            folder=server_images.pulled(container["Image"], role, settings),
            arguments=("serve",),
            environment={key: str(value) for key, value in (container.get("Environment") or {}).items()},
            role=role,
            session="SageMaker",
            log_group=f"/aws/sagemaker/Endpoints/{name}",
            log_stream=f"{variant['VariantName']}/{uuid.uuid4().hex[:16]}",
            healthy=(_OK,),
        )
        model_servers.place(endpoints.key_of(name), [hosted], settings)
    except CannotPull as error:
        raise ValueError(f"Failed. Reason: {error}") from error
    except DoesNotStart as error:
        said = (
            f"The primary container for production variant {variant['VariantName']} did not pass the ping health check."
        )
        raise ValueError(f"Failed. Reason: {said} {error}") from error


def _endpoint(name: str) -> Made:
    arn = f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:endpoint/{name}"
    return arn, {"EndpointName": name}


def _sagemaker(operation: str, asked: Mapping[str, Any]) -> moto_services.Response:
    scope = f"Credential={get_account_id()}/20260101/{get_region()}/sagemaker/aws4_request"
    headers = {"Content-Type": "application/x-amz-json-1.1", "Authorization": f"AWS4-HMAC-SHA256 {scope}"}
    return moto_services.call(f"SageMaker.{operation}", asked, headers)


# ---- what only has a name ---------------------------------------------------------------------------------------


def _of_arn(physical_id: str) -> str:
    return physical_id.rsplit("/", 1)[-1]


def _name(stack: str, logical_id: str) -> str:
    return f"{stack[:30]}-{logical_id[:20]}-{uuid.uuid4().hex[:8]}"


def _named(kind: str) -> Any:
    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        return f"{kind}-{uuid.uuid4().hex[:10]}", {}

    return create


def _kept(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
    return physical_id, {}


def _nothing(physical_id: str, properties: Properties) -> None: ...
