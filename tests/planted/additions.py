"""What our own templates do not have, in a form without fault: faults are planted into these too."""

from __future__ import annotations

from typing import Any

from tests.planted.draft import Draft

_KEY = {"Fn::ImportValue": "labcycle-fraud-foundation:ExportsOutputFnGetAttFoundationKeyCE5FC256ArnA827B55B"}
_NOTICES = "arn:aws:sns:eu-west-1:123456789012:labcycle-fraud-notices"


def notebook(draft: Draft) -> str:
    """A notebook instance of SageMaker in the workspaces' network."""
    return draft.add(
        "Notebook",
        "AWS::SageMaker::NotebookInstance",
        DirectInternetAccess="Disabled",
        InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"},
        InstanceType="ml.t3.medium",
        KmsKeyId=_KEY,
        RoleArn=_role(draft),
        RootAccess="Disabled",
        SecurityGroupIds=[_group(draft)],
        SubnetId="subnet-0123456789abcdef0",
        Tags=draft.tags(),
    )


def endpoint(draft: Draft) -> str:
    """An endpoint of SageMaker that scales and rolls back."""
    draft.add(
        "EndpointModel",
        "AWS::SageMaker::Model",
        EnableNetworkIsolation=True,
        ExecutionRoleArn=_role(draft),
        PrimaryContainer={"Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/model:1"},
        Tags=draft.tags(),
        VpcConfig={"SecurityGroupIds": [_group(draft)], "Subnets": ["subnet-0123456789abcdef0"]},
    )
    variant = {
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
        "InstanceType": "ml.m5.large",
        "ModelName": {"Fn::GetAtt": ["EndpointModel", "ModelName"]},
        "VariantName": "live",
    }
    draft.add(
        "EndpointConfig",
        "AWS::SageMaker::EndpointConfig",
        KmsKeyId=_KEY,
        ProductionVariants=[variant],
        Tags=draft.tags(),
    )
    _alarm(draft, "EndpointErrors", "AWS/SageMaker", "Invocation5XXErrors")
    draft.add(
        "Endpoint",
        "AWS::SageMaker::Endpoint",
        DeploymentConfig={
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": {"Ref": "EndpointErrors"}}]},
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
            },
        },
        EndpointConfigName={"Fn::GetAtt": ["EndpointConfig", "EndpointConfigName"]},
        RetainAllVariantProperties=True,
        Tags=draft.tags(),
    )
    name = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}
    _scaling(
        draft, "Endpoint", "sagemaker", "variant:DesiredInstanceCount", ["endpoint/", name, "/variant/live"],
        "SageMakerVariantInvocationsPerInstance",
    )  # fmt: skip
    return "Endpoint"


def container_service(draft: Draft) -> str:
    """A service on ECS that scales and rolls back."""
    draft.add("ContainerCluster", "AWS::ECS::Cluster", Tags=draft.tags())
    draft.resource("ContainerCluster")["Properties"]["ClusterSettings"] = [
        {"Name": "containerInsights", "Value": "enabled"}
    ]
    draft.add(
        "ContainerTask",
        "AWS::ECS::TaskDefinition",
        ContainerDefinitions=[
            {
                "Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/model:1",
                "LogConfiguration": {
                    "LogDriver": "awslogs",
                    "Options": {
                        "awslogs-group": "/aws/vendedlogs/labcycle/fraud/containers",
                        "awslogs-region": "eu-west-1",
                        "awslogs-stream-prefix": "model",
                    },
                },
                "Name": "model",
                "Privileged": False,
                "ReadonlyRootFilesystem": True,
            }
        ],
        Cpu="256",
        ExecutionRoleArn=_role(draft),
        Memory="512",
        NetworkMode="awsvpc",
        RequiresCompatibilities=["FARGATE"],
        Tags=draft.tags(),
    )
    _alarm(draft, "ContainerErrors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count")
    draft.add(
        "ContainerService",
        "AWS::ECS::Service",
        Cluster={"Ref": "ContainerCluster"},
        DeploymentConfiguration={
            "Alarms": {"AlarmNames": [{"Ref": "ContainerErrors"}], "Enable": True, "Rollback": True},
            "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        },
        LaunchType="FARGATE",
        NetworkConfiguration={
            "AwsvpcConfiguration": {
                "AssignPublicIp": "DISABLED",
                "SecurityGroups": [_group(draft)],
                "Subnets": ["subnet-0123456789abcdef0"],
            }
        },
        PropagateTags="SERVICE",
        Tags=draft.tags(),
        TaskDefinition={"Ref": "ContainerTask"},
    )
    names = ["service/", {"Ref": "ContainerCluster"}, "/", {"Fn::GetAtt": ["ContainerService", "Name"]}]
    _scaling(draft, "Container", "ecs", "ecs:service:DesiredCount", names, "ECSServiceAverageCPUUtilization")
    return "ContainerService"


def _role(draft: Draft) -> dict[str, Any]:
    return {"Fn::GetAtt": [draft.find("AWS::IAM::Role"), "Arn"]}


def _group(draft: Draft) -> dict[str, Any]:
    return {"Fn::GetAtt": [draft.find("AWS::EC2::SecurityGroup"), "GroupId"]}


def _alarm(draft: Draft, logical_id: str, namespace: str, metric: str) -> None:
    draft.add(
        logical_id,
        "AWS::CloudWatch::Alarm",
        AlarmActions=[_NOTICES],
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        EvaluationPeriods=3,
        MetricName=metric,
        Namespace=namespace,
        Period=60,
        Statistic="Sum",
        Tags=draft.tags(),
        Threshold=1,
        TreatMissingData="notBreaching",
    )


def _scaling(draft: Draft, of: str, service: str, dimension: str, resource: list[Any], metric: str) -> None:
    draft.add(
        f"{of}Target",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        MaxCapacity=4,
        MinCapacity=1,
        ResourceId={"Fn::Join": ["", resource]},
        ScalableDimension=dimension,
        ServiceNamespace=service,
    )
    draft.add(
        f"{of}Scaling",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        PolicyName=f"labcycle-fraud-{of.lower()}",
        PolicyType="TargetTrackingScaling",
        ScalingTargetId={"Ref": f"{of}Target"},
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "TargetValue": 60,
        },
    )
