from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Stack, assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from labcycle.compute import ExperimentCompute
from labcycle.compute.machines import repository_of, shares
from labcycle.config import Compute, GpuCompute, Member, names
from labcycle.sweeps import lane
from tests.synth.assembly import ACCOUNT, REGION, Template, alone, as_list, of_type, resources, statements

IMAGE = f"210987654321.dkr.ecr.{REGION}.amazonaws.com/team/experiments:1"


def member(name: str, *roles: str) -> Member:
    return Member.model_validate({"name": name, "principal": {"iam_user": f"{name}-user"}, "roles": roles})


MEMBERS = (member("ann", "data_scientist"), member("bob", "data_scientist", "lead"), member("cy", "operator"))


def compute(stack: Stack, *, subnets: bool = True, members: Any = MEMBERS, **changed: Any) -> ExperimentCompute:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["a", "b"],
        private_subnet_ids=["subnet-1", "subnet-2"] if subnets else None,
    )
    made = ExperimentCompute(
        stack,
        "Compute",
        team="fraud",
        members=members,
        compute=Compute(image=IMAGE, **changed),
        vpc=vpc,
        tracking_url="https://api.example.com",
        artifact_bucket=s3.Bucket.from_bucket_name(stack, "Artifacts", "labcycle-fraud-artifacts"),
        notice_topic=sns.Topic(stack, "Notices"),
    )
    made.grant_run("ann", iam.Role.from_role_name(stack, "Ann", names.member_role("fraud", "ann")))
    return made


@pytest.fixture(scope="session")
def template() -> Template:
    return alone(lambda stack: compute(stack, max_vcpus=100, gpu=GpuCompute(max_vcpus=8)))


@pytest.fixture(scope="session")
def environments(template: Template) -> list[dict[str, Any]]:
    return [one["ComputeResources"] for one in of_type(template, "AWS::Batch::ComputeEnvironment")]


def test_nothing_is_there_while_nothing_runs(environments: list[dict[str, Any]]) -> None:
    assert {one["MinvCpus"] for one in environments} == {0}
    assert not [one for one in environments if "DesiredvCpus" in one]


@pytest.mark.parametrize(
    ("region", "families"),
    [
        ("eu-south-1", {"g4dn"}),
        ("eu-west-1", {"g4dn", "g5"}),
        ("us-east-1", {"g4dn", "g5", "g6"}),
        (None, {"g4dn", "g5", "g6"}),
    ],
)
def test_machines_are_of_families_that_the_region_has(region: str | None, families: set[str]) -> None:
    """Batch refuses others, with the whole deployment."""
    where = cdk.Environment(account=ACCOUNT, region=region) if region else None
    stack = Stack(cdk.App(analytics_reporting=False), "There", env=where)
    compute(stack, gpu=GpuCompute(max_vcpus=8))
    made = assertions.Template.from_stack(stack).find_resources("AWS::Batch::ComputeEnvironment").values()
    resources = [one["Properties"]["ComputeResources"] for one in made]
    of_gpu = [one for one in resources if "NVIDIA" in one["Ec2Configuration"][0]["ImageType"]]
    assert [set(one["InstanceTypes"]) for one in of_gpu] == [families] * 2


def test_spot_comes_first_and_on_demand_after_it(template: Template) -> None:
    kinds = {
        logical_id: one["Properties"]["ComputeResources"]["Type"]
        for logical_id, one in template["Resources"].items()
        if one["Type"] == "AWS::Batch::ComputeEnvironment"
    }
    for queue in of_type(template, "AWS::Batch::JobQueue"):
        order = sorted(queue["ComputeEnvironmentOrder"], key=lambda one: one["Order"])
        assert [kinds[one["ComputeEnvironment"]["Fn::GetAtt"][0]] for one in order] == ["SPOT", "EC2"]


def test_all_processors_of_a_queue_are_no_more_than_was_said(environments: list[dict[str, Any]]) -> None:
    by_image: dict[str, list[int]] = {}
    for one in environments:
        by_image.setdefault(one["Ec2Configuration"][0]["ImageType"], []).append(one["MaxvCpus"])
    assert by_image == {"ECS_AL2023": [75, 25], "ECS_AL2023_NVIDIA": [4, 4]}
    for vcpus in range(4, 300):
        assert sum(shares("cpu", vcpus, spot=True).values()) == vcpus
        assert min(shares("cpu", vcpus, spot=True).values()) >= 2
    assert shares("gpu", 8, spot=False) == {"on_demand": 8}


def test_machines_are_of_many_kinds_in_all_zones_and_changed_in_place(
    template: Template, environments: list[dict[str, Any]]
) -> None:
    for one in environments:
        assert len(one["InstanceTypes"]) >= 3
        assert one["Subnets"] == ["subnet-1", "subnet-2"]
        wanted = "SPOT_PRICE_CAPACITY_OPTIMIZED" if one["Type"] == "SPOT" else "BEST_FIT_PROGRESSIVE"
        assert one["AllocationStrategy"] == wanted
    for whole in of_type(template, "AWS::Batch::ComputeEnvironment"):
        assert whole["ReplaceComputeEnvironment"] is False
        assert "ServiceRole" not in whole and "ComputeEnvironmentName" not in whole  # either would need a new one


