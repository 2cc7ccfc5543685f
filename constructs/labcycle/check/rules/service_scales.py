"""Every ECS service and SageMaker endpoint scales by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.references import referenced
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "A fixed count is too much at night and too little at noon."
MEND = "Add an AWS::ApplicationAutoScaling::ScalableTarget with a ScalingPolicy."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::ECS::Service"):
        properties = template.properties(logical_id)
        if properties.get("SchedulingStrategy") == "DAEMON":  # which runs one task a machine
            continue
        if not _is_scaled(template, estate, "ecs", logical_id, properties.get("ServiceName")):
            yield Violation(logical_id, "no scalable target with a policy is on the service's DesiredCount")
    for logical_id, _ in template.resources("AWS::SageMaker::Endpoint"):
        properties = template.properties(logical_id)
        if not _is_serverless(template, estate, properties) and not _is_scaled(
            template, estate, "sagemaker", logical_id, properties.get("EndpointName")
        ):
            yield Violation(logical_id, "no scalable target with a policy is on a variant of the endpoint")


def _is_scaled(template: Template, estate: Estate, namespace: str, logical_id: str, name: Any) -> bool:
    """Whether a scalable target that a policy moves names the resource, by reference or by name."""
    given = estate.text(template, name) if name is not None else ""
    for owner, target, _ in estate.resources("AWS::ApplicationAutoScaling::ScalableTarget"):
        properties = owner.properties(target)
        resource = properties.get("ResourceId", "")
        refers = owner == template and logical_id in referenced(resource)
        named = given and given in estate.text(owner, resource).split("/")
        same_service = estate.text(owner, properties.get("ServiceNamespace", "")) == namespace
        if same_service and (refers or named) and _has_policy(owner, estate, target):
            return True
    return False


def _has_policy(template: Template, estate: Estate, target: str) -> bool:
    properties = template.properties(target)
    if properties.get("ScheduledActions"):
        return True
    for policy, _ in template.resources("AWS::ApplicationAutoScaling::ScalingPolicy"):
        by = template.properties(policy)
        if target in referenced(by.get("ScalingTargetId")):
            return True
        if "ResourceId" in by and estate.text(template, by["ResourceId"]) == estate.text(
            template, properties.get("ResourceId", "")
        ):
            return True
    return False


def _is_serverless(template: Template, estate: Estate, properties: Mapping[str, Any]) -> bool:
    """Whether each variant of the endpoint's configuration runs on demand."""
    name = estate.text(template, properties.get("EndpointConfigName", ""))
    for config, _ in template.resources("AWS::SageMaker::EndpointConfig"):
        variants = template.properties(config).get("ProductionVariants")
        if config in referenced(properties.get("EndpointConfigName")) or estate.name(template, config) == name:
            return isinstance(variants, list) and all("ServerlessConfig" in variant for variant in variants)
    return False
