"""CloudFormation resource types that moto lacks or makes inert: thin models that call moto's own service API.

A property that the service's API does not know fails the deployment (botocore validates the request).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel

from tests.cloud.harness.place import Place

# Types that are left out of a deployment, each with the reason why nothing that is tested here needs it.
LEFT_OUT: dict[str, str] = {
    "AWS::CDK::Metadata": "a usage record of the CDK, no resource",
    "AWS::Logs::QueryDefinition": "a text for people to run in the console, which nothing here has",
    "Custom::LabcycleImage": "there is no Docker: its function and its build have tests of their own",
}

Properties = dict[str, Any]


@dataclass(frozen=True)
class Created:
    """What `Ref` and `Fn::GetAtt` give."""

    reference: str
    attributes: Mapping[str, str] = field(default_factory=dict)


Create = Callable[[Any, str, Properties, Place], Created]
_OWN: dict[str, type] = {}


def model(resource_type: str, service: str, name_property: str = "") -> Callable[[Create], Create]:
    """Register `create(client, name, properties, place)` as the model of a resource type."""

    def register(create: Create) -> Create:
        def from_json(
            cls: type,
            /,
            resource_name: str,
            cloudformation_json: Properties,
            account_id: str,
            region_name: str,
            **_: Any,
        ) -> Any:
            place = Place(account_id, region_name)
            properties = dict(cloudformation_json.get("Properties") or {})
            made = cls()
            made.created = create(place.client(service), resource_name, properties, place)
            made.physical_resource_id = made.created.reference
            return made

        def attribute(self: Any, name: str) -> str:
            try:
                value: str = self.created.attributes[name]
            except KeyError:
                raise AssertionError(f"{resource_type}: no attribute {name} in the harness") from None
            return value

        # moto's metaclass reads the service from the module's name.
        _OWN[resource_type] = type(CloudFormationModel)(
            resource_type.replace("::", "_"),
            (CloudFormationModel,),
            {
                "__module__": f"moto.{service}.harness",
                "cloudformation_type": staticmethod(lambda: resource_type),
                "cloudformation_name_type": staticmethod(lambda: name_property),
                "create_from_cloudformation_json": classmethod(from_json),
                "has_cfn_attr": classmethod(lambda cls, name: True),
                "get_cfn_attribute": attribute,
            },
        )
        for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
            cached.cache_clear()
        return create

    return register


def supported(resource_type: str) -> bool:
    """Whether a deployment really makes resources of this type."""
    return resource_type in parsing.get_model_map()


@model("AWS::CloudWatch::Alarm", "cloudwatch", "AlarmName")
def _alarm(cloudwatch: Any, name: str, properties: Properties, place: Place) -> Created:
    cloudwatch.put_metric_alarm(**{**properties, "AlarmName": name})
    return Created(name, {"Arn": f"arn:aws:cloudwatch:{place.region}:{place.account}:alarm:{name}"})


@model("AWS::SNS::Subscription", "sns")
def _subscription(sns: Any, name: str, properties: Properties, place: Place) -> Created:
    known = {key: properties.pop(key) for key in ("TopicArn", "Protocol", "Endpoint")}
    attributes = {k: v if isinstance(v, str) else json.dumps(v) for k, v in properties.items()}
    arn = sns.subscribe(**known, Attributes=attributes, ReturnSubscriptionArn=True)["SubscriptionArn"]
    return Created(arn, {"Arn": arn})


@model("AWS::SNS::TopicPolicy", "sns")
def _topic_policy(sns: Any, name: str, properties: Properties, place: Place) -> Created:
    for topic in properties["Topics"]:
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(properties["PolicyDocument"])
        )
    return Created(name, {"Id": name})


@model("AWS::S3::BucketPolicy", "s3")
def _bucket_policy(s3: Any, name: str, properties: Properties, place: Place) -> Created:
    s3.put_bucket_policy(Bucket=properties["Bucket"], Policy=json.dumps(properties["PolicyDocument"]))
    return Created(name)


@model("AWS::SQS::QueuePolicy", "sqs")
def _queue_policy(sqs: Any, name: str, properties: Properties, place: Place) -> Created:
    for queue in properties["Queues"]:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(properties["PolicyDocument"])})
    return Created(name, {"Id": name})


@model("AWS::Scheduler::Schedule", "scheduler", "Name")
def _schedule(scheduler: Any, name: str, properties: Properties, place: Place) -> Created:
    arn = scheduler.create_schedule(**{**properties, "Name": name[:64]})["ScheduleArn"]
    return Created(name[:64], {"Arn": arn})


@model("AWS::Scheduler::ScheduleGroup", "scheduler", "Name")
def _schedule_group(scheduler: Any, name: str, properties: Properties, place: Place) -> Created:
    arn = scheduler.create_schedule_group(**{**properties, "Name": name})["ScheduleGroupArn"]
    return Created(name, {"Arn": arn})


@model("AWS::Lambda::EventInvokeConfig", "lambda")
def _event_invoke_config(lambda_: Any, name: str, properties: Properties, place: Place) -> Created:
    properties.pop("Qualifier", None)  # moto keeps the configuration of a function, not of its versions
    lambda_.put_function_event_invoke_config(**properties)
    return Created(name)


@model("AWS::Lambda::EventSourceMapping", "lambda")
def _event_source_mapping(lambda_: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own model takes whatever it is given."""
    properties["Tags"] = {tag["Key"]: tag["Value"] for tag in properties.pop("Tags", ())}
    return Created(lambda_.create_event_source_mapping(**properties)["UUID"])


