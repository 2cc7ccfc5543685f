"""SageMakerModelService on its own, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Duration, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Match, Template

from labcycle.config import InstanceOffHours, Lock, Monitor, RawCapture, names
from labcycle.serving import Asynchronous, ModelRuntime, RealTime, SageMakerModelService, Serverless
from labcycle_lambdas.model_server.keeping import Keeping
from tests.synth.serving.surroundings import SUBNETS, around, network, published_and_told
from tests.synth.serving.test_fargate_service import one
from tests.synth.serving.test_model_service import statements

NAME = "labcycle-fraud-card-fraud"


def real_time(stack: Stack, *, subnets: int = 2, **props: Any) -> RealTime:
    return RealTime(network(stack, subnets), **props)


def service(stack: Stack, endpoint: RealTime | Serverless | Asynchronous, **props: Any) -> SageMakerModelService:
    return SageMakerModelService(stack, "Service", endpoint=endpoint, **around(stack), **props)


@pytest.fixture(scope="module")
def template() -> Template:
    stack = Stack(App(), "Stack")
    endpoint = real_time(stack, minimum_instances=3, maximum_instances=5)
    made = service(stack, endpoint, requests_per_second=20, burst=40, timeout=Duration.seconds(20), app=True)
    made.grant_invoke(iam.Role(stack, "Consumer", assumed_by=iam.AccountRootPrincipal()))
    return Template.from_stack(stack)


@pytest.fixture(scope="module")
def serverless() -> Template:
    stack = Stack(App(), "Stack")
    service(stack, Serverless(Size.mebibytes(4096), 7))
    return Template.from_stack(stack)


def later(stack: Stack, **props: Any) -> Asynchronous:
    return Asynchronous(network(stack), **props)


@pytest.fixture(scope="module")
def asynchronous() -> Template:
    stack = Stack(App(), "Stack")
    endpoint = later(stack, instance_type="ml.m5.xlarge", maximum_instances=3, concurrency=2)
    service(stack, endpoint, timeout=Duration.minutes(10))
    return Template.from_stack(stack)


def test_the_endpoint_runs_our_container_in_the_network(template: Template) -> None:
    _, model = one(template, "AWS::SageMaker::Model")
    container = model["Properties"]["PrimaryContainer"]
    assert container["Environment"] == {
        "LEDGER_TABLE": "labcycle-fraud-ledger",
        "ARTIFACT_BUCKET": "artifacts",
        "MODEL": "card-fraud",
        "TEAM": "fraud",
        "AWS_DEFAULT_REGION": {"Ref": "AWS::Region"},
        "RUNS_ON": '{"runtime":"sagemaker","mode":"real_time","instance_type":"ml.m5.large"}',
    }
    group, _ = one(template, "AWS::EC2::SecurityGroup")
    assert model["Properties"]["VpcConfig"] == {
        "SecurityGroupIds": [{"Fn::GetAtt": [group, "GroupId"]}],
        "Subnets": SUBNETS,
    }
    template.resource_count_is("AWS::EC2::SecurityGroupIngress", 0)
    _, egress = one(template, "AWS::EC2::SecurityGroupEgress")
    assert (egress["Properties"]["FromPort"], egress["Properties"]["ToPort"]) == (443, 443)


def test_a_model_begins_when_its_image_is_there(template: Template) -> None:
    built, resource = one(template, "Custom::LabcycleImage")
    _, model = one(template, "AWS::SageMaker::Model")
    assert built in model["DependsOn"]
    image = json.dumps(model["Properties"]["PrimaryContainer"]["Image"])
    assert image.endswith(f':{resource["Properties"]["Tag"]}"]]}}')


def test_a_change_makes_a_new_configuration(template: Template) -> None:
    """CloudFormation replaces what has no name of its own; of a changed configuration of the same name SageMaker knows nothing."""
    model, made = one(template, "AWS::SageMaker::Model")
    config, resource = one(template, "AWS::SageMaker::EndpointConfig")
    _, endpoint = one(template, "AWS::SageMaker::Endpoint")
    assert "ModelName" not in made["Properties"] and "EndpointConfigName" not in resource["Properties"]
    [variant] = resource["Properties"]["ProductionVariants"]
    assert variant["ModelName"] == {"Fn::GetAtt": [model, "ModelName"]}
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 3)
    key, _ = one(template, "AWS::KMS::Key")
    assert resource["Properties"]["KmsKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
    assert endpoint["Properties"]["EndpointConfigName"] == {"Fn::GetAtt": [config, "EndpointConfigName"]}


@pytest.mark.parametrize(
    ("mode", "slow"), [("template", 16_000_000), ("serverless", 23_200_000), ("asynchronous", 480_000_000)]
)
def test_a_deployment_that_fails_is_taken_back(mode: str, slow: int, request: pytest.FixtureRequest) -> None:
    template = request.getfixturevalue(mode)
    _, endpoint = one(template, "AWS::SageMaker::Endpoint")
    of_variant = {"Dimensions": Match.array_with([Match.object_like({"Name": "VariantName"})])}
    alarms = template.find_resources(
        "AWS::CloudWatch::Alarm", {"Properties": {"Namespace": "AWS/SageMaker", **of_variant}}
    )
    rollback = endpoint["Properties"]["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert {alarm["AlarmName"]["Ref"] for alarm in rollback["Alarms"]} == set(alarms)
    assert {alarm["Properties"]["MetricName"]: alarm["Properties"]["Threshold"] for alarm in alarms.values()} == {
        "Invocation5XXErrors": 10,
        "ModelLatency": slow,  # microseconds: four fifths of 20 and of 29 seconds, and of ten minutes
    }
    _, config = one(template, "AWS::SageMaker::EndpointConfig")
    [variant] = config["Properties"]["ProductionVariants"]
    watched = [
        {"Name": "EndpointName", "Value": NAME},
        {"Name": "VariantName", "Value": variant["VariantName"]},
    ]
    for alarm in alarms.values():
        assert alarm["Properties"]["Dimensions"] == watched
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"
        assert alarm["Properties"]["AlarmActions"]


def test_the_count_of_instances_belongs_to_scaling(template: Template) -> None:
    logical_id, endpoint = one(template, "AWS::SageMaker::Endpoint")
    assert endpoint["Properties"]["RetainAllVariantProperties"] is True
    _, target = one(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["Properties"]["MinCapacity"], target["Properties"]["MaxCapacity"]) == (3, 5)
    place = {"Fn::Join": ["", ["endpoint/", {"Fn::GetAtt": [logical_id, "EndpointName"]}, "/variant/all"]]}
    assert target["Properties"]["ResourceId"] == place
    assert "SageMakerEndpoint" in json.dumps(target["Properties"]["RoleARN"])
    _, policy = one(template, "AWS::ApplicationAutoScaling::ScalingPolicy")
    tracked = policy["Properties"]["TargetTrackingScalingPolicyConfiguration"]
    # At 20 requests a second each of five instances has its share: 240 a minute.
    assert tracked["TargetValue"] == 240
    assert tracked["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }


def test_the_api_has_the_routes_of_the_other_forms(template: Template) -> None:
    routes = template.find_resources("AWS::ApiGatewayV2::Route").values()
    assert {route["Properties"]["RouteKey"]: route["Properties"]["AuthorizationType"] for route in routes} == {
        "POST /invocations": "AWS_IAM",
        "GET /ping": "AWS_IAM",
        "GET /version": "AWS_IAM",
        "GET /openapi.json": "AWS_IAM",
        "GET /app": "AWS_IAM",
    }


def test_the_door_asks_this_endpoint_alone(template: Template) -> None:
    [asks] = statements(template, "sagemaker:InvokeEndpoint")
    assert asks["Action"] == "sagemaker:InvokeEndpoint"
    assert json.dumps(asks["Resource"]).endswith(f':endpoint/{NAME}"]]}}')
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "labcycle_lambdas.endpoint.handler.handle",
            "Timeout": 20,
            "Environment": {
                "Variables": {
                    "TEAM": "fraud",
                    "MODEL": "card-fraud",
                    "ENDPOINT": NAME,
                    "BODY_BYTES": "6000000",
                    "PATIENCE_SECONDS": "19",
                }
            },
        },
    )


@pytest.mark.parametrize("mode", ["template", "serverless", "asynchronous"])
def test_the_server_may_do_what_it_may_on_fargate(mode: str, request: pytest.FixtureRequest) -> None:
    from tests.synth.serving import test_fargate_service as on_fargate

    stack = Stack(App(), "Stack")
    on_fargate.service(stack)
    tasks = Template.from_stack(stack)
    template = request.getfixturevalue(mode)
    same = ("dynamodb:GetItem", "s3:GetObjectVersion")
    for action in (*same, "dynamodb:PutItem") if mode != "serverless" else same:
        [expected], found = (statements(one, action) for one in (tasks, template))
        assert found.count(expected) == (
            2 if (mode, action) == ("asynchronous", "dynamodb:GetItem") else 1
        )  # the door reads it too
        assert {str(one) for one in found} == {str(expected)}


def test_what_may_stand_still_between_requests_writes_in_them_and_has_no_shadow(
    template: Template, serverless: Template
) -> None:
    for made, suspended in ((template, False), (serverless, True)):
        _, model = one(made, "AWS::SageMaker::Model")
        assert ("SUSPENDED" in model["Properties"]["PrimaryContainer"]["Environment"]) is suspended
        places = made.find_resources(
            "AWS::SSM::Parameter", {"Properties": {"Name": names.shadow_parameter("fraud", "card-fraud")}}
        )
        assert len(places) == (0 if suspended else 1)
        (writes,) = statements(made, "dynamodb:PutItem")
        assert ("SHADOW#" in json.dumps(writes)) is not suspended


def test_sagemaker_may_log_and_publish_what_it_says_of_the_instances(template: Template) -> None:
    (looks,) = statements(template, "logs:DescribeLogStreams")
    assert [
        json.dumps(one).endswith(f'/aws/sagemaker/Endpoints/{NAME}{rest}"]]}}')
        for one, rest in zip(looks["Resource"], ("", ":log-stream:"), strict=True)
    ] == [True, True]
    (publishes,) = statements(template, "cloudwatch:PutMetricData")
    assert publishes["Condition"] == {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}}


def test_it_writes_to_a_log_of_ours(template: Template) -> None:
    group, _ = one(template, "AWS::Logs::LogGroup", LogGroupName=f"/aws/sagemaker/Endpoints/{NAME}")
    _, endpoint = one(template, "AWS::SageMaker::Endpoint")
    assert group in endpoint["DependsOn"]
    assert any(
        one["Resource"] == {"Fn::GetAtt": [group, "Arn"]} for one in statements(template, "logs:CreateLogStream")
    )


def test_a_network_interface_is_made_in_these_subnets_alone(template: Template) -> None:
    [makes] = statements(template, "ec2:CreateNetworkInterface")
    named = [json.dumps(resource) for resource in makes["Resource"]]
    assert [subnet for subnet in SUBNETS if any(f"subnet/{subnet}" in one for one in named)] == SUBNETS
    assert len(named) == 4


def test_a_serverless_endpoint_has_no_network_and_no_count(serverless: Template) -> None:
    _, model = one(serverless, "AWS::SageMaker::Model")
    assert "VpcConfig" not in model["Properties"]
    _, config = one(serverless, "AWS::SageMaker::EndpointConfig")
    [variant] = config["Properties"]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 7}
    assert not {"InstanceType", "InitialInstanceCount"} & variant.keys()
    assert "KmsKeyId" not in config["Properties"]
    for kind in ("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::EC2::SecurityGroup"):
        serverless.resource_count_is(kind, 0)
    assert statements(serverless, "ec2:CreateNetworkInterface") == []
    serverless.has_resource_properties(
        "AWS::Lambda::Function",
        {"Environment": {"Variables": {"ENDPOINT": NAME, "BODY_BYTES": "4000000", "PATIENCE_SECONDS": "28"}}},
    )


@pytest.mark.parametrize(("mode", "memory_mb"), [("template", "8192"), ("serverless", "4096")])
def test_promotions_know_the_memory_of_a_server(mode: str, memory_mb: str, request: pytest.FixtureRequest) -> None:
    template = request.getfixturevalue(mode)
    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {"Name": names.model_server_memory_parameter("fraud", "card-fraud"), "Value": memory_mb},
    )


@pytest.mark.parametrize(
    ("mode", "size", "count"),
    [
        (
            "template",
            {"mode": "real_time", "instance_type": "ml.m5.large"},
            {"minimum_instances": 3, "maximum_instances": 5},
        ),
        ("serverless", {"mode": "serverless", "memory_mb": 4096}, {"maximum_concurrency": 7}),
    ],
)
def test_a_server_knows_its_size_and_advice_how_many_there_are(
    mode: str, size: dict[str, Any], count: dict[str, int], request: pytest.FixtureRequest
) -> None:
    size = {"runtime": "sagemaker", **size}
    parameter, variable = published_and_told(request.getfixturevalue(mode), "AWS::SageMaker::Model")
    assert (variable, parameter) == (size, {**size, **count})


def test_names_keep_within_what_sagemaker_takes() -> None:
    longest = names.endpoint("a" * 30, "m" * 90)
    assert len(longest) == 63
    assert longest.startswith(f"labcycle-{'a' * 30}-m")
    assert longest != names.endpoint("a" * 30, "m" * 89)


@pytest.mark.parametrize(
    ("endpoint", "props", "message"),
    [
        ({"minimum_instances": 0}, {}, "minimum_instances: got 0; allowed 1 to 50"),
        ({"minimum_instances": 4, "maximum_instances": 3}, {}, "maximum_instances: got 3; allowed 4 to 50"),
        ({"subnets": 1}, {}, "vpc: got fewer than two private subnets"),
        ({}, {"timeout": Duration.seconds(30)}, "timeout .seconds.: got 30; allowed 3 to 29"),
        ({}, {"burst": 0}, "burst: got 0; allowed 1 to 5000"),
    ],
)
def test_what_an_endpoint_cannot_have_is_refused(endpoint: dict[str, Any], props: dict[str, Any], message: str) -> None:
    stack = Stack(App(), "Stack")
    with pytest.raises(ValueError, match=message):
        service(stack, real_time(stack, **endpoint), **props)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (Serverless(Size.mebibytes(512)), "memory .MiB.: got 512; allowed 1024 to 6144"),
        (Serverless(Size.mebibytes(1536)), "got 1536; allowed 1024 to 6144 in steps of 1024"),
        (Serverless(maximum_concurrency=201), "maximum_concurrency: got 201; allowed 1 to 200"),
    ],
)
def test_what_a_serverless_endpoint_cannot_have_is_refused(endpoint: Serverless, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        service(Stack(App(), "Stack"), endpoint)


def test_in_off_hours_there_are_so_many_instances() -> None:
    stack = Stack(App(), "Stack")
    off_hours = InstanceOffHours(begin="cron(0 20 ? * MON-FRI *)", end="cron(0 7 ? * MON-FRI *)", instances=1)
    service(stack, real_time(stack, minimum_instances=2, maximum_instances=5, off_hours=off_hours))
    _, target = one(Template.from_stack(stack), "AWS::ApplicationAutoScaling::ScalableTarget")
    begin, end = target["Properties"]["ScheduledActions"]
    assert (begin["Schedule"], begin["Timezone"]) == ("cron(0 20 ? * MON-FRI *)", "Etc/UTC")
    assert begin["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 1}
    assert end["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 5}


def test_what_is_asked_waits_and_its_answer_lies_in_the_bucket(asynchronous: Template) -> None:
    _, config = one(asynchronous, "AWS::SageMaker::EndpointConfig")
    key, _ = one(asynchronous, "AWS::KMS::Key")
    assert config["Properties"]["AsyncInferenceConfig"] == {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
        "OutputConfig": {
            "KmsKeyId": {"Fn::GetAtt": [key, "Arn"]},
            "S3OutputPath": "s3://artifacts/asynchronous/out/card-fraud",
            "S3FailurePath": "s3://artifacts/asynchronous/failed/card-fraud",
        },
    }
    routes = asynchronous.find_resources("AWS::ApiGatewayV2::Route").values()
    answers = {route["Properties"]["RouteKey"]: route["Properties"]["AuthorizationType"] for route in routes}
    assert answers["GET /answers/{id}"] == "AWS_IAM" and "GET /app" not in answers
    asynchronous.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "labcycle_lambdas.endpoint.asynchronous_handler.handle",
            "Timeout": 29,
            "Environment": {
                "Variables": {
                    "TEAM": "fraud",
                    "MODEL": "card-fraud",
                    "ENDPOINT": NAME,
                    "LEDGER_TABLE": "labcycle-fraud-ledger",
                    "ARTIFACT_BUCKET": "artifacts",
                    "TIMEOUT_SECONDS": "600",
                }
            },
        },
    )


def test_door_and_endpoint_have_this_models_objects_alone(asynchronous: Template) -> None:
    [asks] = statements(asynchronous, "sagemaker:InvokeEndpointAsync")
    assert json.dumps(asks["Resource"]).endswith(f':endpoint/{NAME}"]]}}')
    assert statements(asynchronous, "sagemaker:InvokeEndpoint") == []

    def places(action: str) -> list[list[str]]:
        found = [statement["Resource"] for statement in statements(asynchronous, action)]
        ends = [[json.dumps(one) for one in (some if isinstance(some, list) else [some])] for some in found]
        return sorted(
            [one.split("/asynchronous/")[1].rstrip('"]}') for one in some]
            for some in ends
            if "/asynchronous/" in some[0]
        )

    door_reads = ["asked/card-fraud/*", "out/card-fraud/*", "failed/card-fraud/*"]
    assert places("s3:GetObject") == [door_reads, ["in/card-fraud/*"]]
    assert places("s3:PutObject") == [
        ["asked/card-fraud/*", "in/card-fraud/*"],
        ["out/card-fraud/*", "failed/card-fraud/*"],
    ]


def test_instances_come_when_something_waits_and_go(asynchronous: Template) -> None:
    _, config = one(asynchronous, "AWS::SageMaker::EndpointConfig")
    assert config["Properties"]["ProductionVariants"][0]["InitialInstanceCount"] == 1  # SageMaker begins with no less
    _, target = one(asynchronous, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["Properties"]["MinCapacity"], target["Properties"]["MaxCapacity"]) == (0, 3)
    policies = asynchronous.find_resources("AWS::ApplicationAutoScaling::ScalingPolicy")
    by_kind = {one["Properties"]["PolicyType"]: (name, one["Properties"]) for name, one in policies.items()}
    tracked = by_kind["TargetTrackingScaling"][1]["TargetTrackingScalingPolicyConfiguration"]
    of_endpoint = [{"Name": "EndpointName", "Value": NAME}]
    assert tracked["CustomizedMetricSpecification"] == {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Dimensions": of_endpoint,
        "Statistic": "Average",
    }
    assert (tracked["TargetValue"], tracked["ScaleInCooldown"]) == (5, 300)
    name, step = by_kind["StepScaling"]
    assert step["StepScalingPolicyConfiguration"] == {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": 300,
        "MetricAggregationType": "Average",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    }
    asynchronous.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "HasBacklogWithoutCapacity",
            "Dimensions": of_endpoint,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "AlarmActions": [{"Ref": name}],
        },
    )
    asynchronous.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {"MetricName": "ApproximateAgeOfOldestRequest", "Dimensions": of_endpoint, "AlarmActions": Match.any_value()},
    )


@pytest.mark.parametrize(("least", "retained", "policies"), [(0, False, 2), (1, True, 1)])
def test_a_deployment_is_tried_on_an_instance(least: int, retained: bool, policies: int) -> None:
    """Of no instances, which scaling may have left, none would be retained."""
    stack = Stack(App(), "Stack")
    service(stack, later(stack, minimum_instances=least))
    template = Template.from_stack(stack)
    _, endpoint = one(template, "AWS::SageMaker::Endpoint")
    assert endpoint["Properties"]["RetainAllVariantProperties"] is retained
    template.resource_count_is("AWS::ApplicationAutoScaling::ScalingPolicy", policies)


@pytest.mark.parametrize(
    ("endpoint", "props", "message"),
    [
        ({"minimum_instances": -1}, {}, "minimum_instances: got -1; allowed 0 to 50"),
        ({"maximum_instances": 0}, {}, "maximum_instances: got 0; allowed 1 to 50"),
        ({"concurrency": 9}, {}, "concurrency: got 9; allowed 1 to 8"),
        ({}, {"timeout": Duration.seconds(3601)}, "timeout .seconds.: got 3601; allowed 3 to 3600"),
        ({}, {"app": True}, "app: got a page for a model that answers later"),
    ],
)
def test_what_answers_later_cannot_have_is_refused(
    endpoint: dict[str, Any], props: dict[str, Any], message: str
) -> None:
    stack = Stack(App(), "Stack")
    with pytest.raises(ValueError, match=message):
        service(stack, later(stack, **endpoint), **props)


def test_a_gpu_has_its_driver_and_its_onnx_runtime(asynchronous: Template) -> None:
    stack = Stack(App(), "Stack")
    service(stack, later(stack, instance_type="ml.g5.xlarge"))
    accelerated = Template.from_stack(stack)
    amis = [
        one(made, "AWS::SageMaker::EndpointConfig")[1]["Properties"]["ProductionVariants"][0].get("InferenceAmiVersion")
        for made in (accelerated, asynchronous)
    ]
    assert amis == ["al2023-ami-sagemaker-inference-gpu-4-1", None]
    tags = [one(made, "Custom::LabcycleImage")[1]["Properties"]["Tag"] for made in (accelerated, asynchronous)]
    assert tags[0] != tags[1]


def test_disks_of_a_gpu_instance_take_no_key(asynchronous: Template) -> None:
    """CreateEndpointConfig fails where they are given one."""
    stack = Stack(App(), "Stack")
    service(stack, later(stack, instance_type="ml.g5.xlarge"))
    accelerated = Template.from_stack(stack)
    keys = [
        "KmsKeyId" in one(made, "AWS::SageMaker::EndpointConfig")[1]["Properties"]
        for made in (accelerated, asynchronous)
    ]
    assert keys == [False, True]
    assert statements(accelerated, "kms:CreateGrant") == []
    assert len(statements(asynchronous, "kms:CreateGrant")) == 1


def test_a_gpu_is_for_models_in_onnx() -> None:
    stack = Stack(App(), "Stack")
    runtime = ModelRuntime("sklearn", Lock.read("six==1.0"))
    with pytest.raises(ValueError, match="only models in ONNX compute on it"):
        service(stack, later(stack, instance_type="ml.g5.xlarge"), runtime=runtime)


def test_predictions_are_kept_where_the_monitor_asks_for_it() -> None:
    stack = Stack(App(), "Stack")
    made = service(stack, Serverless(Size.mebibytes(4096), 7), monitor=Monitor(capture=RawCapture(percent=5)))
    template = Template.from_stack(stack)
    _, model = one(template, "AWS::SageMaker::Model")
    told = Keeping.of(model["Properties"]["PrimaryContainer"]["Environment"]["CAPTURE"])
    assert told == Keeping(log=True, sample_percent=5)
    assert "artifacts/predictions/card-fraud/*" in json.dumps(template.find_resources("AWS::IAM::Policy"))
    metric = made.metric_integrated_requests()
    assert (metric.namespace, metric.metric_name) == ("AWS/SageMaker", "Invocations")
