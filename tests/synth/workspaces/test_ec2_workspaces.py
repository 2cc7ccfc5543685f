from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from labcycle.config import TIERS, HardwareTier, Member, TierName, names
from labcycle.workspaces import Ec2Workspaces
from labcycle.workspaces.ec2_workspaces import CPU_IMAGE, GPU_IMAGE, NEURON_IMAGE
from tests.synth.assembly import HERE, Template, alone, as_list, of_type

PARAMETER = names.tracking_url_parameter("fraud")


def member(name: str, *roles: str) -> Member:
    return Member.model_validate({"name": name, "principal": {"iam_user": f"{name}-user"}, "roles": roles})


MEMBERS = (member("ann", "data_scientist"), member("bob", "data_scientist", "lead"), member("cy", "operator"))


def workspaces(
    stack: Stack,
    *,
    tiers: tuple[TierName, ...] = ("gpu-small", "cpu-small"),
    own: tuple[HardwareTier, ...] = (),
    members: Any = MEMBERS,
) -> Ec2Workspaces:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"], private_subnet_ids=["subnet-1", "subnet-2"]
    )
    return Ec2Workspaces(
        stack,
        "Workspaces",
        team="fraud",
        members=members,
        tiers=[*(TIERS[name] for name in tiers), *own],
        vpc=vpc,
        volume=Size.gibibytes(100),
        tracking_url_parameter=PARAMETER,
        wheels_bucket=s3.Bucket.from_bucket_name(stack, "Artifacts", "labcycle-fraud-artifacts"),
    )


def with_access(stack: Stack) -> None:
    workspaces(stack).grant_use("ann", iam.Role.from_role_name(stack, "Ann", names.member_role("fraud", "ann")))


@pytest.fixture(scope="session")
def template() -> Template:
    return alone(with_access)


@pytest.fixture(scope="session")
def launches(template: Template) -> dict[str, dict[str, Any]]:
    return {t["LaunchTemplateName"]: t["LaunchTemplateData"] for t in of_type(template, "AWS::EC2::LaunchTemplate")}


def test_one_template_a_data_scientist_and_tier(launches: dict[str, Any]) -> None:
    assert set(launches) == {
        names.launch_template("fraud", who, tier) for who in ("ann", "bob") for tier in ("gpu-small", "cpu-small")
    }


def test_the_image_is_resolved_at_launch(launches: dict[str, Any]) -> None:
    assert launches["labcycle-fraud-ann-gpu-small"]["ImageId"] == f"resolve:ssm:{GPU_IMAGE}"
    assert launches["labcycle-fraud-ann-cpu-small"]["ImageId"] == f"resolve:ssm:{CPU_IMAGE}"


def test_a_team_has_tiers_of_its_own_and_accelerators_their_image() -> None:
    own = HardwareTier("big", "x2iedn.2xlarge")
    made = alone(lambda stack: workspaces(stack, tiers=("accelerator-small",), own=(own,), members=MEMBERS[:1]))
    found = {t["LaunchTemplateName"]: t["LaunchTemplateData"] for t in of_type(made, "AWS::EC2::LaunchTemplate")}
    assert {name: (data["InstanceType"], data["ImageId"]) for name, data in found.items()} == {
        "labcycle-fraud-ann-accelerator-small": ("inf2.xlarge", f"resolve:ssm:{NEURON_IMAGE}"),
        "labcycle-fraud-ann-big": ("x2iedn.2xlarge", f"resolve:ssm:{CPU_IMAGE}"),
    }