@model("AWS::Lambda::Alias", "lambda", "Name")
def _alias(lambda_: Any, name: str, properties: Properties, place: Place) -> Created:
    properties.pop("ProvisionedConcurrencyConfig", None)  # nothing is started ahead here
    arn = lambda_.create_alias(**{**properties, "Name": name, "FunctionVersion": str(properties["FunctionVersion"])})[
        "AliasArn"
    ]
    return Created(arn, {"AliasArn": arn})


@model("AWS::StepFunctions::StateMachine", "stepfunctions", "StateMachineName")
def _state_machine(states: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own model lands in the backend that executes nothing, and its way to name resources is asked before ours."""
    name = properties.get("StateMachineName", name)
    definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
    for key, value in properties.get("DefinitionSubstitutions", {}).items():
        definition = definition.replace(f"${{{key}}}", str(value))
    arn = states.create_state_machine(
        name=name[:80],
        definition=definition,
        roleArn=properties["RoleArn"],
        type=properties.get("StateMachineType", "STANDARD"),
        tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in properties.get("Tags", ())],
    )["stateMachineArn"]
    return Created(arn, {"Arn": arn, "Name": name[:80]})


@model("AWS::ApiGatewayV2::Api", "apigatewayv2")
def _api(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    api = gateway.create_api(**properties)
    return Created(api["ApiId"], {"ApiId": api["ApiId"], "ApiEndpoint": api["ApiEndpoint"]})


@model("AWS::ApiGatewayV2::Authorizer", "apigatewayv2")
def _authorizer(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    identifier = gateway.create_authorizer(**properties)["AuthorizerId"]
    return Created(identifier, {"AuthorizerId": identifier})


@model("AWS::ApiGatewayV2::Integration", "apigatewayv2")
def _integration(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    identifier = gateway.create_integration(**properties)["IntegrationId"]
    return Created(identifier, {"IntegrationId": identifier})


@model("AWS::ApiGatewayV2::Route", "apigatewayv2")
def _route(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    identifier = gateway.create_route(**properties)["RouteId"]
    return Created(identifier, {"RouteId": identifier})


@model("AWS::ApiGatewayV2::Stage", "apigatewayv2")
def _stage(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    gateway.create_stage(**properties)
    return Created(properties["StageName"])


@model("AWS::KMS::Key", "kms")
def _key(kms: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own model cannot read tags as CloudFormation spells them."""
    rotates = properties.pop("EnableKeyRotation", False)
    properties.pop("PendingWindowInDays", None)  # concerns the deletion alone
    tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.pop("Tags", ())]
    properties["Policy"] = json.dumps(properties.pop("KeyPolicy"))
    key = kms.create_key(**properties, Tags=tags)["KeyMetadata"]
    if rotates:
        kms.enable_key_rotation(KeyId=key["KeyId"])
    return Created(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})


