from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack, stack_of

RULE = "service-scales"
Resources = dict[str, dict[str, Any]]
POLICY = resource("AWS::ApplicationAutoScaling::ScalingPolicy", ScalingTargetId={"Ref": "Scale"})
SERVICE = resource("AWS::ECS::Service")
ENDPOINT = resource("AWS::SageMaker::Endpoint", EndpointConfigName={"Fn::GetAtt": ["Config", "EndpointConfigName"]})


def scale(namespace: str, resource_id: Any) -> dict[str, Any]:
    return resource("AWS::ApplicationAutoScaling::ScalableTarget", ServiceNamespace=namespace, ResourceId=resource_id)


OF_SERVICE = scale("ecs", {"Fn::Join": ["/", ["service", "cluster", {"Fn::GetAtt": ["Service", "Name"]}]]})
OF_ENDPOINT = scale("sagemaker", {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/main"})
SERVERLESS = resource(
    "AWS::SageMaker::EndpointConfig", ProductionVariants=[{"ServerlessConfig": {"MemorySizeInMB": 2048}}]
)


@pytest.mark.parametrize(
    "resources",
    [
        {"Service": SERVICE, "Scale": OF_SERVICE, "Policy": POLICY},
        {
            "Service": resource("AWS::ECS::Service", ServiceName="own"),
            "Scale": scale("ecs", "service/cluster/own"),
            "Policy": POLICY,
        },
        {"Endpoint": ENDPOINT, "Scale": OF_ENDPOINT, "Policy": POLICY},
        {"Endpoint": ENDPOINT, "Config": SERVERLESS},
    ],
)
def test_compliant(resources: Resources) -> None:
    assert offenders(RULE, stack_of(resources)) == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"Service": SERVICE}, ["Service"]),
        ({"Service": SERVICE, "Scale": OF_SERVICE}, ["Service"]),
        ({"Service": SERVICE, "Scale": scale("ecs", "service/cluster/other"), "Policy": POLICY}, ["Service"]),
        ({"Endpoint": ENDPOINT}, ["Endpoint"]),
        (
            {
                "Endpoint": ENDPOINT,
                "Scale": scale("sagemaker", {"Fn::Sub": "endpoint/${EndpointB.EndpointName}/variant/a"}),
                "Policy": POLICY,
            },
            ["Endpoint"],
        ),
        ({"Endpoint": ENDPOINT, "Scale": OF_SERVICE, "Policy": POLICY}, ["Endpoint"]),
    ],
)
def test_non_compliant(resources: Resources, expected: list[str]) -> None:
    assert offenders(RULE, stack_of(resources)) == expected


@pytest.mark.parametrize(
    "one", [resource("AWS::SNS::Topic"), resource("AWS::ECS::Cluster"), resource("AWS::Lambda::Function")]
)
def test_not_applicable(one: dict[str, Any]) -> None:
    assert offenders(RULE, stack(One=one)) == []


def test_one_task_a_machine_cannot_scale() -> None:
    assert offenders(RULE, stack(Service=resource("AWS::ECS::Service", SchedulingStrategy="DAEMON"))) == []
