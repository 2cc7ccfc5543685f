"""`labcycle status`, with more and fewer rights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.client import status
from labcycle.client.api import ApiError, TeamApi
from labcycle.config import names

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATE = {
    "team": "fraud",
    "last_anchor": {"number": 7, "at": "2026-03-01T11:00:00.000Z", "sha256": "0" * 64},
    "waiting": [{"subject": "model/a", "seq": 1, "at": "2026-03-01T11:59:00.000Z", "hash": "0" * 64}],
    "next": None,
    "broken": False,
}


class Api(TeamApi):
    def __init__(self, state: dict[str, Any] | None = None) -> None:
        super().__init__("https://abc.execute-api.eu-west-1.amazonaws.com")
        self._state = state

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        if self._state is None:
            raise ApiError("the API cannot be reached")
        return self._state


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        made = boto3.Session("a", "s", region_name="us-east-1")
        cloudwatch, ssm = made.client("cloudwatch", "eu-west-1"), made.client("ssm", "eu-west-1")
        ssm.put_parameter(
            Name=names.tracking_url_parameter("fraud"),
            Value="https://abc.execute-api.eu-west-1.amazonaws.com",
            Type="String",
        )
        for name in ("labcycle-fraud-tracking-a", "labcycle-growth-tracking-a"):
            cloudwatch.put_metric_alarm(
                AlarmName=name,
                Namespace="n",
                MetricName="m",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                Statistic="Sum",
                ComparisonOperator="GreaterThanThreshold",
            )
        cloudwatch.put_metric_data(
            Namespace="labcycle/fraud",
            MetricData=[
                {
                    "MetricName": "Throttled",
                    "Value": 3,
                    "Timestamp": NOW - timedelta(minutes=20),
                    "Dimensions": [{"Name": "team", "Value": "fraud"}],
                }
            ],
        )
        yield made


def test_all_that_an_operator_sees(session: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    found = status.look(Api(STATE), session, NOW)
    assert (found.reachable, found.team, found.behind_seconds, found.hidden) == (True, "fraud", 60, [])
    assert found.alarms is not None and list(found.alarms) == ["labcycle-fraud-tracking-a"]
    assert found.last_hour == {"requests": 0, "errors": 0, "throttled": 3}
    assert found.well
    status._print(found)
    assert "number 7 of 2026-03-01T11:00:00.000Z, the oldest event waits 60 s" in capsys.readouterr().out
    session.client("cloudwatch", "eu-west-1").set_alarm_state(
        AlarmName="labcycle-fraud-tracking-a", StateValue="ALARM", StateReason="r"
    )
    assert not status.look(Api(STATE), session, NOW).well


def test_what_may_not_be_seen_is_said(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(made: status.Status, client: Any, *_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "DescribeAlarms")

    monkeypatch.setattr(status, "_alarms", refuse)
    found = status.look(Api({**STATE, "waiting": [], "last_anchor": None}), session, NOW)
    assert (found.alarms, found.hidden, found.well) == (None, ["the alarms: AccessDenied"], True)
    assert (found.behind_seconds, found.last_anchor) == (0, None)


def test_without_a_region_only_the_api_is_asked(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    api = Api(STATE)
    api.address = "https://tracking.example.com"
    found = status.look(api, session, NOW)
    assert (found.reachable, found.alarms, found.last_hour) == (True, None, None)
    assert len(found.hidden) == 1 and "set AWS_REGION" in found.hidden[0]


def test_an_api_that_does_not_answer(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "TeamApi", Api)
    ran = CliRunner().invoke(app, ["status", "--json"])
    assert ran.exit_code == 1
    assert json.loads(ran.output)["problem"] == "the API cannot be reached"
    assert "does not answer" in CliRunner().invoke(app, ["status"]).output


def test_the_command_prints_one_document_and_exits_by_what_it_saw(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "TeamApi", lambda: Api(STATE))
    monkeypatch.setattr(boto3, "Session", lambda: session)
    ran = CliRunner().invoke(app, ["status", "--json"])
    assert ran.exit_code == 0
    said = json.loads(ran.output)
    assert (said["well"], said["team"], said["last_anchor"]["number"]) == (True, "fraud", 7)
    assert said["doors"] == {"IAM": "https://abc.execute-api.eu-west-1.amazonaws.com"}
    session.client("cloudwatch", "eu-west-1").set_alarm_state(
        AlarmName="labcycle-fraud-tracking-a", StateValue="ALARM", StateReason="r"
    )
    ran = CliRunner().invoke(app, ["status"])
    assert ran.exit_code == 1
    assert "alarms       1, 1 in ALARM: labcycle-fraud-tracking-a" in ran.output