@model("AWS::SSM::Parameter", "ssm", "Name")
def _parameter(ssm: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own model cannot read tags as CloudFormation spells them."""
    tags = [{"Key": key, "Value": value} for key, value in properties.pop("Tags", {}).items()]
    ssm.put_parameter(**{**properties, "Name": name}, Tags=tags)
    return Created(name, {"Type": properties["Type"], "Value": properties["Value"]})


@model("AWS::ApiGateway::Account", "apigateway")
def _gateway_account(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    role = {"op": "replace", "path": "/cloudwatchRoleArn", "value": properties["CloudWatchRoleArn"]}
    gateway.update_account(patchOperations=[role])
    return Created(name)


@model("AWS::ApiGateway::Stage", "apigateway")
def _rest_stage(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    """Throttles and access log, which moto sets by patches alone, are left out."""
    stage, deployment = properties["StageName"], properties["DeploymentId"]
    deployment = getattr(deployment, "id", deployment)  # moto gives the deployment itself for its Ref
    gateway.create_stage(restApiId=properties["RestApiId"], stageName=stage, deploymentId=deployment)
    return Created(stage)


@model("AWS::ApiGateway::GatewayResponse", "apigateway")
def _gateway_response(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    gateway.put_gateway_response(**{key[0].lower() + key[1:]: value for key, value in properties.items()})
    return Created(name)


@model("AWS::ApiGateway::ApiKey", "apigateway")
def _api_key(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    made = gateway.create_api_key(
        name=properties["Name"], description=properties["Description"], enabled=properties["Enabled"]
    )
    return Created(made["id"], {"APIKeyId": made["id"]})


@model("AWS::ApiGateway::UsagePlan", "apigateway")
def _usage_plan(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    limits: dict[str, Any] = {}
    if throttle := properties.get("Throttle"):
        limits["throttle"] = {"rateLimit": float(throttle["RateLimit"]), "burstLimit": int(throttle["BurstLimit"])}
    if quota := properties.get("Quota"):
        limits["quota"] = {"limit": int(quota["Limit"]), "period": quota["Period"]}
    stages = [{"apiId": one["ApiId"], "stage": one["Stage"]} for one in properties["ApiStages"]]
    made = gateway.create_usage_plan(name=properties["UsagePlanName"], apiStages=stages, **limits)
    return Created(made["id"], {"Id": made["id"]})


@model("AWS::ApiGateway::UsagePlanKey", "apigateway")
def _usage_plan_key(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    made = gateway.create_usage_plan_key(
        usagePlanId=properties["UsagePlanId"], keyId=properties["KeyId"], keyType=properties["KeyType"]
    )
    return Created(f"{made['id']}:{properties['UsagePlanId']}")


@model("AWS::ApiGatewayV2::VpcLink", "apigatewayv2")
def _vpc_link(gateway: Any, name: str, properties: Properties, place: Place) -> Created:
    return Created(gateway.create_vpc_link(**properties)["VpcLinkId"])


@model("AWS::ApplicationAutoScaling::ScalableTarget", "application-autoscaling")
def _scalable_target(scaling: Any, name: str, properties: Properties, place: Place) -> Created:
    properties["Tags"] = {tag["Key"]: tag["Value"] for tag in properties.pop("Tags", ())}
    scaling.register_scalable_target(**properties)
    keys = ("ResourceId", "ScalableDimension", "ServiceNamespace")
    return Created("|".join(properties[key] for key in keys))


@model("AWS::ApplicationAutoScaling::ScalingPolicy", "application-autoscaling", "PolicyName")
def _scaling_policy(scaling: Any, name: str, properties: Properties, place: Place) -> Created:
    keys = ("ResourceId", "ScalableDimension", "ServiceNamespace")
    where = dict(zip(keys, properties.pop("ScalingTargetId").split("|"), strict=True))
    arn = scaling.put_scaling_policy(**{**properties, **where, "PolicyName": name})["PolicyARN"]
    return Created(arn)


@model("AWS::SageMaker::Model", "sagemaker", "ModelName")
def _sagemaker_model(sagemaker: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own models give the endpoint another name than its properties do."""
    arn = sagemaker.create_model(**{**properties, "ModelName": name[-63:].strip("-")})["ModelArn"]
    return Created(arn, {"ModelName": arn.rpartition("/")[2]})


@model("AWS::SageMaker::EndpointConfig", "sagemaker", "EndpointConfigName")
def _endpoint_config(sagemaker: Any, name: str, properties: Properties, place: Place) -> Created:
    made = sagemaker.create_endpoint_config(**{**properties, "EndpointConfigName": name[-63:].strip("-")})
    return Created(made["EndpointConfigArn"], {"EndpointConfigName": made["EndpointConfigArn"].rpartition("/")[2]})


@model("AWS::SageMaker::Endpoint", "sagemaker", "EndpointName")
def _endpoint(sagemaker: Any, name: str, properties: Properties, place: Place) -> Created:
    properties.pop("RetainAllVariantProperties", None)  # concerns updates alone
    arn = sagemaker.create_endpoint(**{**properties, "EndpointName": properties.get("EndpointName", name)})[
        "EndpointArn"
    ]
    return Created(arn, {"EndpointName": arn.rpartition("/")[2]})


@model("AWS::CodeBuild::Project", "codebuild", "Name")
def _build_project(codebuild: Any, name: str, properties: Properties, place: Place) -> Created:
    def spelt(value: Any) -> Any:
        """As the service's API spells what CloudFormation begins with a capital."""
        if isinstance(value, dict):
            return {key[0].lower() + key[1:]: spelt(inner) for key, inner in value.items()}
        return [spelt(inner) for inner in value] if isinstance(value, list) else value

    asked = spelt(properties)
    asked["source"]["buildspec"] = asked["source"].pop("buildSpec")
    asked["source"]["location"] = "none"  # moto asks for it, also where there is none
    arn = codebuild.create_project(**{**asked, "name": name})["project"]["arn"]
    return Created(name, {"Arn": arn})


@model("AWS::EC2::SecurityGroupEgress", "ec2")
def _egress(ec2: Any, name: str, properties: Properties, place: Place) -> Created:
    rule = {key: properties[key] for key in ("IpProtocol", "FromPort", "ToPort")}
    if "DestinationSecurityGroupId" in properties:
        rule["UserIdGroupPairs"] = [{"GroupId": properties["DestinationSecurityGroupId"]}]
    else:
        rule["IpRanges"] = [{"CidrIp": properties["CidrIp"], "Description": properties["Description"]}]
    made = ec2.authorize_security_group_egress(GroupId=properties["GroupId"], IpPermissions=[rule])
    return Created(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])


