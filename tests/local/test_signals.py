"""Alarms, topics, rules and schedules: what fires, what does not, and what AWS would not have delivered."""

from __future__ import annotations

import json
from typing import Any

from tests.local.conftest import Proving, until
from tests.local.proving_app import ACCOUNT, MAIL, REGION


def state(proving: Proving) -> str:
    (alarm,) = proving.cloud.client("cloudwatch").describe_alarms(AlarmNames=["proving-alarm"])["MetricAlarms"]
    return str(alarm["StateValue"])


def measure(proving: Proving, value: float, model: str = "one") -> None:
    datum = {"MetricName": "drift", "Dimensions": [{"Name": "model", "Value": model}], "Value": value}
    proving.cloud.client("cloudwatch").put_metric_data(Namespace="Proving", MetricData=[datum])


def executions(proving: Proving) -> list[dict[str, Any]]:
    client = proving.cloud.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:proving-machine"
    return [
        client.describe_execution(executionArn=e["executionArn"])
        for e in client.list_executions(stateMachineArn=machine)["executions"]
    ]


def test_an_alarm_needs_its_dimension_and_both_datapoints_and_then_everything_follows(proving: Proving) -> None:
    measure(proving, 9.0, model="two")
    measure(proving, 9.0)
    assert state(proving) == "OK"
    proving.cloud.advance(60)
    measure(proving, 8.0)
    assert state(proving) == "ALARM"

    notices = until(lambda: [n for n in proving.cloud.notices() if "proving-alarm" in n["subject"]])
    assert [n["topic"].rsplit(":", 1)[-1] for n in notices] == ["proving-heard"], (
        "the other topic's key lets no alarm in"
    )
    assert notices[0]["address"] == MAIL
    assert json.loads(notices[0]["text"])["NewStateValue"] == "ALARM"
    (mute,) = [r for r in proving.cloud.refusals() if r["target"].endswith(":proving-mute")]
    assert "cloudwatch.amazonaws.com" in mute["reason"]

    started = until(lambda: [e for e in executions(proving) if json.loads(e["input"]) == {"by": "alarm"}])
    assert len(started) == 1, "the rule started the state machine once"

    proving.cloud.advance(600)
    assert state(proving) == "OK", "missing data are not breaching"


def test_an_event_on_the_bus_reaches_the_function(proving: Proving) -> None:
    entry = {"EventBusName": "proving-bus", "Source": "proving", "DetailType": "d", "Detail": '{"do": "emit"}'}
    proving.cloud.client("events").put_events(Entries=[entry])
    assert until(lambda: proving.cloud.logs("/proving/prover"))


def test_schedules_fire_on_the_movable_clock_in_the_role_that_they_name(proving: Proving) -> None:
    before = len(proving.cloud.logs("/proving/prover", containing="REPORT"))
    proving.cloud.advance(3_601)
    assert until(lambda: len(proving.cloud.logs("/proving/prover", containing="REPORT")) > before)
    refusals = [r for r in proving.cloud.refusals() if "proving-forbidden" in r["source"]]
    assert refusals and "does not allow lambda:InvokeFunction" in refusals[0]["reason"]
    sqs = proving.cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="proving-letters")["QueueUrl"]
    letters = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert [json.loads(letter["Body"]) for letter in letters] == [{"by": "proving-forbidden"}]


def test_a_schedule_keeps_its_time_zone(proving: Proving) -> None:
    schedule = proving.cloud.client("scheduler").get_schedule(Name="proving-once")
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Tokyo"


def test_the_topics_keys_are_kept(proving: Proving) -> None:
    attributes = proving.cloud.client("sns").get_topic_attributes(
        TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:proving-heard"
    )
    assert attributes["Attributes"]["KmsMasterKeyId"]
