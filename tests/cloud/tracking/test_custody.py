"""Custody as it is deployed: anchored on schedule, told to the bus, verified by a member; each with its own role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from labcycle.client.custody.anchors import Unreadable, read_anchors
from labcycle.config import names
from labcycle.tracking.custody import EVENTS_ONLY
from tests.cloud.team import Member, Team


@pytest.fixture
def heard(growth: Team) -> Iterator[Any]:
    """The details of what comes over the bus, by a rule as a subscriber would make it."""
    events, sqs = growth.place.client("events"), growth.place.client("sqs")
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus, pattern = names.event_bus("growth"), {"source": ["labcycle.custody"], "detail-type": ["Custody Event"]}
    events.put_rule(Name="subscriber", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule="subscriber", EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])

    def messages() -> list[dict[str, Any]]:
        found = []
        while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in received:
                found.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield messages
    events.remove_targets(Rule="subscriber", EventBusName=bus, Ids=["q"])
    events.delete_rule(Name="subscriber", EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def scientist(growth: Team) -> Member:
    growth.cloud.deliver_streams(growth.place)  # what other tests wrote
    return growth.member("scientist-1")


def anchor(team: Team) -> None:
    (name,) = [
        s["Name"]
        for s in team.place.client("scheduler").list_schedules()["Schedules"]
        if "Anchor" in s["Name"] and team.name in s["Name"]
    ]
    team.cloud.fire_schedule(team.place, name)


def test_an_event_reaches_the_bus_and_an_anchor(growth: Team, scientist: Member, heard: Any) -> None:
    heard()
    scientist.post("registered-models/create", name="custody-1")
    growth.cloud.deliver_streams(growth.place)
    (event,) = heard()
    assert (event["subject"], event["action"], event["team"]) == ("model/custody-1", "created", "growth")
    assert event["who"]["member"] == "scientist-1"
    growth.cloud.deliver_streams(growth.place)
    assert heard() == []
    anchor(growth)
    bucket = names.bucket("growth", "anchors", growth.place.account, growth.place.region)
    anchors = read_anchors(scientist.s3, bucket)
    assert json.loads(anchors[-1].content)["heads"]["model/custody-1"] == {"seq": 1, "hash": event["hash"]}
    anchor(growth)
    assert len(read_anchors(scientist.s3, bucket)) == len(anchors)
    locked = growth.place.client("s3").head_object(Bucket=bucket, Key=anchors[-1].key)
    assert locked["ObjectLockMode"] == "GOVERNANCE"  # growth is a sandbox
    assert locked["ObjectLockRetainUntilDate"] > locked["LastModified"]


def test_another_team_reads_no_anchor(fraud: Team, growth: Team) -> None:
    bucket = names.bucket("growth", "anchors", growth.place.account, growth.place.region)
    with pytest.raises(Unreadable, match="AccessDenied"):
        read_anchors(fraud.member("reviewer-1").s3, bucket)
    growth.cloud.guard.refused.clear()


def test_the_source_lets_through_what_the_function_reads(growth: Team) -> None:
    mappings = growth.place.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    (mapping,) = [m for m in mappings if f"/{names.ledger_table('growth')}/" in m["EventSourceArn"]]
    assert [json.loads(f["Pattern"]) for f in mapping["FilterCriteria"]["Filters"]] == [EVENTS_ONLY]
