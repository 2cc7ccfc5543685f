"""What has no team file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.removal.belonging import TaggedResource
from labcycle.removal.orphans import orphans
from tests.unit.removal.conftest import ACCOUNT, REGION, Cloud, bucket_name, tags


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["team", *arguments])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file of one team."""
    folder = tmp_path / "infra/teams"
    folder.mkdir(parents=True)
    (folder / "data.yaml").write_text("team: data\n")
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_team_with_a_file_is_no_orphan(cloud: Cloud, repository: Path) -> None:
    cloud.team("data")
    result = call("orphans")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"account {ACCOUNT}, region {REGION}, as arn:")
    assert result.stdout.endswith("every team that is here has a file\n")


def test_a_team_whose_file_was_removed_is_listed_with_its_stacks_and_nothing_happens(
    cloud: Cloud, repository: Path
) -> None:
    cloud.team("data")
    cloud.team("data-two")
    cloud.team("prod", stage="production")
    before = (cloud.stacks(), cloud.buckets())
    result = call("orphans")
    assert result.exit_code == 1
    assert "team data\n" not in result.stdout
    assert "team data-two\n  stack labcycle-data-two-foundation  sandbox, CREATE_COMPLETE\n" in result.stdout
    assert "to end it: labcycle team destroy data-two" in result.stdout
    assert "destroy prod" not in result.stdout
    assert (cloud.stacks(), cloud.buckets()) == before


def test_what_is_left_without_stacks_is_listed_one_by_one(cloud: Cloud, repository: Path) -> None:
    cloud.bucket("gone", "artifacts", stage="production")
    kms, dynamodb = cloud.client("kms"), cloud.client("dynamodb")
    key = kms.create_key(Tags=[{"TagKey": "labcycle:team", "TagValue": "gone"}])["KeyMetadata"]["KeyId"]
    day = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)["DeletionDate"]
    dynamodb.create_table(
        TableName="labcycle-gone-ledger",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        Tags=tags("gone", "production"),
    )
    cloud.client("logs").create_log_group(logGroupName="/kept", tags={"labcycle:team": "gone"})
    document = json.loads(call("orphans", "--json").stdout)
    assert ACCOUNT in document["where"]
    (orphan,) = document["orphans"]
    assert (orphan["team"], orphan["stacks"]) == ("gone", [])
    left = {(one["kind"], one["name"]): one for one in orphan["left"]}
    assert {("bucket", bucket_name("gone", "artifacts")), ("key", key), ("log group", "/kept")} <= left.keys()
    assert left["key", key]["remark"].startswith(f"waits for its deletion until {day:%Y-%m-%d}")
    assert left["bucket", bucket_name("gone", "artifacts")]["stage"] == "production"


def test_stacks_of_targets_are_nobodys_and_untagged_ones_are_told(cloud: Cloud, repository: Path) -> None:
    cloud.stack("labcycle-odd", team=None, stage=None)
    cloud.stack("another-app", team=None, stage=None)
    target = [{"Key": "labcycle:target", "Value": "eu"}]
    template = json.dumps({"Resources": {"Wait": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}})
    cloud.client("cloudformation").create_stack(
        StackName="labcycle-target-eu-network", TemplateBody=template, Tags=target
    )
    result = call("orphans")
    assert "stacks without the tag labcycle:team\n  stack labcycle-odd  stage unknown" in result.stdout
    assert "labcycle-target" not in result.stdout and "another-app" not in result.stdout


def test_all_pages_are_read(cloud: Cloud) -> None:
    for n in range(120):
        cloud.client("logs").create_log_group(logGroupName=f"/kept/{n:03}", tags={"labcycle:team": "gone"})
    asked: list[str] = []
    events = cloud.client("resourcegroupstaggingapi").meta.events
    events.register(
        "before-call.resourcegroupstaggingapi.GetResources", lambda params, **_: asked.append(params["body"])
    )
    (orphan,) = orphans(cloud.account, {"data"})
    assert len(orphan.left) == 120
    assert len(asked) > 1


def test_without_the_folder_nobody_is_taken_for_removed(cloud: Cloud, tmp_path: Path) -> None:
    result = call("orphans", str(tmp_path / "nowhere"))
    assert result.exit_code == 2 and "every team would count as removed" in result.stderr


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        ("arn:aws:s3:::b", "bucket", "b"),
        ("arn:aws:dynamodb:eu-west-1:1:table/t", "table", "t"),
        ("arn:aws:kms:eu-west-1:1:key/1-2", "key", "1-2"),
        ("arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/f", "log group", "/aws/lambda/f"),
        ("arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/f:*", "log group", "/aws/lambda/f"),
        ("arn:aws:ssm:eu-west-1:1:parameter/a/b", "parameter", "/a/b"),
        ("arn:aws:ec2:eu-west-1:1:snapshot/snap-1", "snapshot", "snap-1"),
        ("arn:aws:sns:eu-west-1:1:t", "topic", "t"),
        ("arn:aws:lambda:eu-west-1:1:function:f", "function", "f"),
        ("arn:aws:glue:eu-west-1:1:job/j", "glue:job", "j"),
    ],
)
def test_kind_and_name_come_from_the_arn(arn: str, kind: str, name: str) -> None:
    resource = TaggedResource(arn, {})
    assert (resource.kind, resource.name) == (kind, name)
