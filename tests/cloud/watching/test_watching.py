"""What is watched beside drift by the index, as it was deployed: evaluator, metrics, alarms, notices, events."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle_lambdas.ledger.evaluations import Evaluations
from labcycle_lambdas.ledger.table import Replace, Table
from tests.cloud.monitoring.test_reaction import AFTER, BEFORE, MODEL, STACK, Story
from tests.cloud.team import Team


class Watched(Story):
    """The story of a model whose evaluations come some minutes or hours after its promotion."""

    def __init__(self, team: Team) -> None:
        super().__init__(team)
        self.table = Table(team.place.client("dynamodb"), team.table)

    def goes_live(self) -> int:
        version = self.go_live(BEFORE)
        self.promoted = datetime.fromisoformat(self.reviewer.deployment(MODEL)["live"]["promoted_at"])
        return version

    def judged(self, after: timedelta) -> dict[str, Any]:
        """What the evaluator keeps of the time `after` the promotion; then the alarms look."""
        self.due = (self.promoted + after).replace(microsecond=0)
        at = self.due
        self.evaluate()
        found = Evaluations(self.table, None).find(MODEL, at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))  # type: ignore[arg-type]
        assert found
        return found

    def asked(self, requests: int) -> None:
        """The profiles of the live version tell that its servers were asked so much."""
        items = list(self.table.query(f"PROFILE#{MODEL}#{self.live()}"))
        for number, item in enumerate(items):
            profile = {**item.doc["profile"], "asked": 0 if number else requests}
            self.table.write(Replace(item, {"profile": profile}))

    def passed_on(self, requests: int) -> None:
        """The model's API counts so many requests, ten minutes after the promotion."""
        address = self.team.output(STACK, "ModelUrl")
        datum: Any = {
            "MetricName": "IntegrationLatency",
            "Dimensions": [{"Name": "ApiId", "Value": address.split("//")[1].split(".")[0]}],
            "Timestamp": self.promoted + timedelta(minutes=10),
            "Values": [12.0],
            "Counts": [float(requests)],
        }
        self.team.place.client("cloudwatch").put_metric_data(Namespace="AWS/ApiGateway", MetricData=[datum])

    def came_true(self, right: int, wrong: int) -> None:
        """A window of predictions is in the log, as the model server writes it; over the API comes what became of them."""
        version = self.live()
        window = f"{self.promoted + timedelta(seconds=5):%Y%m%dT%H%M%SZ}-a1-1"
        lines = "".join(json.dumps({"row": row, "prediction": 1}) + "\n" for row in range(right + wrong))
        key = f"predictions/{MODEL}/{version}/{window}.jsonl.gz"
        log = gzip.compress(lines.encode())
        self.team.place.client("s3").put_object(Bucket=self.team.bucket, Key=key, Body=log)
        told = [
            {"prediction_id": f"{version}-{window}-{row}", "truth": int(row < right)} for row in range(right + wrong)
        ]
        answer = self.scientist.call("POST", f"/labcycle/1.0/models/{MODEL}/outcomes", body={"outcomes": told})
        assert answer.status == 200, str(answer)

    def state(self, alarm: str) -> str:
        name = self.team.output(STACK, alarm)
        (found,) = self.team.place.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])


HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def watched(fraud: Team) -> Watched:
    return Watched(fraud)


def verdicts(evaluation: dict[str, Any]) -> dict[str, str]:
    return {one["subject"]: one["verdict"] for one in evaluation["judgements"]}


def test_drift_is_found_by_the_method_of_the_team_file(watched: Watched) -> None:
    watched.goes_live()
    watched.send(BEFORE)
    still = watched.judged(HALF_AN_HOUR)
    assert (still["verdict"], still["method"], still["threshold"]) == ("stable", "kolmogorov_smirnov", 0.1)
    watched.send([*AFTER, *AFTER])
    drifted = watched.judged(2 * HALF_AN_HOUR)
    assert drifted["verdict"] == "drifted" and drifted["features"]["amount"] > 0.3
    assert watched.state("DriftAlarm") == "ALARM"
    (execution,) = watched.started()
    watched.finish(execution, "FAILED")  # there is nothing to train on
    (notice,) = watched.hear()
    assert "Drift was detected" in notice, "the reaction tells, and its alarm does not do so as well"
    assert watched.raised() == {"CannotReact"}


