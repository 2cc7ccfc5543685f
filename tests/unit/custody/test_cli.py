"""`labcycle verify` and `labcycle export`: what they print, and the code they exit with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import MockRawResponse
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client.custody import cli
from labcycle.config import names
from tests.unit.custody.conftest import BUCKET, MODEL, Api, Story, text_of, with_text

KEY = (f"CUSTODY#{MODEL}", f"{2:012d}")


@pytest.fixture
def member(story: Story, monkeypatch: pytest.MonkeyPatch) -> Story:
    """The commands reach the ledger of the story, and S3 as it is mocked."""
    monkeypatch.setattr(cli, "TeamApi", lambda **_: Api(story.table))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return story


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def plain(done: Result) -> str:
    """What was said, however the terminal broke its lines."""
    return " ".join(done.output.split())


def verify(*arguments: str) -> Result:
    return run("verify", "--anchors", BUCKET, *arguments)


def test_what_is_whole_exits_0_and_says_how_much_it_saw(member: Story) -> None:
    done = verify()
    assert (done.exit_code, done.output.splitlines()[-1].partition(",")[0]) == (0, "whole: 8 events of 3 subjects")
    assert "as 2 anchors say" in done.output
    said = json.loads(verify("--json").output)
    assert (said["whole"], said["events"], said["subjects"], said["anchors"]) == (True, 8, 3, 2)
    assert said["findings"] == said["notes"] == []


def test_one_subject_and_a_bare_name_is_a_model(member: Story) -> None:
    assert json.loads(verify("cards", "--json").output) == json.loads(verify(MODEL, "--json").output)
    assert json.loads(verify("cards", "--json").output)["subjects"] == 1


def test_a_changed_event_is_named_and_exits_1(member: Story) -> None:
    item = member.items(lambda pk, sk: (pk, sk) == KEY)[KEY]
    with member.instead((KEY, with_text(item, text_of(item).replace("scientist-1", "scientist-2", 1)))):
        done, said = verify(), verify("--json")
    assert (done.exit_code, said.exit_code) == (1, 1)
    assert f"broken: {MODEL}, event 2: it was changed after it was written" in done.output
    assert "whole" not in done.output
    document = json.loads(said.output)
    assert document["whole"] is False
    assert {(finding["subject"], finding["event"]) for finding in document["findings"]} == {(MODEL, 2)}


def test_a_subject_that_nobody_knows_is_the_callers_mistake(member: Story) -> None:
    done = verify("nobody")
    assert done.exit_code == 2
    assert "the team fraud knows no model/nobody. Give model/NAME, experiment/ID or run/ID" in plain(done)


@pytest.mark.parametrize("service", ["s3", "sts"])
def test_who_may_not_read_the_anchors_is_told_so_and_may_verify_the_rest(
    member: Story, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    session = boto3.Session()
    session.events.register_first(f"before-send.{service}", refused)  # type: ignore[arg-type]
    monkeypatch.setattr(boto3, "Session", lambda: session)
    done, said = run("verify"), run("verify", "--json")
    assert done.exit_code == 0
    assert "note: The anchors were not compared: " in done.output and "AccessDenied" in done.output
    assert "anchors say" not in done.output
    assert json.loads(said.output)["anchors"] is None


def refused(request: Any, **_: Any) -> AWSResponse:
    """As S3 and STS say it."""
    error = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    body = error if ".s3." in request.url else b"<ErrorResponse>" + error + b"</ErrorResponse>"
    return AWSResponse(request.url, 403, HTTPHeaders(), MockRawResponse(body))


@pytest.mark.parametrize("bucket", [(), ("--anchors", BUCKET)])
def test_who_has_a_token_and_no_credentials_verifies_and_exports_all_but_the_anchors(
    member: Story, monkeypatch: pytest.MonkeyPatch, bucket: tuple[str, ...]
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    done = run("verify", *bucket)
    assert done.exit_code == 0
    assert "note: The anchors were not compared: Unable to locate credentials." in done.output
    assert "whole: 8 events of 3 subjects" in done.output
    exported = run("export", *bucket)
    assert exported.exit_code == 0
    assert json.loads(exported.output.splitlines()[-1])["why_not"] == "Unable to locate credentials"


def test_where_no_region_is_known_the_anchors_are_not_compared(member: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    done = run("verify")
    assert done.exit_code == 0
    assert "not compared: the region of tracking.example.com is not known: set AWS_REGION" in plain(done)


def test_a_bucket_that_is_not_there_is_no_traceback(member: Story) -> None:
    account = boto3.client("sts").get_caller_identity()["Account"]
    with pytest.raises(ClientError):
        member.s3.head_bucket(Bucket=names.bucket("fraud", "anchors", account, "us-east-1"))
    done = run("verify")
    assert done.exit_code == 0
    assert "NoSuchBucket" in done.output


def test_an_export_is_verified_offline_and_later(member: Story, tmp_path: Path) -> None:
    done = run("export", "--anchors", BUCKET)
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.output.splitlines()]
    assert {line["kind"] for line in lines} == {"event", "head", "registration", "anchor", "state"}
    file = tmp_path / "custody.jsonl"
    file.write_text(done.output)
    expected = json.loads(verify("--json").output)
    assert json.loads(run("verify", "--from", str(file), "--json").output) == expected
    file.write_text(done.output.replace("card fraud", "card frauD", 1))
    broken = run("verify", "--from", str(file))
    assert broken.exit_code == 1
    assert f"broken: {MODEL}, event 1" in broken.output


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"\xff\xfe", "made by `labcycle export`"), (b"{}\n", ":1"), (b"", "custody.jsonl")],
)
def test_a_file_that_is_no_export_is_said(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "custody.jsonl"
    if content is not None:
        file.write_bytes(content)
    done = run("verify", "--from", str(file))
    assert done.exit_code == 2
    assert says in plain(done)


def test_a_file_is_taken_whole(tmp_path: Path) -> None:
    done = run("verify", "cards", "--from", str(tmp_path / "custody.jsonl"))
    assert done.exit_code == 2
    assert "leave SUBJECT and --anchors out" in plain(done)
