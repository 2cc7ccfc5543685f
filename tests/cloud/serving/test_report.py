"""The report of a model: schedule, function, bucket and SES as they were deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from moto.ses.models import ses_backends

from labcycle.config import names
from tests.cloud.alone import deployed
from tests.cloud.harness.machines import finish
from tests.cloud.harness.place import Place
from tests.cloud.team import COLUMNS, Team
from tests.one_team import synthesized

PLACE = Place("123456789012", "eu-west-1")
MODEL = "card-fraud"
SENDER, RECIPIENTS = "reports@example.com", ["cards@example.com", "risk@example.com"]
ROWS = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in range(0, 24, 3)]
_TARGET: dict[str, Any] = {
    "target": "reported",
    "account": PLACE.account,
    "region": PLACE.region,
    "zones": ["eu-west-1a", "eu-west-1b"],
    "network": {"name": "reported", "egress": "none"},
}
_TEAM: dict[str, Any] = {
    "team": "pulsar",
    "owner": "pulsar@example.com",
    "cost_centre": "cc-1",
    "target": "reported",
    "stage": "sandbox",
    "members": [
        {"name": "scientist-1", "principal": {"iam_user": "scientist-1"}, "roles": ["data_scientist"]},
        {"name": "reviewer-1", "principal": {"iam_user": "reviewer-1"}, "roles": ["reviewer"]},
        {"name": "operator-1", "principal": {"iam_user": "operator-1"}, "roles": ["operator"]},
    ],
    "models": [
        {
            "name": MODEL,
            "business_owner": "head@example.com",
            "deliver": [
                {"form": "api", "runtime": "lambda"},
                {"form": "batch"},
                {"form": "app"},
                {
                    "form": "report",
                    "schedule": "cron(0 7 ? * MON *)",
                    "time_zone": "Europe/Berlin",
                    "sender": SENDER,
                    "recipients": RECIPIENTS,
                },
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def pulsar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    assembly = synthesized(tmp_path_factory.mktemp("pulsar"), _TEAM, _TARGET)
    with deployed(assembly, PLACE, "pulsar") as team:
        yield team


@dataclass(frozen=True)
class Weekly:
    """The report of a week in which a version went live, and its mails; due is eight days from now."""

    team: Team
    due: datetime
    hear: Callable[[], list[str]]

    def fires(self) -> None:
        function = self.team.output(f"model-{MODEL}", "ReportFunction")
        schedules = PLACE.client("scheduler").list_schedules()["Schedules"]
        (name,) = [one["Name"] for one in schedules if one["Target"]["Arn"].endswith(f":{function}")]
        self.team.cloud.fire_schedule(PLACE, name, self.due)

    def mails(self) -> list[Any]:
        return list(ses_backends[PLACE.account][PLACE.region].sent_messages)

    def pages(self) -> list[bytes]:
        bucket = PLACE.client("s3")
        found = bucket.list_object_versions(Bucket=self.team.bucket, Prefix=f"reports/{MODEL}/").get("Versions", [])
        where = [{"Bucket": self.team.bucket, "Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        return [bucket.get_object(**one)["Body"].read() for one in where]

    def letters(self) -> list[dict[str, Any]]:
        sqs = PLACE.client("sqs")
        url = sqs.get_queue_url(QueueName=names.dead_letter_queue(self.team.name))["QueueUrl"]
        return [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url).get("Messages", [])]


@pytest.fixture
def weekly(pulsar: Team) -> Iterator[Weekly]:
    pulsar.wipe()
    pulsar.cloud.guard.refused.clear()
    backend = ses_backends[PLACE.account][PLACE.region]
    backend.sent_messages.clear()
    PLACE.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    yield Weekly(pulsar, datetime.now(UTC) + timedelta(days=1), pulsar.cloud.listen(pulsar.notices))
    backend.email_identities.clear()
    pulsar.cloud.faults.clear()
    assert pulsar.cloud.guard.refused == []
    assert pulsar.cloud.functions.failures == []


def test_what_the_model_did_is_mailed_and_kept(weekly: Weekly) -> None:
    team = weekly.team
    version = team.member("scientist-1").log_model(MODEL, ROWS)
    team.member("reviewer-1").promote(MODEL, version)
    team.restart_servers()
    body = {"dataframe_split": {"columns": COLUMNS, "data": [row[:2] for row in ROWS[:200]]}}
    answer = team.model(MODEL).call("POST", "/invocations", team.member("reviewer-1").caller, body=body)
    assert answer.status == 200, str(answer)
    weekly.fires()
    (mail,) = weekly.mails()
    assert mail.source == SENDER and mail.destinations["BccAddresses"] == RECIPIENTS
    assert not mail.destinations.get("ToAddresses") and not mail.destinations.get("CcAddresses")
    assert f"Version {version} is live. The model answered 200 rows." in mail.body
    assert "put into service by reviewer-1" in mail.body and "<svg" in mail.body
    assert "reviewer-1</td>" in mail.body and "Version 1 went live." in mail.body
    assert weekly.pages() == [mail.body.encode()]


def test_one_version_in_every_form_says_the_same(weekly: Weekly) -> None:
    """Through the API, a batch of objects, the page and the report at once."""
    team, rows = weekly.team, [row[:2] for row in ROWS[::2]]
    scientist, reviewer = team.member("scientist-1"), team.member("reviewer-1")
    reviewer.promote(MODEL, scientist.log_model(MODEL, ROWS))
    team.restart_servers()
    ask = partial(team.model(MODEL).call, "POST", "/invocations", reviewer.caller)
    split = {"columns": COLUMNS, "data": rows}
    api = ask(body={"dataframe_split": split}).json()["predictions"]
    # What the page sends: one row, as it is in its form.
    page = team.model(MODEL).call("GET", "/app", reviewer.caller)
    assert page.status == 200 and all(f'"name":"{name}"' in page.body.decode() for name in COLUMNS)
    records = [{"dataframe_records": [dict(zip(COLUMNS, row, strict=True))]} for row in rows[:40]]
    shown = [ask(body=record, headers={"x-labcycle-what-if": "true"}).json()["predictions"][0] for record in records]
    table = "\n".join(",".join(map(str, row)) for row in [COLUMNS, *rows]).encode() + b"\n"
    scientist.s3.put_object(Bucket=team.bucket, Key=f"batch/{MODEL}/in/rows.csv", Body=table)
    states = team.cloud.client("stepfunctions", PLACE, reviewer.caller.role)
    machine = team.output(f"model-{MODEL}", "BatchStateMachine")
    run = states.start_execution(stateMachineArn=machine, name="same", input="{}")["executionArn"]
    assert finish(run)["status"] == "SUCCEEDED"
    key = f"batch/{MODEL}/out/same/predictions/rows.csv.jsonl"
    written = reviewer.s3.get_object(Bucket=team.bucket, Key=key)["Body"].read().splitlines()
    assert [json.loads(line)["prediction"] for line in written] == api
    assert shown == api[:40]
    weekly.fires()
    (mail,) = weekly.mails()
    answered = 2 * len(rows)  # by its API, and in a batch
    assert f"The model answered {answered} rows." in mail.body, "what was tried on the page is no traffic"
    for label in (0, 1):
        share = api.count(label) / len(api)
        assert re.search(rf">{label}</td><td[^>]*>{100 * share:.1f} %</td>", mail.body), (label, share)


def test_a_call_that_comes_twice_sends_once(weekly: Weekly) -> None:
    weekly.fires()
    weekly.fires()
    (mail,) = weekly.mails()
    assert "Nothing is live" in mail.body and len(weekly.pages()) == 1
    assert weekly.letters() == []


def test_a_report_that_cannot_be_sent_is_told_to_the_owner(weekly: Weekly) -> None:
    PLACE.client("sesv2").delete_email_identity(EmailIdentity=SENDER)
    weekly.fires()
    assert weekly.mails() == [] and len(weekly.pages()) == 3
    failures, weekly.team.cloud.functions.failures[:] = list(weekly.team.cloud.functions.failures), []
    assert [failure.error for failure in failures] == ["NotSent"] * 3
    (letter,) = weekly.letters()
    assert f"the sender {SENDER} is verified in SES" in letter["responsePayload"]["errorMessage"]
    queue = {"Name": "QueueName", "Value": names.dead_letter_queue("pulsar")}
    PLACE.client("cloudwatch").put_metric_data(  # as SQS does every minute
        Namespace="AWS/SQS",
        MetricData=[{"MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": [queue], "Value": 1}],
    )
    weekly.team.cloud.evaluate_alarms(PLACE)
    (notice,) = weekly.hear()
    assert json.loads(notice)["NewStateValue"] == "ALARM" and "was lost" in json.loads(notice)["AlarmDescription"]
    PLACE.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    weekly.fires()
    assert len(weekly.mails()) == 1, "once the sender is verified, the same report can be sent"


def test_an_operator_may_send_a_report_by_hand_and_a_verified_domain_is_enough(weekly: Weekly) -> None:
    team, ses = weekly.team, PLACE.client("sesv2")
    ses.delete_email_identity(EmailIdentity=SENDER)
    ses.create_email_identity(EmailIdentity="example.com")
    caller = team.cloud.client("lambda", PLACE, team.member("operator-1").caller.role)
    function = team.output(f"model-{MODEL}", "ReportFunction")
    answer = json.loads(caller.invoke(FunctionName=function, Payload=b"{}")["Payload"].read())
    assert answer["state"] == "sent" and len(weekly.mails()) == 1