def test_drift_is_not_judged_where_requests_are_missing(watched: Watched) -> None:
    watched.goes_live()
    watched.send([*AFTER, *AFTER])
    watched.asked(94)
    watched.passed_on(100)
    lost = watched.judged(HALF_AN_HOUR)
    assert (lost["verdict"], lost["coverage"]["share"]) == ("not_enough_data", 0.94)
    assert lost["reason"].startswith("the profiles tell of 94 of 100 requests")
    assert verdicts(lost) == {
        "drift": "not_enough_data",
        "performance": "not_enough_data",
        "business": "not_enough_data",
        "freshness": "good",
    }
    assert watched.started() == []
    watched.asked(95)
    assert watched.judged(2 * HALF_AN_HOUR)["verdict"] == "drifted"
    (execution,) = watched.started()
    watched.finish(execution, "FAILED")
    assert watched.raised() == {"CannotReact"}


def test_a_model_that_is_asked_nothing_is_told_once(watched: Watched) -> None:
    watched.goes_live()
    watched.send(BEFORE)
    assert verdicts(watched.judged(timedelta(hours=1)))["freshness"] == "good"
    for hours in (3, 4, 5):
        assert verdicts(watched.judged(timedelta(hours=hours)))["freshness"] == "failed"
    assert watched.state("FreshnessAlarm") == "ALARM"
    (alarm,) = watched.hear()
    told = json.loads(alarm)
    assert told["NewStateValue"] == "ALARM" and "nobody asked it" in told["AlarmDescription"]
    assert f"labcycle monitor status {MODEL}" in told["AlarmDescription"]
    assert watched.actions().count("data_stale") == 1


def test_predictions_that_do_not_come_true_are_told_with_what_to_do(watched: Watched) -> None:
    version = watched.goes_live()
    watched.send(BEFORE)
    watched.came_true(40, 80)
    fallen = watched.judged(timedelta(minutes=90))
    assert fallen["outcomes"]["new"] == 120
    assert verdicts(fallen)["performance"] == "failed" and verdicts(fallen)["freshness"] == "good"
    assert (watched.state("PerformanceAlarm"), watched.state("BusinessAlarm")) == ("ALARM", "OK")
    (alarm,) = watched.hear()
    assert f"labcycle outcomes show {MODEL}" in json.loads(alarm)["AlarmDescription"]
    assert watched.actions()[-1] == "performance_fell"
    assert f"accuracy of version {version} is 0.3333" in fallen["judgements"][1]["reason"]


def test_a_subject_that_cannot_be_judged_ends_among_the_dead_letters_and_hides_nothing(watched: Watched) -> None:
    version = watched.goes_live()
    watched.send(BEFORE)
    run = watched.reviewer.deployment(MODEL)["live"]["source_run"]
    header = watched.table.get(f"RUN#{run}", "HEADER")
    assert header
    watched.table.write(Replace(header, {**header.doc, "start_time": "long ago", "end_time": None}))
    found = watched.judged(HALF_AN_HOUR)
    assert found["version"] == version and found["verdict"] == "stable"
    assert found["errors"]["freshness"].startswith("TypeError")
    (letter,) = watched.dead_letters()
    assert letter["requestContext"]["approximateInvokeCount"] == 3
    assert letter["responsePayload"]["errorType"] == "NotAllJudged"
    assert watched.raised() == {"NotAllJudged"}


def test_the_time_of_the_schedule_is_that_of_the_evaluation(watched: Watched) -> None:
    watched.goes_live()
    found = watched.judged(HALF_AN_HOUR)
    assert datetime.fromisoformat(found["evaluated_at"]) == watched.due - timedelta(minutes=1)
    assert datetime.fromisoformat(found["evaluated_at"]).tzinfo == UTC
