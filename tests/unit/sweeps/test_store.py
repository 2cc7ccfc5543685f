from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from labcycle.config import names
from labcycle.errors import LabcycleError
from labcycle.sweeps.store import Store, Submission

SWEEP, BUCKET = "5" * 32, "artifacts"
FIRST = Submission(1, [2, 0, 1, 4, 3], 2, None, f"labcycle-{SWEEP}-1", 0)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def test_lanes_share_the_points_of_a_submission() -> None:
    assert [FIRST.of_lane(lane) for lane in range(2)] == [[2, 1, 3], [0, 4]]


def test_the_first_who_comes_notes_the_job(s3: Any) -> None:
    store = Store(s3, BUCKET)
    assert store.job(SWEEP, 1) is None
    assert store.claim(SWEEP, 1, "job-a") == "job-a"
    assert store.claim(SWEEP, 1, "job-b") == "job-a" == store.job(SWEEP, 1)
    assert store.claim(SWEEP, 1, "job-a") == "job-a"  # each of its lanes asks


def test_a_number_is_taken_once_and_a_repeated_write_is_the_same_one(s3: Any) -> None:
    store = Store(s3, BUCKET)
    assert store.put_submission(SWEEP, FIRST)
    assert store.put_submission(SWEEP, FIRST)  # the answer to the first was lost
    assert not store.put_submission(SWEEP, replace(FIRST, points=[3]))
    for number in (2, 10):
        store.put_submission(SWEEP, replace(FIRST, number=number))
    last = store.last_submission(SWEEP)
    assert last is not None and last.number == 10


def test_two_who_come_at_the_same_time_are_told_apart(s3: Any) -> None:
    waited: list[float] = []
    answers = iter(["ConditionalRequestConflict", "ConditionalRequestConflict", ""])

    class Racing:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **asked: Any) -> Any:
            if code := next(answers):
                raise ClientError({"Error": {"Code": code}}, "PutObject")
            return s3.put_object(**asked)

    assert Store(Racing(), BUCKET, sleep=waited.append).claim(SWEEP, 1, "job-a") == "job-a"
    assert len(waited) == 2


def test_what_is_not_to_be_written_is_told(s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        Store(s3, "another").put_submission(SWEEP, FIRST)


def test_a_script_that_was_changed_is_not_run(s3: Any) -> None:
    store = Store(s3, BUCKET)
    digest = store.put_script(b"print(1)")
    assert store.script(digest) == b"print(1)"
    s3.put_object(Bucket=BUCKET, Key=f"{names.sweep_prefix()}scripts/{digest}.py", Body=b"print(2)")
    with pytest.raises(LabcycleError, match="was changed; it is not run"):
        store.script(digest)
