"""Properties that an emulator likes to drop, and deletes that AWS refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import Proving
from tests.local.proving_app import REGION, ami


def test_the_bucket_has_what_its_template_says(proving: Proving) -> None:
    client = proving.cloud.client("s3")
    bucket = {"Bucket": "proving-bucket"}
    (rule,) = client.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"].startswith(f"arn:aws:kms:{REGION}:")
    (life,) = client.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert (life["Filter"]["Prefix"], life["Expiration"]["Days"]) == ("old/", 30)
    assert client.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    lock = client.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 1}
    assert "aws:SecureTransport" in client.get_bucket_policy(**bucket)["Policy"]


def test_an_object_takes_the_buckets_key(proving: Proving) -> None:
    client = proving.cloud.client("s3")
    answer = client.put_object(Bucket="proving-bucket", Key="a", Body=b"x", ServerSideEncryption="aws:kms")
    assert answer["SSEKMSKeyId"].startswith(f"arn:aws:kms:{REGION}:")


def test_a_locked_object_stays(proving: Proving) -> None:
    client = proving.cloud.client("s3")
    version = client.put_object(Bucket="proving-bucket", Key="locked", Body=b"x")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket="proving-bucket", Key="locked", VersionId=version)


def test_the_table_has_what_its_template_says(proving: Proving) -> None:
    client = proving.cloud.client("dynamodb")
    backups = client.describe_continuous_backups(TableName="proving-table")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    table = client.describe_table(TableName="proving-table")["Table"]
    assert table["SSEDescription"]["KMSMasterKeyArn"].startswith(f"arn:aws:kms:{REGION}:")
    expiry = client.describe_time_to_live(TableName="proving-table")["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires")


def test_a_protected_table_is_not_deleted(proving: Proving) -> None:
    with pytest.raises(ClientError, match="deletion"):
        proving.cloud.client("dynamodb").delete_table(TableName="proving-protected")


def test_public_image_parameters_are_known_and_are_not_the_accounts(proving: Proving) -> None:
    ssm = proving.cloud.client("ssm")
    image = ssm.get_parameter(Name=ami())["Parameter"]["Value"]
    assert image.startswith("ami-")
    ec2 = proving.cloud.client("ec2")
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])[
        "LaunchTemplateVersions"
    ]
    assert versions[0]["LaunchTemplateData"]["ImageId"] == image
    assert not [p for p in ssm.describe_parameters()["Parameters"] if p["Name"].startswith("/aws/")]


def test_the_network_is_recorded(proving: Proving) -> None:
    ec2 = proving.cloud.client("ec2")
    (gateway,) = ec2.describe_nat_gateways()["NatGateways"]
    assert gateway["State"] == "available"
    assert ec2.describe_flow_logs()["FlowLogs"]
    groups = ec2.describe_security_groups()["SecurityGroups"]
    assert any(pair for group in groups for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"])


def test_a_role_without_the_key_can_neither_read_nor_write_what_the_key_encrypts(proving: Proving) -> None:
    keyed, keyless = (proving.cloud.assume(f"proving-{name}", "ada") for name in ("keyed", "keyless"))
    item = {"pk": {"S": "one"}}
    proving.cloud.client("s3", keyed).put_object(Bucket="proving-bucket", Key="mine", Body=b"x")
    proving.cloud.client("dynamodb", keyed).put_item(TableName="proving-table", Item=item)
    assert proving.cloud.client("dynamodb", keyed).get_item(TableName="proving-table", Key=item)["Item"] == item
    forbidden: list[Callable[[], Any]] = [
        lambda: proving.cloud.client("s3", keyless).put_object(Bucket="proving-bucket", Key="mine", Body=b"x"),
        lambda: proving.cloud.client("s3", keyless).get_object(Bucket="proving-bucket", Key="mine"),
        lambda: proving.cloud.client("dynamodb", keyless).get_item(TableName="proving-table", Key=item),
    ]
    for refused in forbidden:
        with pytest.raises(ClientError, match=r"not authorized to perform: kms:(Decrypt|GenerateDataKey)"):
            refused()
