"""Watch a model: a scheduled evaluation of what it sees and how it does, with a metric and an alarm for each subject."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._notices import tell
from labcycle._schedules import SCHEDULED_TIME, call_every
from labcycle.config import Drift, Freshness, Outcome, Performance, names
from labcycle.monitoring._outcomes import let_take_in
from labcycle.monitoring._subjects import METRICS, business_alarm, drift_alarm, freshness_alarm, performance_alarm

# Two of them are a week: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_LONGEST_PERIOD_SECONDS = 84 * 3600
_ALARM_IDS = {"drift": "Alarm"}  # of the others, by their subject


class ModelMonitor(Construct):
    """Drift of a model's features and predictions against its training data, and whatever else of it is to be watched.

    A schedule calls the evaluator, which judges each subject by itself: one that cannot be judged hides none of the others, is
    tried three times, and ends among the dead letters. Each evaluation is kept in the ledger; an episode is one event in
    the model's chain of custody, and one notice.

    For drift the evaluator merges the profiles that the model servers wrote since the live version was promoted
    (`drift.window_hours` at most) and compares them with that version's reference. Drift needs a figure of the threshold in any
    column that chance does not explain, `minimum_rows` rows of 95 % of the requests, and `persistence` evaluations in a row that
    each saw new rows.

    An alarm goes to ALARM while its subject fails, and back by itself when it does not, when another version is live, or
    when there is nothing to judge. What is not judged publishes no metric. An alarm costs 0.10 USD a month, its metric 0.30 USD in
    proportion to the hours in which it is published.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model; the dimensions of the metrics.
    ledger
        The table with deployment records and profiles; evaluations are written to it.
    encryption_key
        Encrypts the ledger and the logs. A key of the same stack is told to serve CloudWatch Logs and alarms.
    notice_topic
        Gets the alarms. A topic of the same stack is told to let them publish; the policy of any other, and that of
        its key, must allow CloudWatch alarms, as those of `TeamFoundation.topic` do.
    dead_letters
        Gets the calls of the evaluator that came to nothing, by roles of this construct. Absent: a queue of its own, with
        an alarm to the notice topic (0.10 USD a month).
    drift
        When columns have drifted, and how often everything is judged. Absent: the population stability index of 0.2, each hour.
    cohorts
        Categorical features whose most frequent values are compared each by itself, too, as far as the reference has them.
    performance, outcome
        When predictions count as wrong, and what the model is to be worth, by the outcomes that come back by their ids, which the
        evaluator takes in. Absent: not watched.
    artifact_bucket
        Holds the prediction log and the outcomes; needed where these are watched.
    freshness
        How old the training of the live version, and its last prediction, may be. Absent: of any age.
    requests
        Metric of the requests that the model's API passes on, such as `ModelService.metric_integrated_requests()`: where the
        profiles tell of less than 95 % of them, drift is not judged. Absent: they count as whole.
    answered
        Subjects whose alarm starts a reaction. Its notices tell what was found and done, so that one cause pages once: these
        alarms notify nobody themselves.
    time_zone
        IANA name of the schedule's time zone.

    Raises
    ------
    ValueError
        If `answered` names what is not watched, or outcomes are watched without `artifact_bucket`; all at once.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        ledger: dynamodb.ITable,
        encryption_key: kms.IKey,
        notice_topic: sns.ITopic,
        dead_letters: sqs.IQueue | None = None,
        drift: Drift | None = None,
        cohorts: Sequence[str] = (),
        performance: Performance | None = None,
        outcome: Outcome | None = None,
        artifact_bucket: s3.IBucket | None = None,
        freshness: Freshness | None = None,
        requests: cloudwatch.Metric | None = None,
        answered: Collection[str] = (),
        time_zone: str = "Etc/UTC",
    ) -> None:
        super().__init__(scope, construct_id)
        drift = drift or Drift()
        every = Duration.minutes(drift.every_minutes)
        self._team, self._model = team, model
        said = {"drift": drift_alarm(model, team, drift)}
        if performance:
            said["performance"] = performance_alarm(model, team, performance)
        if outcome:
            said["business"] = business_alarm(model, team, outcome)
        if freshness:
            said["freshness"] = freshness_alarm(model, team, freshness)
        by_outcomes = bool(performance or outcome)
        _check(answered, said, bucket_is_missing=by_outcomes and artifact_bucket is None)
        let_logs_use(encryption_key, self)
        self.evaluator = python_function(
            self,
            "Evaluator",
            folder="monitoring",
            team=team,
            description=f"Evaluator of {model}, team {team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "MODEL": model,
                "MONITOR": _settings(drift, cohorts, performance=performance, outcome=outcome, freshness=freshness),
                **({"ARTIFACT_BUCKET": artifact_bucket.bucket_name} if artifact_bucket and by_outcomes else {}),
                **({"REQUESTS": self._document_of(requests)} if requests else {}),
            },
            memory_mib=1024 if by_outcomes else 512,
            timeout=Duration.minutes(15 if by_outcomes else 5),
            key=encryption_key,
        )
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"the monitor of {model}", topic=notice_topic, key=encryption_key
        )
        self._let_evaluator_work(ledger, encryption_key, freshness)
        if artifact_bucket and by_outcomes:
            let_take_in(self.evaluator, model=model, ledger=ledger, bucket=artifact_bucket, key=encryption_key)
        if requests:
            # The action takes no resource.
            allow(self.evaluator, ["cloudwatch:GetMetricData"], ["*"])
        self.schedule = call_every(
            self,
            every,
            self.evaluator,
            team=team,
            description=f"Judges what {model} sees and how it does",
            called=f"the evaluator of {model}",
            event=SCHEDULED_TIME,
            dead_letters=self.dead_letters,
            time_zone=time_zone,
        )
        self.alarms: dict[str, cloudwatch.Alarm] = {
            subject: self._alarm(subject, text, every) for subject, text in said.items()
        }
        self.alarm = self.alarms["drift"]
        for subject, alarm in self.alarms.items():
            if subject not in answered:
                tell(alarm, notice_topic, encryption_key)

    def metric(self, subject: str, period: Duration | None = None) -> cloudwatch.Metric:
        """1 where an evaluation found that the subject fails, 0 where it does not; nothing where there was nothing to judge."""
        return cloudwatch.Metric(
            namespace=names.metric_namespace(self._team),
            metric_name=METRICS[subject],
            dimensions_map={"team": self._team, "model": self._model},
            period=period or Duration.hours(1),
            statistic="Maximum",
        )

    def metric_drift_detected(self, period: Duration | None = None) -> cloudwatch.Metric:
        """1 where an evaluation found drift that persists."""
        return self.metric("drift", period)

    def _document_of(self, metric: cloudwatch.Metric) -> str:
        document = {
            "namespace": metric.namespace,
            "name": metric.metric_name,
            "statistic": metric.statistic,
            "dimensions": dict(metric.dimensions or {}),
        }
        return Stack.of(self).to_json_string(document)

    def _let_evaluator_work(self, ledger: dynamodb.ITable, key: kms.IKey, freshness: Freshness | None) -> None:
        """It reads deployment, profiles and state of its model, and writes evaluations and custody events."""
        model = self._model
        changed = [f"DRIFT#{model}", f"CUSTODY#model/{model}"]
        runs = ["RUN#*"] if freshness and freshness.training_days else []  # the live version's may be any
        for action, partitions in (
            ("GetItem", [f"DEPLOYMENT#{model}", *runs, *changed]),
            ("Query", [f"PROFILE#{model}#*"]),
            ("PutItem", [*changed, "CUSTODY_WAITING"]),
        ):
            leading = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions}}
            allow(self.evaluator, [f"dynamodb:{action}"], [ledger.table_arn], leading)
        allow_key(self.evaluator, key, "read and write items", region=Stack.of(self).region)
        # The action cannot be scoped to a resource; the namespace is what can be.
        allow(
            self.evaluator,
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": names.metric_namespace(self._team)}},
        )

    def _alarm(self, subject: str, description: str, every: Duration) -> cloudwatch.Alarm:
        # As long as the time between evaluations, and the one before counts as well: the state holds from one to the
        # next however late it is, so that an episode is one notice, and one datum of 1 is enough to begin it.
        seconds = min(-(-int(every.to_seconds()) // 60) * 60, _LONGEST_PERIOD_SECONDS)
        return cloudwatch.Alarm(
            self,
            _ALARM_IDS.get(subject, f"{subject.capitalize()}Alarm"),
            alarm_description=description,
            metric=self.metric(subject, Duration.seconds(seconds)),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=2,
            datapoints_to_alarm=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def _settings(drift: Drift, cohorts: Sequence[str], **others: Performance | Outcome | Freshness | None) -> str:
    """What is watched, as the evaluator reads it."""
    document: dict[str, object] = {
        "drift": {
            "method": drift.method,
            "threshold": drift.limit,
            "minimum_rows": drift.minimum_rows,
            "persistence": drift.persistence,
            "window_hours": drift.window_hours,
        },
        "cohorts": list(cohorts),
    }
    for name, settings in others.items():
        if settings:
            document[name] = settings.model_dump(mode="json", exclude_none=True)
    return json.dumps(document, separators=(",", ":"))


def _check(answered: Collection[str], watched: Collection[str], *, bucket_is_missing: bool) -> None:
    problems = []
    if unknown := sorted(set(answered) - set(watched)):
        problems.append(
            f"answered: got {', '.join(unknown)}; allowed is what is watched: {', '.join(watched)}. Watch it, or leave it out."
        )
    if bucket_is_missing:
        problems.append("artifact_bucket: got none; performance and outcome need the bucket that outcomes arrive in.")
    if problems:
        raise ValueError(" ".join(problems))
