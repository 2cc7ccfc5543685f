"""FargateModelService on its own, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Duration, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Match, Template

from labcycle._assets import image_context, package_directory
from labcycle.config import Lock, Monitor, Outcome, TaskOffHours, names
from labcycle.serving import FargateModelService, ModelRuntime
from labcycle.serving.server_image import _PACKAGES, BASE_IMAGE, context_files
from tests.synth.serving.surroundings import SUBNETS, around, network, published_and_told


def service(stack: Stack, *, subnets: int = 2, **props: Any) -> FargateModelService:
    return FargateModelService(stack, "Service", vpc=network(stack, subnets), **around(stack), **props)


@pytest.fixture(scope="module")
def template() -> Template:
    stack = Stack(App(), "Stack")
    made = service(
        stack, minimum_tasks=3, maximum_tasks=5, requests_per_second=20, burst=40, timeout=Duration.seconds(20)
    )
    made.grant_invoke(iam.Role(stack, "Consumer", assumed_by=iam.AccountRootPrincipal()))
    return Template.from_stack(stack)


def one(template: Template, kind: str, **properties: Any) -> tuple[str, dict[str, Any]]:
    found = template.find_resources(kind, {"Properties": properties} if properties else {})
    [(logical_id, resource)] = found.items()
    return logical_id, dict(resource)


def test_a_container_may_do_little(template: Template) -> None:
    _, task = one(template, "AWS::ECS::TaskDefinition")
    [container] = task["Properties"]["ContainerDefinitions"]
    assert (container["ReadonlyRootFilesystem"], container["Privileged"], container["User"]) == (True, False, "10001")
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert container["MountPoints"] == [{"ContainerPath": "/tmp", "ReadOnly": False, "SourceVolume": "tmp"}]
    assert {one["Name"]: one["Value"] for one in container["Environment"]} == {
        "LEDGER_TABLE": "labcycle-fraud-ledger",
        "ARTIFACT_BUCKET": "artifacts",
        "MODEL": "card-fraud",
        "TEAM": "fraud",
        "AWS_DEFAULT_REGION": {"Ref": "AWS::Region"},
        "RUNS_ON": '{"runtime":"fargate","cpu":1024,"memory_mb":2048}',
    }
    assert container["StopTimeout"] > 40  # what the process takes to end: labcycle_lambdas.model_server.process


def test_a_deployment_that_fails_is_taken_back(template: Template) -> None:
    alarms = template.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"Namespace": "AWS/ApplicationELB"}})
    _, made = one(template, "AWS::ECS::Service")
    deployment = made["Properties"]["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert deployment["MinimumHealthyPercent"] == 100
    assert {name["Ref"] for name in deployment["Alarms"]["AlarmNames"]} == set(alarms)
    assert deployment["Alarms"]["Enable"] and deployment["Alarms"]["Rollback"]
    assert {alarm["Properties"]["MetricName"] for alarm in alarms.values()} == {
        "HTTPCode_Target_5XX_Count",
        "UnHealthyHostCount",
    }
    # They must be OK when the first deployment begins, which has no data.
    assert {alarm["Properties"]["TreatMissingData"] for alarm in alarms.values()} == {"notBreaching"}
    assert all(alarm["Properties"]["AlarmActions"] for alarm in alarms.values())


def test_tasks_are_spread_and_counted_by_scaling_alone(template: Template) -> None:
    _, made = one(template, "AWS::ECS::Service")
    assert "DesiredCount" not in made["Properties"]
    assert made["Properties"]["AvailabilityZoneRebalancing"] == "ENABLED"
    network = made["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert (network["AssignPublicIp"], network["Subnets"]) == ("DISABLED", SUBNETS)
    template.has_resource_properties(
        "AWS::ApplicationAutoScaling::ScalableTarget", {"MinCapacity": 3, "MaxCapacity": 5}
    )
    policies = [
        policy["Properties"]["TargetTrackingScalingPolicyConfiguration"]
        for policy in template.find_resources("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    ]
    wanted = {p["PredefinedMetricSpecification"]["PredefinedMetricType"]: p["TargetValue"] for p in policies}
    # At 20 requests a second each of five tasks has its share: 240 a minute.
    assert wanted == {"ECSServiceAverageCPUUtilization": 60, "ALBRequestCountPerTarget": 240}


def test_only_the_api_reaches_the_tasks(template: Template) -> None:
    _, balancer = one(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Properties"]["Scheme"] == "internal"
    for group in template.find_resources("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]
    ingress = template.find_resources("AWS::EC2::SecurityGroupIngress").values()
    ways = {
        (one["Properties"]["SourceSecurityGroupId"]["Fn::GetAtt"][0], one["Properties"]["GroupId"]["Fn::GetAtt"][0])
        for one in ingress
    }
    [link] = template.find_resources("AWS::ApiGatewayV2::VpcLink").values()
    [link_group] = [one["Fn::GetAtt"][0] for one in link["Properties"]["SecurityGroupIds"]]
    [balancer_group] = [one["Fn::GetAtt"][0] for one in balancer["Properties"]["SecurityGroups"]]
    _, made = one(template, "AWS::ECS::Service")
    [task_group] = [
        one["Fn::GetAtt"][0]
        for one in made["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
    ]
    assert ways == {(link_group, balancer_group), (balancer_group, task_group)}


def test_the_api_asks_who_calls_and_tells_the_request(template: Template) -> None:
    routes = template.find_resources("AWS::ApiGatewayV2::Route").values()
    assert {route["Properties"]["RouteKey"]: route["Properties"]["AuthorizationType"] for route in routes} == {
        "POST /invocations": "AWS_IAM",
        "GET /ping": "AWS_IAM",
        "GET /version": "AWS_IAM",
        "GET /openapi.json": "AWS_IAM",
    }
    _, integration = one(template, "AWS::ApiGatewayV2::Integration")
    assert integration["Properties"]["ConnectionType"] == "VPC_LINK"
    assert integration["Properties"]["TimeoutInMillis"] == 20_000
    assert integration["Properties"]["RequestParameters"] == {"overwrite:header.x-request-id": "$context.requestId"}
    template.has_resource_properties(
        "AWS::ApiGatewayV2::Stage",
        {"DefaultRouteSettings": {"ThrottlingRateLimit": 20, "ThrottlingBurstLimit": 40}},
    )


def test_a_model_without_a_live_version_is_healthy(template: Template) -> None:
    """Else the first deployment would be taken back, since a version can only be promoted after it."""
    template.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {"HealthCheckPath": "/ping", "Matcher": {"HttpCode": "200,404"}, "TargetType": "ip"},
    )


def test_the_server_may_do_what_the_function_may(template: Template) -> None:
    from tests.synth.serving import test_model_service as on_lambda

    stack = Stack(App(), "Stack")
    on_lambda.service(stack)
    function = Template.from_stack(stack)
    for action in ("dynamodb:GetItem", "s3:GetObjectVersion"):  # what it writes, its shadow's records too, stands below
        expected, found = (on_lambda.statements(one, action) for one in (function, template))
        assert found == expected


def test_tasks_start_when_their_image_is_there(template: Template) -> None:
    built, resource = one(template, "Custom::LabcycleImage")
    _, task = one(template, "AWS::ECS::TaskDefinition")
    assert built in task["DependsOn"]
    tag = resource["Properties"]["Tag"]
    image = task["Properties"]["ContainerDefinitions"][0]["Image"]
    assert json.dumps(image).endswith(f':{tag}"]]}}')
    assert re.fullmatch("[0-9a-f]{64}", tag)
    _, project = one(template, "AWS::CodeBuild::Project")
    assert f"/{tag}.zip" in json.dumps(project["Properties"]["Source"]["BuildSpec"])
    template.has_resource_properties(
        "AWS::ECR::Repository",
        {
            "ImageTagMutability": "IMMUTABLE",
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": Match.any_value()},
        },
    )


def test_promotions_know_the_memory_of_a_task(template: Template) -> None:
    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {"Name": names.model_server_memory_parameter("fraud", "card-fraud"), "Value": "2048"},
    )


def test_a_task_knows_its_size_and_advice_how_many_there_are(template: Template) -> None:
    size = {"runtime": "fargate", "cpu": 1024, "memory_mb": 2048}
    parameter, variable = published_and_told(template, "AWS::ECS::TaskDefinition")
    assert (variable, parameter) == (size, {**size, "minimum_tasks": 3, "maximum_tasks": 5})


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"memory": Size.mebibytes(1024)}, "memory .MiB.: got 1024 with a cpu of 1024; allowed .2048, 3072"),
        ({"cpu": 1000}, "cpu of 1000; allowed no such cpu"),
        ({"minimum_tasks": 0}, "minimum_tasks: got 0; allowed 1 to 50"),
        ({"minimum_tasks": 4, "maximum_tasks": 3}, "maximum_tasks: got 3; allowed 4 to 50"),
        ({"timeout": Duration.seconds(30)}, "timeout .seconds.: got 30; allowed 3 to 29"),
        ({"subnets": 1}, "vpc: got fewer than two private subnets"),
    ],
)
def test_what_fargate_does_not_have_is_refused(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        service(Stack(App(), "Stack"), **props)


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", dockerfile)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile() -> None:
    """The rules of Dockerfile linters that this one relies on."""
    found = instructions(context_files()["Dockerfile"])
    assert [rest for word, rest in found if word == "FROM"] == [BASE_IMAGE]
    assert re.fullmatch(r"[a-z0-9./:-]+@sha256:[0-9a-f]{64}", BASE_IMAGE)
    users = [rest for word, rest in found if word == "USER"]
    assert users == ["10001"]
    assert not any(word == "RUN" for word, _ in found[found.index(("USER", "10001")) :])
    [run] = [rest for word, rest in found if word == "RUN"]
    assert {"--no-cache-dir", "--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(run.split())
    assert not any(word in ("ADD", "MAINTAINER") or "sudo" in rest for word, rest in found)
    assert all(rest.startswith("[") for word, rest in found if word in ("CMD", "ENTRYPOINT", "VOLUME"))
    assert all(rest.startswith("/") for word, rest in found if word == "WORKDIR")


def test_the_image_has_what_the_function_has() -> None:
    lock = context_files()["requirements.txt"].splitlines()
    pins = [line for line in lock if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    function = (package_directory("labcycle_lambdas") / "model_server" / "requirements.txt").read_text().split()
    assert set(function) <= {pin.split()[0] for pin in pins}


def test_the_image_for_gpus_has_the_other_onnx_runtime() -> None:
    usual, files = context_files(), context_files(accelerated=True)
    assert ("ENV", "NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility") in instructions(
        files["Dockerfile"]
    )
    lock = [line for line in files["requirements.txt"].splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", pin) for pin in lock)
    assert len(lock) == len({pin.partition("==")[0] for pin in lock})
    names = {pin.partition("==")[0] for pin in lock}
    before = {line.partition("==")[0] for line in usual["requirements.txt"].splitlines() if not line.startswith("#")}
    assert before - names == {"onnxruntime"}
    assert {"onnxruntime-gpu", "nvidia-cudnn-cu13", "nvidia-cublas", "nvidia-cuda-runtime"} <= names - before
    assert "NVIDIA" not in usual["Dockerfile"]
    hashed = Lock.read(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ValueError, match="only models in ONNX compute on a GPU"):
        context_files(runtime=ModelRuntime("sklearn", hashed), accelerated=True)


def test_the_server_starts_from_what_the_image_holds(tmp_path: Path) -> None:
    context = tmp_path / "context"
    shutil.copytree(image_context(context_files(), _PACKAGES), context, ignore=shutil.ignore_patterns("__pycache__"))
    assert sorted(path.name for path in context.iterdir()) == [
        "Dockerfile",
        "labcycle_lambdas",
        "labcycle_templates",
        "requirements.txt",
    ]
    assert (context / "labcycle_templates" / "model_server" / "app.html").is_file()
    script = (
        "import sys; from labcycle_lambdas.model_server import process, worker; import labcycle_lambdas\n"
        "print(labcycle_lambdas.__file__)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=context, env={"PYTHONPATH": "."}
    )
    file, modules = run.stdout.splitlines()
    assert file.startswith((str(context), "./"))
    assert "boto3" not in modules.split()


def test_what_running_python_leaves_behind_is_not_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = service(Stack(App(), "Stack")).image.tag
    (context,) = (tmp_path / "labcycle" / "images").iterdir()
    left = context / "labcycle_lambdas" / "__pycache__"
    left.mkdir()
    (left / "memory.cpython-313.pyc").write_bytes(b"left")
    assert service(Stack(App(), "Stack")).image.tag == before


def test_a_shadow_has_its_place_in_the_process_and_its_own_records(template: Template) -> None:
    template.has_resource_properties(
        "AWS::SSM::Parameter", {"Name": "/labcycle/team/fraud/model/card-fraud/shadow", "Value": "process"}
    )
    written = [
        statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for policy in template.find_resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "dynamodb:PutItem"
    ]
    kinds = ("PROFILE", "TRAFFIC", "SHADOW", "SHADOWPROFILE")
    assert [sorted(keys) for keys in written] == [
        sorted(["USAGE#card-fraud", *(f"{kind}#card-fraud#*" for kind in kinds)])
    ]


def resting(tasks: int) -> Template:
    stack = Stack(App(), "Stack")
    off_hours = TaskOffHours(
        begin="cron(0 20 ? * MON-FRI *)", end="cron(0 7 ? * MON-FRI *)", time_zone="Europe/Berlin", tasks=tasks
    )
    service(stack, minimum_tasks=3, maximum_tasks=5, off_hours=off_hours)
    return Template.from_stack(stack)


@pytest.fixture(scope="module")
def asleep() -> Template:
    return resting(0)


@pytest.fixture(scope="module")
def few() -> Template:
    return resting(1)


@pytest.mark.parametrize(("fixture", "tasks"), [("asleep", 0), ("few", 1)])
def test_in_off_hours_there_are_so_many_tasks(fixture: str, tasks: int, request: pytest.FixtureRequest) -> None:
    """No more either: a policy takes none away while its metric has no data."""
    _, target = one(request.getfixturevalue(fixture), "AWS::ApplicationAutoScaling::ScalableTarget")
    begin, end = target["Properties"]["ScheduledActions"]
    assert (begin["Schedule"], begin["Timezone"]) == ("cron(0 20 ? * MON-FRI *)", "Europe/Berlin")
    assert begin["ScalableTargetAction"] == {"MinCapacity": tasks, "MaxCapacity": tasks}
    assert (end["Schedule"], end["Timezone"]) == ("cron(0 7 ? * MON-FRI *)", "Europe/Berlin")
    assert end["ScalableTargetAction"] == {"MinCapacity": 3, "MaxCapacity": 5}


def test_without_tasks_the_api_says_when_to_ask_again(asleep: Template, few: Template, template: Template) -> None:
    _, integration = one(asleep, "AWS::ApiGatewayV2::Integration")
    later = {"Destination": "overwrite:header.retry-after", "Source": "60"}
    assert integration["Properties"]["ResponseParameters"] == {"503": {"ResponseParameters": [later]}}
    for other in (few, template):
        assert "ResponseParameters" not in one(other, "AWS::ApiGatewayV2::Integration")[1]["Properties"]


def test_the_alarm_does_not_count_what_nobody_was_to_answer(asleep: Template, few: Template) -> None:
    [alarm] = [
        found["Properties"]
        for found in asleep.find_resources("AWS::CloudWatch::Alarm").values()
        if "Metrics" in found["Properties"]
    ]
    expression, *metrics = alarm["Metrics"]
    assert expression["Expression"] == "(errors - FILL(absent, 0)) / requests"
    found = {
        one["Id"]: (one["MetricStat"]["Metric"]["MetricName"], one["MetricStat"]["Stat"], one["MetricStat"]["Period"])
        for one in metrics
    }
    assert found == {
        "errors": ("5xx", "Sum", 300),
        "absent": ("HTTPCode_ELB_503_Count", "Sum", 300),
        "requests": ("Count", "Sum", 300),
    }
    assert (alarm["Threshold"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (0.05, 2, 3)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"]
    assert all("Metrics" not in found["Properties"] for found in few.find_resources("AWS::CloudWatch::Alarm").values())


def test_tasks_that_should_be_there_and_do_not_start_are_told(asleep: Template, few: Template) -> None:
    """The alarm does not see them: to it they are absent as at night."""
    _, rule = one(asleep, "AWS::Events::Rule", Description=Match.string_like_regexp("do not start"))
    service_id, _ = one(asleep, "AWS::ECS::Service")
    assert rule["Properties"]["EventPattern"] == {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Service Action"],
        "resources": [{"Ref": service_id}],
        "detail": {
            "eventName": [
                "SERVICE_TASK_CONFIGURATION_FAILURE",
                "SERVICE_TASK_PLACEMENT_FAILURE",
                "SERVICE_TASK_START_IMPAIRED",
            ]
        },
    }
    assert not few.find_resources("AWS::Events::Rule", {"Properties": {"EventPattern": {"source": ["aws.ecs"]}}})


def test_predictions_are_kept_where_the_monitor_asks_for_it() -> None:
    stack = Stack(App(), "Stack")
    service(stack, monitor=Monitor(outcome=Outcome(metric="saved", minimum=1)))
    template = Template.from_stack(stack)
    _, task = one(template, "AWS::ECS::TaskDefinition")
    [container] = task["Properties"]["ContainerDefinitions"]
    assert {"Name": "CAPTURE", "Value": '{"log":true,"cohorts":[]}'} in container["Environment"]
    assert "artifacts/predictions/card-fraud/*" in json.dumps(template.find_resources("AWS::IAM::Policy"))
