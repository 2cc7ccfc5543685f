"""What each team has: the resources of its stacks, and what its roles and launch templates make at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.roles import Role, roles
from labcycle.check.template import Template
from labcycle.check.values import listed

TEAM_TAG = "labcycle:team"

# The ARNs under which a resource, and all that is in it, is asked for.
_FORMS: Mapping[str, tuple[str, ...]] = {
    "AWS::ApiGateway::ApiKey": ("{arn}",),
    "AWS::ApiGateway::RestApi": ("{execute_api}", "{arn}", "{arn}/*"),
    "AWS::ApiGateway::UsagePlan": ("{arn}", "{arn}/*"),
    "AWS::ApiGatewayV2::Api": ("{execute_api}", "{arn}", "{arn}/*"),
    "AWS::ApiGatewayV2::VpcLink": ("arn:{partition}:apigateway:{region}::/vpclinks/{name}",),
    "AWS::ApplicationAutoScaling::ScalableTarget": (
        "arn:{partition}:application-autoscaling:{place}:scalable-target/{name}",
    ),
    "AWS::Batch::ComputeEnvironment": (
        "{arn}",
        "{ecs}:cluster/AWSBatch-{name}-*",
        "{ecs}:container-instance/AWSBatch-{name}-*/*",
        "{ecs}:task/AWSBatch-{name}-*/*",
    ),
    "AWS::Batch::JobDefinition": ("{arn}", "arn:{partition}:batch:{place}:job-definition/{name}"),
    "AWS::Batch::JobQueue": ("{arn}",),
    "AWS::CloudWatch::Alarm": ("{arn}",),
    "AWS::CloudWatch::CompositeAlarm": ("{arn}",),
    "AWS::CloudWatch::Dashboard": ("{arn}",),
    "AWS::CodeBuild::Project": ("{arn}", "arn:{partition}:codebuild:{place}:build/{name}:*"),
    "AWS::DynamoDB::GlobalTable": ("{arn}", "{arn}/*"),
    "AWS::DynamoDB::Table": ("{arn}", "{arn}/*"),
    "AWS::EC2::Instance": ("{ec2}:instance/{name}",),
    "AWS::EC2::LaunchTemplate": ("{ec2}:launch-template/{name}",),
    "AWS::EC2::SecurityGroup": ("{ec2}:security-group/{name}",),
    "AWS::EC2::Volume": ("{ec2}:volume/{name}",),
    "AWS::ECR::Repository": ("{arn}",),
    "AWS::ECS::Cluster": (
        "{arn}",
        "{ecs}:container-instance/{name}/*",
        "{ecs}:service/{name}/*",
        "{ecs}:task/{name}/*",
    ),
    "AWS::ECS::Service": ("{ecs}:service/*/{name}",),
    "AWS::ECS::TaskDefinition": ("{ecs}:task-definition/{name}:*",),
    "AWS::ElasticLoadBalancingV2::Listener": ("{elb}:listener/app/*/*/{name}",),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("{elb}:loadbalancer/app/{name}/*",),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("{elb}:targetgroup/{name}/*",),
    "AWS::Events::EventBus": ("{arn}",),
    "AWS::Events::Rule": ("{arn}", "arn:{partition}:events:{place}:rule/*/{name}"),
    "AWS::IAM::InstanceProfile": ("{arn}",),
    "AWS::IAM::ManagedPolicy": ("{arn}",),
    "AWS::IAM::Role": ("{arn}",),
    "AWS::KMS::Alias": ("arn:{partition}:kms:{place}:{alias}",),
    "AWS::KMS::Key": ("{arn}",),
    "AWS::Lambda::EventSourceMapping": ("arn:{partition}:lambda:{place}:event-source-mapping:{name}",),
    "AWS::Lambda::Function": ("{arn}", "{arn}:*"),
    "AWS::Logs::LogGroup": ("{group}", "{group}:*"),
    "AWS::S3::Bucket": ("{arn}", "{arn}/*"),
    "AWS::SNS::Topic": ("{arn}", "{arn}:*"),
    "AWS::SQS::Queue": ("{arn}",),
    "AWS::SSM::Parameter": ("{arn}",),
    "AWS::SageMaker::Endpoint": ("{sagemaker}:endpoint/{name}",),
    "AWS::SageMaker::EndpointConfig": ("{sagemaker}:endpoint-config/{name}",),
    "AWS::SageMaker::Model": ("{sagemaker}:model/{name}",),
    "AWS::Scheduler::Schedule": ("{arn}",),
    "AWS::SecretsManager::Secret": ("{arn}*",),
    "AWS::StepFunctions::StateMachine": (
        "{arn}",
        "{arn}:*",
        "arn:{partition}:states:{place}:execution:{name}:*",
        "arn:{partition}:states:{place}:express:{name}:*",
    ),
}
# Parts of the resources above, or of nothing that IAM could let somebody reach.
_PARTS = frozenset(
    {
        "AWS::ApiGateway::Account",
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::GatewayResponse",
        "AWS::ApiGateway::Method",
        "AWS::ApiGateway::Resource",
        "AWS::ApiGateway::Stage",
        "AWS::ApiGateway::UsagePlanKey",
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Stage",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::CDK::Metadata",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::Events::EventBusPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::RolePolicy",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::Logs::QueryDefinition",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "Custom::LabcycleImage",
    }
)
# What roles make that no template has: it belongs to the team whose roles may make it.
_MAKING = ("sagemaker:CreateTrainingJob", "sagemaker:CreateProcessingJob", "logs:CreateLogStream")


@dataclass(frozen=True)
class Owned:
    """Something of a team.

    Parameters
    ----------
    arn
        ARN, or a pattern of ARNs.
    stands_for
        ARN of the resource whose policy says who may use it.
    tags
        Those that are known; empty where none is.
    """

    team: str
    arn: str
    stands_for: str
    account: str
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


def team_of(estate: Estate, template: Template, logical_id: str) -> str:
    """The team that a resource belongs to, by its own tags or its stack's; empty if to none."""
    return tags_of(estate, template, logical_id).get(TEAM_TAG) or template.tags.get(TEAM_TAG, "")


