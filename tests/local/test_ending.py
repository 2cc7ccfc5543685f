"""A sandbox is deployed as it is, ended, and leaves what is said and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labcycle.config import names
from labcycle.local.cloud import LocalCloud
from labcycle.removal.account import Account
from labcycle.removal.destruction import Destruction
from labcycle.removal.orphans import orphans
from tests.local.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
PLACE = ("123456789012", "eu-west-1")  # of infra/targets/eu-sandbox.yaml
ARTIFACTS, ANCHORS = (names.bucket("growth", kind, *PLACE) for kind in ("artifacts", "anchors"))


def test_a_sandbox_leaves_its_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with LocalCloud.start(*PLACE, free_port(), folder=tmp_path / "cloud") as cloud:
        cloud.bootstrap()
        cloud.synth(tmp_path / "out", context={"team": "growth"})
        cloud.deploy(tmp_path / "out", ["labcycle-target-eu-sandbox/*", "labcycle-growth/*"])
        fill(cloud)
        account = Account(cloud.client, sleep=lambda seconds: None)
        said: list[str] = []
        (orphan,) = orphans(account, set())
        assert [stack.stage for stack in orphan.stacks] == ["sandbox"] * 3

        ending = Destruction(account, "growth", said.append)
        ending.refuse_unless_sandbox()
        ending.execute()
        assert (
            f"buckets: bucket {ARTIFACTS} (2 object versions, 2 bytes, 1 delete markers, 1 unfinished uploads)" in said
        )

        (sentence,) = ending.stays()
        assert sentence.startswith("key ") and "waits for its deletion until" in sentence
        assert what_is_left(cloud) == (["CDKToolkit", "labcycle-target-eu-sandbox-network"], [], [], [], [])
        (orphan,) = orphans(account, set())
        assert [resource.kind for resource, _ in orphan.left] == ["key"]


def fill(cloud: LocalCloud) -> None:
    """Put something into everything that holds something."""
    s3 = cloud.client("s3")
    for body in (b"1", b"2"):
        s3.put_object(Bucket=ARTIFACTS, Key="data/x", Body=body)
    s3.delete_object(Bucket=ARTIFACTS, Key="data/x")
    s3.create_multipart_upload(Bucket=ARTIFACTS, Key="data/unfinished")
    s3.put_object(
        Bucket=ANCHORS,
        Key="anchor",
        Body=b"x",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate="2099-01-01T00:00:00Z",
    )
    item: dict[str, Any] = {"pk": {"S": "run"}, "sk": {"S": "1"}}
    cloud.client("dynamodb").put_item(TableName=names.ledger_table("growth"), Item=item)


def what_is_left(cloud: LocalCloud) -> tuple[list[str], ...]:
    """Stacks; and of the team: buckets, tables, log groups, roles."""
    return (
        list(cloud.all_outputs()),
        [one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"] if "growth" in one["Name"]],
        list(cloud.client("dynamodb").list_tables()["TableNames"]),
        [one["logGroupName"] for one in cloud.client("logs").describe_log_groups()["logGroups"]],
        [one["RoleName"] for one in cloud.client("iam").list_roles()["Roles"] if "growth" in one["RoleName"]],
    )