def test_nobody_comes_in_and_nothing_is_public(template: Template, launches: dict[str, Any]) -> None:
    (group,) = of_type(template, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert [(r["IpProtocol"], r["FromPort"], r["ToPort"]) for r in group["SecurityGroupEgress"]] == [("tcp", 443, 443)]
    assert not of_type(template, "AWS::EC2::SecurityGroupIngress")
    for launch in launches.values():
        (interface,) = launch["NetworkInterfaces"]
        assert interface["AssociatePublicIpAddress"] is False
        assert interface["SubnetId"] in ("subnet-1", "subnet-2")
        assert "KeyName" not in launch


def test_imdsv2_is_required_and_stays_on_the_host(launches: dict[str, Any]) -> None:
    for launch in launches.values():
        assert launch["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_disks_are_encrypted_with_the_key_and_data_outlives_the_instance(launches: dict[str, Any]) -> None:
    for launch in launches.values():
        root, data = (mapping["Ebs"] for mapping in launch["BlockDeviceMappings"])
        for disk in (root, data):
            assert disk["Encrypted"] is True
            assert disk["VolumeType"] == "gp3"
            assert "Fn::GetAtt" in disk["KmsKeyId"]
        assert (data["VolumeSize"], data["DeleteOnTermination"]) == (100, False)
        assert "VolumeSize" not in root
        assert root["DeleteOnTermination"] is True


def test_instances_and_volumes_carry_team_and_member(launches: dict[str, Any]) -> None:
    for name, launch in launches.items():
        tagged = {
            t["ResourceType"]: {tag["Key"]: tag["Value"] for tag in t["Tags"]} for t in launch["TagSpecifications"]
        }
        assert set(tagged) == {"instance", "volume"}
        for tags in tagged.values():
            assert tags["labcycle:team"] == "fraud"
            assert tags["labcycle:member"] in name


def test_a_workspace_runs_as_its_members_role(template: Template) -> None:
    roles = {r["RoleName"]: r for r in of_type(template, "AWS::IAM::Role")}
    assert set(roles) == {names.workspace_role("fraud", who) for who in ("ann", "bob")}
    for role in roles.values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def statement(template: Template, action: str) -> list[dict[str, Any]]:
    return [
        s
        for policy in of_type(template, "AWS::IAM::Policy")
        if policy["Roles"] == [names.member_role("fraud", "ann")]
        for s in policy["PolicyDocument"]["Statement"]
        if action in as_list(s["Action"])
    ]


def test_a_member_launches_from_the_own_templates_alone(template: Template) -> None:
    own = [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::EC2::LaunchTemplate" and "-ann-" in resource["Properties"]["LaunchTemplateName"]
    ]
    direct, instance, through = statement(template, "ec2:RunInstances")
    assert all(any(f'"{name}"' in json.dumps(arn) for name in own) for arn in as_list(direct["Resource"]))
    for launching in (instance, through):
        assert launching["Condition"]["Bool"] == {"ec2:IsLaunchTemplateResource": "true"}
        launched = launching["Condition"]["ArnEquals"]["ec2:LaunchTemplate"]
        assert sorted(map(json.dumps, launched)) == sorted(map(json.dumps, direct["Resource"]))


def test_a_member_launches_no_dearer_type_than_the_tiers(template: Template) -> None:
    """The caller of RunInstances may name another type than the template does."""
    _, instance, through = statement(template, "ec2:RunInstances")
    assert json.dumps(instance["Resource"]).endswith(':instance/*"')
    assert ":instance/*" not in json.dumps(through["Resource"])
    types = {TIERS[tier].instance_type for tier in ("gpu-small", "cpu-small")}
    assert set(instance["Condition"]["StringEquals"]["ec2:InstanceType"]) == types


def test_a_member_stops_and_enters_the_own_machines_alone(template: Template) -> None:
    own = {"aws:ResourceTag/labcycle:team": "fraud", "aws:ResourceTag/labcycle:member": "ann"}
    for action in ("ec2:StopInstances", "ec2:TerminateInstances", "ssm:StartSession"):
        on_instances = [s for s in statement(template, action) if "instance/" in json.dumps(s["Resource"])]
        assert [s["Condition"]["StringEquals"] for s in on_instances] == [own]
    (pass_role,) = statement(template, "iam:PassRole")
    assert pass_role["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


def test_a_member_may_read_the_image_parameters(template: Template) -> None:
    (read,) = statement(template, "ssm:GetParameters")
    assert {arn.partition(":parameter")[2] for arn in read["Resource"]} == {GPU_IMAGE, CPU_IMAGE}


def test_the_home_zone_of_a_member_does_not_depend_on_the_others() -> None:
    def homes(*people: Member) -> dict[str, str]:
        template = alone(lambda stack: workspaces(stack, members=people, tiers=("gpu-small",)))
        return {
            t["LaunchTemplateName"]: t["LaunchTemplateData"]["NetworkInterfaces"][0]["SubnetId"]
            for t in of_type(template, "AWS::EC2::LaunchTemplate")
        }

    many = [member(f"member-{n}", "data_scientist") for n in range(8)]
    together = homes(*many)
    assert set(together.values()) == {"subnet-1", "subnet-2"}
    last = homes(many[-1])
    assert last.items() <= together.items()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"members": MEMBERS[2:]}, "members"),
        ({"tiers": ()}, "tiers: got none"),
        (
            {"own": (HardwareTier("gpu-small", "g6.xlarge"),)},
            "tiers: got gpu-small, cpu-small, gpu-small; allowed is each",
        ),
    ],
)
def test_wrong_properties_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        workspaces(Stack(App(analytics_reporting=False), "Foreign", env=HERE), **change)
