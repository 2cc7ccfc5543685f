"""A bad release that stays."""

from __future__ import annotations

from tests.planted.additions import container_service, endpoint
from tests.planted.draft import Draft, fault

WORKSPACES = "labcycle-fraud-workspaces"


@fault(WORKSPACES, "sagemaker-endpoint-rolls-back", onto=endpoint)
def endpoint_without_rollback(draft: Draft) -> str:
    """An endpoint has no automatic rollback."""
    del draft.properties("Endpoint")["DeploymentConfig"]["AutoRollbackConfiguration"]
    return "Endpoint"


@fault(WORKSPACES, "ecs-service-rolls-back", onto=container_service)
def service_without_circuit_breaker(draft: Draft) -> str:
    """A service on ECS has no circuit breaker."""
    del draft.properties("ContainerService")["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
    return "ContainerService"


@fault(WORKSPACES, "ecs-service-rolls-back", onto=container_service)
def service_without_alarms(draft: Draft) -> str:
    """No alarm rolls a service on ECS back."""
    del draft.properties("ContainerService")["DeploymentConfiguration"]["Alarms"]
    return "ContainerService"


@fault(WORKSPACES, "service-scales", onto=container_service)
def service_without_autoscaling(draft: Draft) -> str:
    """A service on ECS does not scale."""
    del draft.body["Resources"]["ContainerScaling"]
    return "ContainerService"


@fault(WORKSPACES, "container-unprivileged", onto=container_service)
def privileged_container(draft: Draft) -> str:
    """A container is root on its host."""
    draft.properties("ContainerTask")["ContainerDefinitions"][0]["Privileged"] = True
    return "ContainerTask"