def tags_of(estate: Estate, template: Template, logical_id: str) -> dict[str, str]:
    """The tags that a resource is given in the template itself."""
    return _tags(estate.value(template, template.properties(logical_id).get("Tags")))


def owned(estate: Estate) -> list[Owned]:
    """All that teams have, each ARN once a team."""
    found = [*_in_templates(estate), *_launched(estate), *_submitted(estate)]
    known = {one.arn for one in found}
    found += [one for one in _made_by_roles(estate) if one.arn not in known]
    return list(dict.fromkeys(found))


def uncovered(estate: Estate) -> list[str]:
    """Resources of teams of which it is not known here how they could be reached."""
    return [
        f"{template.name}/{logical_id}: {resource.get('Type')}"
        for template, logical_id, resource in estate.resources()
        if team_of(estate, template, logical_id)
        and resource.get("Type") not in _FORMS
        and resource.get("Type") not in _PARTS
    ]


def team_roles(estate: Estate) -> dict[str, list[Role]]:
    """The roles of each team."""
    found: dict[str, list[Role]] = {}
    for role in roles(estate):
        team = team_of(estate, role.template, role.logical_id)
        if team:
            found.setdefault(team, []).append(role)
    return found


def _in_templates(estate: Estate) -> Iterator[Owned]:
    for template, logical_id, resource in estate.resources(*_FORMS):
        team = team_of(estate, template, logical_id)
        if not team:
            continue
        place = f"{estate.region(template)}:{estate.account(template)}"
        name, arn = estate.name(template, logical_id), estate.arn(template, logical_id)
        partition = estate.partition(template)
        for form in _FORMS[str(resource["Type"])]:
            pattern = form.format(
                arn=arn,
                name=name,
                place=place,
                partition=partition,
                group=arn.removesuffix(":*"),
                region=estate.region(template),
                ec2=f"arn:{partition}:ec2:{place}",
                ecs=f"arn:{partition}:ecs:{place}",
                elb=f"arn:{partition}:elasticloadbalancing:{place}",
                sagemaker=f"arn:{partition}:sagemaker:{place}",
                execute_api=f"arn:{partition}:execute-api:{place}:{name}/*",
                alias=estate.text(template, template.properties(logical_id).get("AliasName", "")),
            )
            yield Owned(team, pattern, arn, estate.account(template), tags_of(estate, template, logical_id))


def _launched(estate: Estate) -> Iterator[Owned]:
    """Instances and volumes of launch templates: their ids are not known before, but their tags are."""
    for template, logical_id, _ in estate.resources("AWS::EC2::LaunchTemplate"):
        data = estate.value(template, template.properties(logical_id).get("LaunchTemplateData", {}))
        for specification in data.get("TagSpecifications", []):
            kind, tags = specification["ResourceType"], _tags(specification.get("Tags"))
            place = f"{estate.region(template)}:{estate.account(template)}"
            arn = f"arn:{estate.partition(template)}:ec2:{place}:{kind}/*"
            team = team_of(estate, template, logical_id)
            if team:
                yield Owned(team, arn, arn, estate.account(template), tags)


def _submitted(estate: Estate) -> Iterator[Owned]:
    """Jobs: their ids are not known before, but they have the tags of their definition, without which nobody may submit them."""
    for template, logical_id, _ in estate.resources("AWS::Batch::JobDefinition"):
        team, tags = team_of(estate, template, logical_id), tags_of(estate, template, logical_id)
        if team:
            arn = f"arn:{estate.partition(template)}:batch:{estate.region(template)}:{estate.account(template)}:job/*"
            yield Owned(team, arn, arn, estate.account(template), tags)


def _made_by_roles(estate: Estate) -> Iterator[Owned]:
    for team, all_roles in team_roles(estate).items():
        for role in all_roles:
            for statement in (s for policy in role.policies for s in listed(policy.document.get("Statement"))):
                if statement.get("Effect") == "Allow" and set(listed(statement.get("Action"))) & set(_MAKING):
                    for arn in listed(statement.get("Resource")):
                        if arn != "*" and estate.find(arn) is None:
                            yield Owned(team, arn, arn, estate.account(role.template))


def _tags(given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    return {str(tag["Key"]): str(tag["Value"]) for tag in given or () if "Key" in tag and "Value" in tag}