@model("AWS::ECR::Repository", "ecr", "RepositoryName")
def _repository(ecr: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own model gives it a name that the service refuses; CloudFormation's own are in small letters."""
    made = ecr.create_repository(
        repositoryName=name.lower(),
        imageTagMutability=properties["ImageTagMutability"],
        imageScanningConfiguration={"scanOnPush": properties["ImageScanningConfiguration"]["ScanOnPush"]},
        encryptionConfiguration={
            "encryptionType": properties["EncryptionConfiguration"]["EncryptionType"],
            "kmsKey": properties["EncryptionConfiguration"]["KmsKey"],
        },
        tags=properties["Tags"],
    )["repository"]
    ecr.put_lifecycle_policy(
        repositoryName=name.lower(), lifecyclePolicyText=properties["LifecyclePolicy"]["LifecyclePolicyText"]
    )
    return Created(name.lower(), {"Arn": made["repositoryArn"], "RepositoryUri": made["repositoryUri"]})


@model("AWS::ElasticLoadBalancingV2::LoadBalancer", "elbv2", "Name")
def _load_balancer(elb: Any, name: str, properties: Properties, place: Place) -> Created:
    """moto's own model knows no full name."""
    attributes = properties.pop("LoadBalancerAttributes")
    [made] = elb.create_load_balancer(**{**properties, "Name": name[:32].strip("-")})["LoadBalancers"]
    elb.modify_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"], Attributes=attributes)
    full = made["LoadBalancerArn"].partition(":loadbalancer/")[2]
    return Created(made["LoadBalancerArn"], {"LoadBalancerFullName": full, "DNSName": made["DNSName"]})


@model("AWS::ElasticLoadBalancingV2::TargetGroup", "elbv2", "Name")
def _target_group(elb: Any, name: str, properties: Properties, place: Place) -> Created:
    """The same."""
    attributes = properties.pop("TargetGroupAttributes")
    [made] = elb.create_target_group(**{**properties, "Name": name[:32].strip("-")})["TargetGroups"]
    elb.modify_target_group_attributes(TargetGroupArn=made["TargetGroupArn"], Attributes=attributes)
    full = made["TargetGroupArn"].rpartition(":")[2]
    return Created(made["TargetGroupArn"], {"TargetGroupFullName": full, "TargetGroupArn": made["TargetGroupArn"]})
