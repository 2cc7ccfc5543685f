"""ModelMonitor with all that it can watch: an alarm and a metric for each subject, and no more than those."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template

from labcycle.config import Drift, DriftMethod, Freshness, Outcome, Performance
from labcycle.monitoring._subjects import METRICS
from labcycle_lambdas.monitoring import metrics
from labcycle_lambdas.monitoring.environment import Environment
from labcycle_lambdas.outcomes import business, performance
from tests.synth.monitoring.test_monitoring import Bench, alarms_of, environment_of, listed, statements

EVALUATOR = "Evaluator of card-fraud, team fraud"
FRESHNESS = Freshness(training_days=90, traffic_hours=6)
PERFORMANCE = Performance(metric="roc_auc", limit=0.8)
OUTCOME = Outcome(metric="money-saved", minimum=10_000.0, expected=20_000.0, window_days=14)


def requests(bench: Bench) -> cloudwatch.Metric:
    api = apigateway.HttpApi(bench.stack, "Api")
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name="IntegrationLatency",
        statistic="SampleCount",
        dimensions_map={"ApiId": api.api_id},
    )


@pytest.fixture(scope="module")
def whole() -> Template:
    bench = Bench()
    drift = Drift(method="wasserstein", window_hours=48, every_minutes=30)
    bench.monitor(
        drift=drift,
        cohorts=["country"],
        performance=PERFORMANCE,
        outcome=OUTCOME,
        artifact_bucket=s3.Bucket(bench.stack, "Bucket"),
        freshness=FRESHNESS,
        requests=requests(bench),
    )
    return bench.template()


def read(template: Template) -> Environment:
    return Environment.read(environment_of(template, EVALUATOR))


def test_the_evaluator_reads_what_is_watched(whole: Template) -> None:
    variables = environment_of(whole, EVALUATOR)
    requests = {
        "namespace": "AWS/ApiGateway",
        "name": "IntegrationLatency",
        "statistic": "SampleCount",
        "dimensions": {"ApiId": "a1b2"},
    }
    environment = Environment.read(variables | {"REQUESTS": json.dumps(requests)})
    assert (environment.drift.method, environment.drift.threshold) == ("wasserstein", 0.1)
    assert (environment.drift.window.total_seconds(), environment.drift.cohorts) == (48 * 3600, ("country",))
    assert environment.performance == performance.Settings("roc_auc", 0.8, 200, 2, 7)
    assert environment.outcome == business.Settings("money-saved", 10_000, 20_000, 50, 2, 14)
    assert environment.artifact_bucket == "token"
    assert environment.freshness
    assert environment.freshness.training and environment.freshness.training.days == 90
    assert environment.freshness.traffic and environment.freshness.traffic.total_seconds() == 6 * 3600


def test_the_metric_of_the_api_is_told_with_its_id(whole: Template) -> None:
    [function] = whole.find_resources("AWS::Lambda::Function", {"Properties": {"Description": EVALUATOR}}).values()
    [api] = whole.find_resources("AWS::ApiGatewayV2::Api")
    before, reference, after = function["Properties"]["Environment"]["Variables"]["REQUESTS"]["Fn::Join"][1]
    assert reference == {"Ref": api}
    document = json.loads(f"{before}a1b2{after}")
    assert document == {
        "namespace": "AWS/ApiGateway",
        "name": "IntegrationLatency",
        "statistic": "SampleCount",
        "dimensions": {"ApiId": "a1b2"},
    }


def test_each_subject_has_an_alarm_on_its_metric(whole: Template) -> None:
    assert METRICS == metrics.NAMES
    for subject in METRICS:
        [(_, alarm)] = alarms_of(whole, metrics.NAMES[subject])
        assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1800, 2, 1)
        assert alarm["TreatMissingData"] == "notBreaching" and alarm["AlarmActions"]
        assert "labcycle monitor" in alarm["AlarmDescription"] and len(alarm["AlarmDescription"]) <= 1024
    [(_, fell)], [(_, lost)] = (alarms_of(whole, METRICS[one]) for one in ("performance", "business"))
    assert "roc_auc of those whose truth is known" in fell["AlarmDescription"]
    assert "money-saved summed up over 14 whole day(s) was below 10000" in lost["AlarmDescription"]


def test_what_takes_in_outcomes_has_time_and_may_read_the_log(whole: Template) -> None:
    [function] = whole.find_resources("AWS::Lambda::Function", {"Properties": {"Description": EVALUATOR}}).values()
    assert (function["Properties"]["Timeout"], function["Properties"]["MemorySize"]) == (900, 1024)
    reading = [json.dumps(s["Resource"]) for _, s in statements(whole) if "s3:GetObject" in listed(s["Action"])]
    assert any("/predictions/card-fraud/*" in resource for resource in reading)


def test_what_is_not_watched_has_no_alarm_and_no_bucket() -> None:
    bench = Bench()
    bench.monitor(artifact_bucket=s3.Bucket(bench.stack, "Bucket"))
    template = bench.template()
    assert [alarms_of(template, METRICS[one]) for one in ("performance", "business", "freshness")] == [[], [], []]
    assert not [s for _, s in statements(template) if any(a.startswith("s3:") for a in listed(s["Action"]))]
    assert "ARTIFACT_BUCKET" not in environment_of(template, EVALUATOR)


@pytest.mark.parametrize("settings", [{"performance": PERFORMANCE}, {"outcome": OUTCOME}])
def test_outcomes_need_the_bucket_that_they_arrive_in(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="artifact_bucket: got none"):
        Bench().monitor(**settings)


@pytest.mark.parametrize(
    ("freshness", "said", "not_said"),
    [
        (Freshness(training_days=9), "trained more than 9 day", "nobody asked"),
        (Freshness(traffic_hours=7), "for more than 7 hour", "was trained"),
        (FRESHNESS, "90 day(s) ago, or nobody asked", "None"),
    ],
)
def test_the_alarm_of_freshness_tells_its_limits(freshness: Freshness, said: str, not_said: str) -> None:
    bench = Bench()
    bench.monitor(freshness=freshness)
    [(_, alarm)] = alarms_of(bench.template(), metrics.NAMES["freshness"])
    assert said in alarm["AlarmDescription"] and not_said not in alarm["AlarmDescription"]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("psi", "population stability index of 0.2"),
        ("jensen_shannon", "Jensen-Shannon distance of 0.1"),
        ("wasserstein", r"Wasserstein distance \(in standard deviations of the training data\) of 0.1"),
        ("kolmogorov_smirnov", "Kolmogorov-Smirnov statistic of 0.1"),
    ],
)
def test_the_alarm_of_drift_tells_its_figure(method: DriftMethod, said: str) -> None:
    bench = Bench()
    bench.monitor(drift=Drift(method=method))
    bench.template().has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {"MetricName": "DriftDetected", "AlarmDescription": Match.string_like_regexp(said)},
    )


def test_an_alarm_that_a_reaction_answers_notifies_nobody_itself() -> None:
    bench = Bench()
    monitor = bench.monitor(freshness=FRESHNESS, answered=["drift"])
    assert set(monitor.alarms) == {"drift", "freshness"} and monitor.alarm is monitor.alarms["drift"]
    template = bench.template()
    [(_, drift)], [(_, freshness)] = (alarms_of(template, metrics.NAMES[one]) for one in ("drift", "freshness"))
    assert "AlarmActions" not in drift and freshness["AlarmActions"]


def test_what_is_not_watched_is_not_answered() -> None:
    with pytest.raises(ValueError, match="answered: got business; allowed is what is watched: drift, freshness"):
        Bench().monitor(freshness=FRESHNESS, answered=["drift", "business"])


def keys_of(template: Template, action: str) -> list[str]:
    found: list[str] = []
    for _, statement in statements(template):
        if action in listed(statement["Action"]):
            found += listed(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
    return found


@pytest.mark.parametrize(
    ("settings", "runs", "counts"),
    [
        ({}, False, False),
        ({"freshness": Freshness(traffic_hours=1)}, False, False),
        ({"freshness": FRESHNESS}, True, False),
    ],
)
def test_it_may_read_runs_and_metrics_only_where_it_needs_them(
    settings: dict[str, Any], runs: bool, counts: bool
) -> None:
    bench = Bench()
    bench.monitor(**settings)
    template = bench.template()
    assert ("RUN#*" in keys_of(template, "dynamodb:GetItem")) is runs
    actions = {action for _, statement in statements(template) for action in listed(statement["Action"])}
    assert ("cloudwatch:GetMetricData" in actions) is counts


def test_what_the_api_counts_may_be_read(whole: Template) -> None:
    assert "cloudwatch:GetMetricData" in {a for _, s in statements(whole) for a in listed(s["Action"])}
    written = ["DRIFT#card-fraud", "CUSTODY#model/card-fraud", "CUSTODY_WAITING"]
    assert keys_of(whole, "dynamodb:PutItem") == [*written, "OUTCOMES#card-fraud", "OUTCOMES#card-fraud#*"]
