"""A workspace, started from the deployed launch template, and what its role may do."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from labcycle.config import names
from tests.cloud.harness import Caller
from tests.cloud.team import Team

MEMBER = "scientist-1"


@pytest.fixture
def workspace(fraud: Team) -> Caller:
    """The role of the member's machines; EC2 names the session after the instance."""
    return Caller(fraud.place.account, names.workspace_role(fraud.name, MEMBER), "i-0123456789abcdef0")


def launch_template(fraud: Team) -> Any:
    ec2 = fraud.place.client("ec2")
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    versions = ec2.describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
    )
    return versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def test_the_template_is_closed_encrypted_and_tells_no_secret(fraud: Team) -> None:
    data = launch_template(fraud)
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert [disk["Ebs"]["Encrypted"] for disk in data["BlockDeviceMappings"]] == [True, True]
    (interface,) = data["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is False
    subnets = fraud.place.client("ec2").describe_subnets(SubnetIds=[interface["SubnetId"]])["Subnets"]
    assert [subnet["MapPublicIpOnLaunch"] for subnet in subnets] == [False]
    script = base64.b64decode(data["UserData"]).decode()
    assert names.tracking_url_parameter(fraud.name) in script
    assert fraud.tracking.address not in script, "the address is read at boot, so that it may change"


def test_a_workspace_logs_in_the_name_of_its_member(fraud: Team, workspace: Caller) -> None:
    ssm = fraud.cloud.client("ssm", fraud.place, workspace.role)
    address = ssm.get_parameter(Name=names.tracking_url_parameter(fraud.name))["Parameter"]["Value"]
    assert address == fraud.tracking.address
    made = fraud.tracking.call(
        "POST", "/api/2.0/mlflow/experiments/create", workspace, body={"name": "from a workspace"}
    )
    assert made.status == 200, str(made)
    body = {"experiment_id": made.json()["experiment_id"], "start_time": 1_750_000_000_000}
    run = fraud.tracking.call("POST", "/api/2.0/mlflow/runs/create", workspace, body=body).json()["run"]["info"]
    assert run["user_id"] == MEMBER
    bucket, _, prefix = run["artifact_uri"].removeprefix("s3://").partition("/")
    s3 = fraud.cloud.client("s3", fraud.place, workspace.role)
    s3.put_object(Bucket=bucket, Key=f"{prefix}/notes.txt", Body=b"done")
    assert s3.get_object(Bucket=bucket, Key=f"{prefix}/notes.txt")["Body"].read() == b"done"


def test_a_workspace_may_not_promote(fraud: Team, workspace: Caller) -> None:
    path = "/labcycle/1.0/models/card-fraud/promote"
    assert fraud.tracking.call("POST", path, workspace, body={"version": "1"}).status == 403
