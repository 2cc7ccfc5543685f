"""What a report says, to whom, and that it is said once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import count
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.deployments import Deployments
from labcycle_lambdas.ledger.evaluations import Evaluations, MonitorState
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.ledger.reports import Reports
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.profiles import Profile, Reference
from labcycle_lambdas.report import handler
from labcycle_lambdas.report.content import Content, Reader
from labcycle_lambdas.report.environment import Environment
from labcycle_lambdas.report.page import Page, render
from labcycle_lambdas.report.period import Period
from labcycle_lambdas.report.sending import MaybeSent, NotSent, Sending
from tests.unit.serving.workshop import (
    BUCKET,
    FEATURES,
    LABELS,
    MODEL,
    REVIEWER,
    ROWS,
    TABLE,
    World,
    classifier,
    reference_table,
)

MONDAY = datetime(2026, 3, 9, 6, tzinfo=UTC)  # 07:00 in Berlin
BERLIN = ZoneInfo("Europe/Berlin")
VARIABLES = {
    "LEDGER_TABLE": TABLE,
    "ARTIFACT_BUCKET": BUCKET,
    "TEAM": "fraud",
    "MODEL": MODEL,
    "BUSINESS_OWNER": "head-of-cards@example.com",
    "SENDER": "reports@example.com",
    "RECIPIENTS": "cards@example.com,risk@example.com",
    "DAYS": "7",
    "TIME_ZONE": "Europe/Berlin",
    "DRIFT_METHOD": "psi",
    "DRIFT_THRESHOLD": "0.2",
    "DRIFT_MINIMUM_ROWS": "100",
}


class Week:
    """A model and its traffic; `day` is a day of March."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.numbers = count()
        self.now = MONDAY
        self.deployments = Deployments(world.table, now=lambda: self.now)
        self.custody = Custody(world.table, now=lambda: self.now)
        self.environment = Environment.read(VARIABLES)

    def goes_live(self, day: int, *, reference: bytes | None = None, reason: str = "") -> int:
        self.now = march(day)
        content = reference_table() if reference is None else reference
        run = self.world.run({"reference.json": content} if content else {})
        version = self.world.register(classifier(), run_id=run)
        self.deployments.promote(MODEL, self.world.preflight.prepare(MODEL, version), REVIEWER, reason=reason)
        return version

    def flows(self, day: int, rows: int, *, shift: float = 0.0, hour: int = 12, version: int = 0) -> None:
        """Rows of the live version, or of another with the same reference."""
        live = self.deployments.current(MODEL).live
        assert live and live.reference
        profile = Profile(Reference.from_doc(live.reference))
        chosen = np.resize(ROWS, (rows, ROWS.shape[1])) + np.array([shift, 0, 0])
        profile.add(FEATURES, chosen.tolist(), np.resize(LABELS, rows).tolist())
        at = march(day, hour)
        answering = version or live.version
        Profiles(self.world.table).write(MODEL, answering, "a", next(self.numbers), at, profile.to_doc())

    def reader(self) -> Reader:
        table = self.world.table
        return Reader(
            self.environment, self.deployments, self.custody, Profiles(table), Evaluations(table, self.custody)
        )

    def read(self) -> Content:
        return self.reader().read(MONDAY)