def test_disks_are_encrypted_and_credentials_of_machines_out_of_reach(template: Template) -> None:
    for launch in of_type(template, "AWS::EC2::LaunchTemplate"):
        data = launch["LaunchTemplateData"]
        (disk,) = data["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True and disk["Ebs"]["KmsKeyId"]
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert "KeyName" not in data and "NetworkInterfaces" not in data


def test_nobody_comes_in(template: Template) -> None:
    (group,) = of_type(template, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group and not of_type(template, "AWS::EC2::SecurityGroupIngress")
    assert [(r["IpProtocol"], r["FromPort"], r["ToPort"]) for r in group["SecurityGroupEgress"]] == [("tcp", 443, 443)]


def test_what_cannot_start_blocks_no_queue(template: Template) -> None:
    for queue in of_type(template, "AWS::Batch::JobQueue"):
        actions = queue["JobStateTimeLimitActions"]
        assert {one["Action"] for one in actions} == {"CANCEL"}
        assert all(600 <= one["MaxTimeSeconds"] <= 86_400 for one in actions)
        assert "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY" in {one["Reason"] for one in actions}


def test_only_a_lost_machine_begins_a_job_again(template: Template) -> None:
    definitions = of_type(template, "AWS::Batch::JobDefinition")
    assert {one["JobDefinitionName"] for one in definitions} == {"labcycle-fraud-ann", "labcycle-fraud-bob"}
    for one in definitions:
        assert one["RetryStrategy"]["EvaluateOnExit"] == [
            {"Action": "RETRY", "OnStatusReason": "Host EC2*"},
            {"Action": "EXIT", "OnReason": "*"},
        ]
        container = one["ContainerProperties"]
        assert container["Command"] == ["python", "-m", lane.__name__]
        assert container["LogConfiguration"]["Options"]["awslogs-group"]
        assert container["Privileged"] is False


def test_each_members_jobs_have_a_role_of_their_own(template: Template) -> None:
    found = {one["RoleName"]: one for one in of_type(template, "AWS::IAM::Role") if "RoleName" in one}
    assert set(found) == {"labcycle-fraud-ann-job", "labcycle-fraud-bob-job"}
    for role in found.values():
        assert role["Path"] == "/labcycle/fraud/"
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_machines_fetch_the_one_image_and_join_their_own_cluster(template: Template) -> None:
    texts = [json.dumps(statement) for _, statement in statements(template)]
    (pull,) = [text for text in texts if "ecr:BatchGetImage" in text and "Cpu" not in text][:1] or [""]
    assert f":ecr:{REGION}:210987654321:repository/team/experiments" in pull
    joined = [text for text in texts if "ecs:RegisterContainerInstance" in text]
    assert len(joined) == 2
    for text in joined:
        assert "cluster/AWSBatch-*Compute" in text and "fraud" in text and '"*"' not in text


def test_a_member_submits_by_the_own_definition_alone(template: Template) -> None:
    named, new = [s for _, s in statements(template) if "batch:SubmitJob" in as_list(s["Action"])]
    text = json.dumps(named["Resource"])
    assert "job-definition/labcycle-fraud-ann:*" in text and "labcycle-fraud-bob" not in text and "job/*" not in text
    tags = {"aws:RequestTag/labcycle:team": "fraud", "aws:RequestTag/labcycle:member": "ann"}
    assert new["Condition"]["StringEquals"] == tags and new["Condition"]["Null"]
    assert not [s for _, s in statements(template) if "iam:PassRole" in as_list(s["Action"])]


def test_auto_scaling_may_use_the_key_and_nobody_else_by_that(template: Template) -> None:
    (key,) = of_type(template, "AWS::KMS::Key")
    anybody = [s for s in key["KeyPolicy"]["Statement"] if s["Principal"] == {"AWS": "*"}]
    assert len(anybody) == 2
    for statement in anybody:
        assert "AWSServiceRoleForAutoScaling" in json.dumps(statement["Condition"]["ArnEquals"])
        assert statement["Condition"]["StringEquals"] == {"kms:CallerAccount": ACCOUNT}


def test_a_broken_job_is_told_once_and_a_stopped_one_not(template: Template) -> None:
    (rule,) = of_type(template, "AWS::Events::Rule")
    detail = rule["EventPattern"]["detail"]
    assert detail["arrayProperties"] == {"index": [{"exists": False}]}
    assert detail["statusReason"] == [{"anything-but": {"prefix": "labcycle: stopped"}}]
    assert len(resources(template, "AWS::Batch::JobQueue")) == len(detail["jobQueue"]) == 2


def test_what_it_cannot_be_built_from_is_said() -> None:
    with pytest.raises(ValueError, match="nobody with the role data_scientist"):
        alone(lambda stack: compute(stack, members=MEMBERS[2:]))
    with pytest.raises(ValueError, match="without private subnets"):
        alone(lambda stack: compute(stack, subnets=False))


@pytest.mark.parametrize("ending", [":1", f"@sha256:{'0a' * 32}"])
def test_the_repository_of_an_image(ending: str) -> None:
    image = f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b.c{ending}"
    assert repository_of(image, "aws-cn") == "arn:aws-cn:ecr:cn-north-1:123456789012:repository/a/b.c"
