"""Every CloudFormation type that the local cloud takes, and what stands behind it.

`real` does what it does on AWS, as far as the platform uses it. `recorded` keeps and shows its properties, and nothing
happens by them. `placeholder` keeps nothing but an identifier. A type that is not here fails the deploy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["real", "recorded", "placeholder"]


@dataclass(frozen=True)
class Standing:
    """How real a type is here; every type that is not wholly real says why."""

    kind: Kind
    reason: str = ""


REAL = Standing("real")


def _recorded(reason: str) -> Standing:
    return Standing("recorded", reason)


_NETWORK = _recorded("no packet is routed; the functions and services of the platform do not run in the network")

_BEHIND = _recorded("the API asks the service's processes directly, those that are healthy in turn")
_SERVED = "the same server runs as a process of the host's Python"

TYPES: dict[str, Standing] = {
    "AWS::ApiGatewayV2::Api": REAL,
    "AWS::ApiGatewayV2::Authorizer": REAL,
    "AWS::ApiGatewayV2::Integration": REAL,
    "AWS::ApiGatewayV2::Route": REAL,
    "AWS::ApiGatewayV2::Stage": REAL,
    "AWS::ApiGatewayV2::VpcLink": Standing("placeholder", "the API asks the service's processes directly"),
    "AWS::ApplicationAutoScaling::ScalableTarget": Standing(
        "placeholder",
        "nothing scales: of a service the least count of tasks runs, up to two; of an endpoint one server",
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Standing("placeholder", "nothing scales"),
    "AWS::Batch::ComputeEnvironment": _recorded(
        "no machine is started: jobs run on the host, as many at once as it has processors"
    ),
    "AWS::Batch::JobDefinition": _recorded(
        "its command, role, variables, log and retries are the process's; the image is the host's Python, processors and memory are not limited"
    ),
    "AWS::Batch::JobQueue": _recorded(
        "jobs begin in the order in which they came; spot is taken back only where a test asks for it"
    ),
    "AWS::CDK::Metadata": Standing("placeholder", "carries no behaviour on AWS either"),
    "AWS::CloudFormation::WaitConditionHandle": Standing("placeholder", "carries no behaviour on AWS either"),
    "AWS::CloudWatch::Alarm": REAL,
    "AWS::CloudWatch::Dashboard": _recorded("there is no console to show it"),
    "AWS::CodeBuild::Project": _recorded(
        "nothing is built: the context is unpacked, and the packages of its lock are the host's"
    ),
    "AWS::DynamoDB::Table": REAL,
    "AWS::EC2::EIP": _NETWORK,
    "AWS::EC2::FlowLog": _NETWORK,
    "AWS::EC2::InternetGateway": _NETWORK,
    "AWS::EC2::LaunchTemplate": _recorded("no instance is started from it"),
    "AWS::EC2::NatGateway": _NETWORK,
    "AWS::EC2::Route": _NETWORK,
    "AWS::EC2::RouteTable": _NETWORK,
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::Subnet": _NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCEndpoint": _NETWORK,
    "AWS::EC2::VPCGatewayAttachment": _NETWORK,
    "AWS::ECR::Repository": _recorded("it keeps names of images and nothing that could run: there is no Docker"),
    "AWS::ECS::Cluster": _recorded("tasks are placed nowhere"),
    "AWS::ECS::Service": _recorded(f"{_SERVED}, one or two times, and is begun again when it ends or is not healthy"),
    "AWS::ECS::TaskDefinition": _recorded(
        "its roles, variables and log are the process's; processor, memory, user and file system are not limited"
    ),
    "AWS::ElasticLoadBalancingV2::Listener": _BEHIND,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _BEHIND,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _BEHIND,
    "AWS::Events::EventBus": REAL,
    "AWS::Events::EventBusPolicy": _recorded("one account: nobody from outside sends events"),
    "AWS::Events::Rule": REAL,
    "AWS::IAM::InstanceProfile": _recorded("no instance uses it"),
    "AWS::IAM::ManagedPolicy": REAL,
    "AWS::IAM::Policy": REAL,
    "AWS::IAM::Role": REAL,
    "AWS::IAM::User": REAL,
    "AWS::KMS::Alias": REAL,
    "AWS::KMS::Key": REAL,
    "AWS::Lambda::EventInvokeConfig": REAL,
    "AWS::Lambda::EventSourceMapping": REAL,
    "AWS::Lambda::Function": REAL,
    "AWS::Lambda::Permission": REAL,
    "AWS::Lambda::Version": REAL,
    "AWS::Logs::LogGroup": REAL,
    "AWS::Logs::LogStream": REAL,
    "AWS::Logs::MetricFilter": _recorded("no metric is made out of log lines; embedded metric format works"),
    "AWS::Logs::QueryDefinition": Standing("placeholder", "there is no console to run it from"),
    "AWS::Logs::ResourcePolicy": _recorded("the services that it lets in write without asking it"),
    "AWS::S3::Bucket": REAL,
    "AWS::S3::BucketPolicy": REAL,
    "AWS::SNS::Subscription": REAL,
    "AWS::SNS::Topic": REAL,
    "AWS::SNS::TopicPolicy": REAL,
    "AWS::SQS::Queue": REAL,
    "AWS::SQS::QueuePolicy": REAL,
    "AWS::SSM::Parameter": REAL,
    "AWS::SageMaker::Endpoint": _recorded(f"{_SERVED}, once, and InvokeEndpoint asks it; instances are not started"),
    "AWS::SageMaker::EndpointConfig": _recorded("instances and memory are not had; concurrency of serverless is held"),
    "AWS::SageMaker::Model": _recorded("its role and variables are the process's; its network is not"),
    "AWS::Scheduler::Schedule": REAL,
    "AWS::Scheduler::ScheduleGroup": REAL,
    "AWS::StepFunctions::StateMachine": REAL,
}


def table() -> str:
    """The types as the table of docs/local-cloud.md."""
    lines = ["| type | standing | why not wholly real |", "|---|---|---|"]
    lines += [f"| `{name}` | {found.kind} | {found.reason} |" for name, found in sorted(TYPES.items())]
    return "\n".join(lines) + "\n"