def march(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.fixture
def week(world: World) -> Week:
    return Week(world)


class Read(HTMLParser):
    """The text of a page, its elements, and every address that it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def bars(self, colour: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "rect" and attributes["fill"] == colour]


def test_a_report_covers_whole_days_of_its_zone_also_where_the_clocks_change() -> None:
    period = Period.before(datetime(2026, 3, 30, 5, tzinfo=UTC), 2, BERLIN)
    assert [str(day) for day in period.days] == ["2026-03-28", "2026-03-29"]
    assert (period.start.astimezone(UTC), period.end.astimezone(UTC)) == (
        datetime(2026, 3, 27, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    )
    late = Period.before(datetime(2026, 3, 29, 22, 30, tzinfo=UTC), 1, BERLIN)
    assert [str(day) for day in late.days] == ["2026-03-29"]


def test_it_says_what_is_live_since_when_and_by_whom(week: Week) -> None:
    week.goes_live(1)
    page = render(week.read())
    for said in (page.text, Read(page.html).text):
        assert "Version 1, since Sun 1 Mar 2026, 13:00 CET, put into service by reviewer-1." in said
    assert page.subject == f"{MODEL}: what it did, Mon 2 Mar 2026 to Sun 8 Mar 2026"


def test_rows_are_counted_by_local_days_over_all_versions_that_were_live(week: Week) -> None:
    week.goes_live(1)
    week.flows(1, 40, hour=22)  # Sunday before the period, 23:00 in Berlin
    week.flows(1, 50, hour=23)  # Monday, 00:00
    week.flows(3, 60)
    week.goes_live(5)
    week.flows(8, 70, hour=22)
    week.flows(8, 80, hour=23)  # the Monday of the report
    content = week.read()
    assert [rows for _, rows in content.rows] == [50, 60, 0, 0, 0, 0, 70]
    assert content.compared_rows == 70, "what is compared with training is what the live version saw"
    read = Read(render(content).html)
    heights = [float(str(bar["height"])) for bar in read.bars("#0b62a8")][:7]
    assert heights[6] == max(heights) and heights[0] / heights[6] == pytest.approx(50 / 70, abs=0.01)
    assert heights[2] == 0
    assert "Wed 4 Mar 2026 0" in read.text and "Together 180" in read.text


def test_decisions_of_the_period_are_told_and_no_others(week: Week) -> None:
    week.goes_live(1, reason="first of all")
    week.goes_live(4, reason="fewer false alarms")
    service = Who.service("labcycle-fraud-evaluator", "request-1")
    week.now = march(5)
    week.custody.append(f"model/{MODEL}", "drift_detected", service, {"version": 2, "features": {"mean area": 0.4}})
    week.custody.append(f"model/{MODEL}", "data_stale", service, {"why": "trained\nlong ago"})
    week.custody.append(f"model/{MODEL}", "retraining_started", service, {})
    week.custody.append(f"model/{MODEL}", "tag_set", REVIEWER, {"key": "k"})
    compared = {"version": 3, "champion_version": 2, "metric": "accuracy", "challenger": 0.9, "champion": 0.8}
    week.custody.append(f"model/{MODEL}", "retrained", service, compared)
    week.custody.append(f"model/{MODEL}", "challenger_rejected", service, compared)
    week.custody.append(f"model/{MODEL}", "retraining_failed", service, {"cause": "no\nimage"})
    week.now = march(6)
    week.deployments.roll_back(MODEL, REVIEWER, reason="too slow")
    week.goes_live(9)
    assert [(one.by, one.what) for one in week.read().decisions] == [
        ("reviewer-1", "Version 2 went live, in place of version 1. Reason given: fewer false alarms"),
        (
            "labcycle-fraud-evaluator",
            "Drift: version 2 sees other data than it was trained on. Moved most: mean area.",
        ),
        ("labcycle-fraud-evaluator", "Its data are too old: trained long ago."),
        ("labcycle-fraud-evaluator", "A retraining was started."),
        (
            "labcycle-fraud-evaluator",
            "Version 3 was trained anew and compared: accuracy 0.9, version 2 has 0.8.",
        ),
        ("labcycle-fraud-evaluator", "Version 3 was not better: it does not go live."),
        ("labcycle-fraud-evaluator", "The retraining failed: no image"),
        ("reviewer-1", "Version 2 was taken back; version 1 is live again. Reason given: too slow"),
    ]


def test_a_version_that_is_tried_and_a_pause_are_told(week: Week) -> None:
    week.goes_live(1)
    week.now = march(4)
    run = week.world.run({"reference.json": reference_table()})
    tried = week.world.register(classifier(), run_id=run)
    prepared = week.world.preflight.prepare(MODEL, tried)
    week.deployments.try_out(MODEL, prepared, 10, REVIEWER)
    week.flows(5, 60, version=tried)
    week.now = march(6)
    week.deployments.pause(MODEL, None, REVIEWER, reason="a bank\nholiday")
    content = week.read()
    assert content.total_rows == 60 and content.compared_rows == 0
    assert [one.what for one in content.decisions] == [
        "Version 2 is tried with 10 % of the requests.",
        "The model was paused: it gives no predictions. Reason given: a bank holiday",
    ]
    page = render(content)
    for said in (page.text, Read(page.html).text):
        assert "Version 1 is live, and paused: it gives no predictions." in said
        assert "Version 2 is tried with 10 % of the requests, since Wed 4 Mar 2026, 13:00 CET, by reviewer-1." in said
        assert "since Fri 6 Mar 2026, 13:00 CET, by reviewer-1: no predictions are given." in said
    week.now = march(7)
    week.deployments.resume(MODEL, REVIEWER)
    week.deployments.roll_back(MODEL, REVIEWER)
    content = week.read()
    assert content.total_rows == 60, "rows of a version that was tried in the period"
    assert (content.canary, content.paused) == (None, None)
    assert [one.what for one in content.decisions][2:] == [
        "The model gives predictions again.",
        "Version 2 is not tried any longer: it did not go live.",
    ]


def test_predictions_and_features_stand_beside_the_training(week: Week) -> None:
    week.goes_live(1)
    week.flows(3, 300, shift=2.0)
    content = week.read()
    positive = float(LABELS.mean())
    assert [share.label for share in content.predictions] == ["0", "1"]
    for shares in ([share.now for share in content.predictions], [share.training for share in content.predictions]):
        assert shares == pytest.approx([1 - positive, positive])
    assert content.features[0].name == FEATURES[0] and content.features[0].index > 0.2
    assert content.features[1].index == pytest.approx(0, abs=1e-9)
    assert content.moved == [FEATURES[0]]
    page = render(content)
    read = Read(page.html)
    assert f"Its data have changed since training: {FEATURES[0]}." in read.text
    assert f"- {FEATURES[0]}: {content.features[0].index:.3f}" in page.text
    (moved,) = read.bars("#b3541e")
    threshold = next(attributes for tag, attributes in read.tags if tag == "line" and "stroke-dasharray" in attributes)
    assert (
        float(str(moved["x"])) + float(str(moved["width"])) > float(str(threshold["x1"])) == float(str(threshold["x2"]))
    )
    now, training = read.bars("#0b62a8")[7:9], read.bars("#b9c3cd")
    assert len(training) == 2 and now[0]["width"] == training[0]["width"]


def test_only_the_five_that_moved_most_are_shown(week: Week) -> None:
    table = {"columns": [*"abcdefg", "prediction"], "data": [[n] * 8 for n in range(60)]}
    week.goes_live(1, reference=json.dumps(table).encode())
    live = week.deployments.current(MODEL).live
    assert live and live.reference
    profile = Profile(Reference.from_doc(live.reference))
    profile.add([*"abcdefg"], [[n + 9 * k for k in range(7)] for n in range(60)], list(range(60)))
    Profiles(week.world.table).write(MODEL, live.version, "a", 0, march(4), profile.to_doc())
    assert [feature.name for feature in week.read().features] == ["g", "f", "e", "d", "c"]


def test_few_rows_conclude_nothing(week: Week) -> None:
    week.goes_live(1)
    week.flows(3, 60, shift=2.0)
    content = week.read()
    assert content.features[0].index > 0.2 and content.moved == []
    assert "too few to tell" in render(content).text and "Under 100 rows it is mostly chance." in render(content).html


def test_the_latest_verdict_of_the_monitor_is_told(week: Week) -> None:
    week.goes_live(1)
    at = "2026-03-09T05:00:00.000Z"
    verdict = {"evaluated_at": at, "version": 1, "verdict": "drifting", "reason": "2 of 4 columns reach 0.2"}
    evaluations = Evaluations(week.world.table, week.custody)
    evaluations.record(MODEL, at, verdict, MonitorState(last_key=at), None)
    said = "Mon 9 Mar 2026, 06:00 CET, of version 1: above the threshold, not yet for long enough to count as drift"
    page = render(week.read())
    assert said in page.text and said in Read(page.html).text and "2 of 4 columns reach 0.2" in page.text


def test_a_model_that_is_not_live_or_idle_is_said_to_be(week: Week) -> None:
    nothing = render(week.read())
    for said in (nothing.text, Read(nothing.html).text):
        assert "Nothing is live: this model answers nobody." in said
        assert "No traffic: not one row was sent to this model." in said
        assert "Nobody decided anything in this period." in said
    assert "<svg" not in nothing.html
    week.goes_live(1)
    idle = render(week.read())
    assert "Version 1 is live. Nobody asked it anything in this period." in idle.text
    assert "Version 1 saw no rows in this period." in idle.text


def test_a_version_without_a_table_of_its_training_is_not_compared(week: Week) -> None:
    week.goes_live(1, reference=b"")
    assert "Version 1 came without a table of its training data (reference.json)." in render(week.read()).text


def test_what_people_wrote_is_text(week: Week) -> None:
    odd = "<b>&\"'\n- Together: 9"
    table = {"columns": [odd, "prediction"], "data": [[n, "<i>yes</i>"] for n in range(60)]}
    week.goes_live(2, reference=json.dumps(table).encode(), reason="<script>alert(1)</script>\n\nQUESTIONS?\nnobody")
    live = week.deployments.current(MODEL).live
    assert live and live.reference
    profile = Profile(Reference.from_doc(live.reference))
    profile.add([odd], [[n] for n in range(60)], ["<i>yes</i>"] * 60)
    Profiles(week.world.table).write(MODEL, live.version, "a", 0, march(4), profile.to_doc())
    page = render(week.read())
    tags = {tag for tag, _ in Read(page.html).tags}
    assert not tags & {"script", "i"} and "<script>" not in page.html
    assert "<script>alert(1)</script> QUESTIONS? nobody" in Read(page.html).text
    assert page.text.splitlines().count("QUESTIONS?") == 1
    assert [line for line in page.text.splitlines() if line.startswith("- Together")] == ["- Together: 60"]


def test_the_page_is_whole_by_itself_and_asks_for_nothing(week: Week) -> None:
    week.goes_live(1)
    week.flows(3, 300, shift=2.0)
    read = Read(render(week.read()).html)
    assert {tag for tag, _ in read.tags} <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "h1", "h2", "p", "b", "span"),
        *("svg", "line", "rect", "text"),
    }
    for tag, attributes in read.tags:
        assert not {"src", "href", "srcset", "background", "onload", "class"} & attributes.keys(), (tag, attributes)
        assert "url(" not in str(attributes.get("style", ""))
    assert "head-of-cards@example.com" in read.text


class Post:
    """SES, the mails that it took with all that was asked, and what goes wrong with the next ones."""

    def __init__(self) -> None:
        self.client = boto3.client("sesv2", region_name="eu-west-1")
        self.asked: list[dict[str, Any]] = []
        self.faults: list[Exception] = []
        self.faults_after: list[Exception] = []

    def send_email(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if self.faults:
            raise self.faults.pop(0)
        answer = self.client.send_email(**asked)
        if self.faults_after:
            raise self.faults_after.pop(0)
        return answer

    def verify(self) -> None:
        self.client.create_email_identity(EmailIdentity="reports@example.com")

    @property
    def sent(self) -> list[Any]:
        return list(ses_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].sent_messages)


@pytest.fixture
def post(week: Week) -> Post:
    made = Post()
    made.verify()
    return made


@pytest.fixture
def sending(week: Week, post: Post) -> Callable[[], Sending]:
    """A function that starts cold."""
    return lambda: Sending(week.environment, week.reader(), Reports(week.world.table), week.world.s3, post)


def kept(week: Week) -> list[tuple[str, str]]:
    """Keys and versions of the pages in the bucket."""
    found = week.world.s3.list_object_versions(Bucket=BUCKET, Prefix="reports/").get("Versions", [])
    return [(str(one["Key"]), str(one["VersionId"])) for one in found]


def test_the_page_is_kept_and_sent_to_all_without_naming_them(
    week: Week, post: Post, sending: Callable[[], Sending]
) -> None:
    week.goes_live(1)
    told = sending().report(MONDAY)
    key, version_id = f"reports/{MODEL}/2026-03-09.html", told["version_id"]
    assert kept(week) == [(key, version_id)]
    stored = week.world.s3.get_object(Bucket=BUCKET, Key=key)
    (mail,) = post.sent
    assert stored["Body"].read().decode() == mail.body and stored["ContentType"] == "text/html; charset=utf-8"
    assert (mail.id, mail.source) == (told["message_id"], "reports@example.com")
    (asked,) = post.asked
    assert asked["Destination"] == {"BccAddresses": ["cards@example.com", "risk@example.com"]}
    assert asked["ReplyToAddresses"] == ["head-of-cards@example.com"]
    text = asked["Content"]["Simple"]["Body"]["Text"]["Data"]
    assert "cards@example.com" not in text.replace("head-of-cards@", "") and "risk@" not in mail.body


def test_a_repeated_call_of_the_same_time_sends_nothing(week: Week, post: Post, sending: Callable[[], Sending]) -> None:
    first = sending().report(MONDAY)
    assert sending().report(MONDAY) == first
    assert (len(post.asked), len(kept(week))) == (1, 1)
    sending().report(MONDAY + timedelta(days=7))
    assert len(post.sent) == 2


def client_error(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "x")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "fault", [ReadTimeoutError(endpoint_url="https://email"), client_error(500, "InternalFailure")], ids=["lost", "500"]
)
@pytest.mark.parametrize("taken", [True, False])
def test_a_mail_whose_answer_was_lost_is_never_sent_again_by_itself(
    post: Post, sending: Callable[[], Sending], fault: Exception, taken: bool
) -> None:
    (post.faults_after if taken else post.faults).append(fault)
    with pytest.raises(type(fault)):
        sending().report(MONDAY)
    for _ in range(2):
        with pytest.raises(MaybeSent, match="Ask a recipient"):
            sending().report(MONDAY)
    assert (len(post.asked), len(post.sent)) == (1, int(taken))


@pytest.mark.parametrize(
    "fault",
    [EndpointConnectionError(endpoint_url="https://email"), client_error(429, "TooManyRequestsException")],
    ids=["unreachable", "throttled"],
)
def test_a_mail_that_was_surely_not_sent_is_tried_again(
    post: Post, sending: Callable[[], Sending], fault: Exception
) -> None:
    post.faults.append(fault)
    with pytest.raises(NotSent):
        sending().report(MONDAY)
    assert sending().report(MONDAY)["state"] == "sent"
    assert len(post.sent) == 1


def test_a_sender_that_is_not_verified_is_told_and_the_page_is_kept(week: Week, sending: Callable[[], Sending]) -> None:
    boto3.client("sesv2", region_name="eu-west-1").delete_email_identity(EmailIdentity="reports@example.com")
    with pytest.raises(NotSent, match=r"the sender reports@example\.com is verified in SES in this region"):
        sending().report(MONDAY)
    assert len(kept(week)) == 1


def test_two_calls_at_once_send_one_mail(week: Week, post: Post, sending: Callable[[], Sending]) -> None:
    class Both(Sending):
        def _keep(self, page: Page, at: datetime) -> dict[str, str]:
            """The other call overtakes this one here."""
            sending().report(at)
            return super()._keep(page, at)

    mine = Both(week.environment, week.reader(), Reports(week.world.table), week.world.s3, post)
    with pytest.raises(MaybeSent):
        mine.report(MONDAY)
    assert len(post.sent) == 1
    assert sending().report(MONDAY)["state"] == "sent"


@pytest.fixture
def called(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (VARIABLES | {"AWS_DEFAULT_REGION": "eu-west-1"}).items():
        monkeypatch.setenv(name, value)
    handler._sending.cache_clear()
    yield lambda event: handler.handle(event, SimpleNamespace())
    handler._sending.cache_clear()


def test_the_function_sends_what_was_scheduled(week: Week, called: Any) -> None:
    Post().verify()
    answer = called({"scheduled_time": "2026-03-09T06:00:00Z"})
    assert answer["state"] == "sent" and answer["key"] == f"reports/{MODEL}/2026-03-09.html"
    assert called({"scheduled_time": "2026-03-09T06:00:00Z"}) == answer | {"state": "sent"}
    json.dumps(answer)


def test_missing_settings_are_named() -> None:
    with pytest.raises(RuntimeError, match="report function needs the environment variables SENDER, DAYS"):
        Environment.read({k: v for k, v in VARIABLES.items() if k not in ("SENDER", "DAYS")})
