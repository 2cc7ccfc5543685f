"""Watch what a model sees: a scheduled comparison with its training data, one metric, one alarm."""

from __future__ import annotations

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._notices import tell
from labcycle._schedules import SCHEDULED_TIME, call_every
from labcycle.config import names

METRIC = "DriftDetected"  # as labcycle_lambdas/drift/metric.py publishes it
# Two of them are a week: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_LONGEST_PERIOD_SECONDS = 84 * 3600
_MINUTES = (1, 7 * 24 * 60)


class ModelMonitor(Construct):
    """Drift of a model's features and predictions, by the population stability index against its training data.

    A schedule calls the evaluator, which merges the profiles that the model servers wrote since the live version was
    promoted (24 hours at most) and compares them with that version's reference. Drift needs an index of
    `drift_threshold` in any column, `minimum_rows` rows, and `persistence` evaluations in a row that each saw new rows.
    Each evaluation is kept in the ledger; an episode of drift is one event in the model's chain of custody.

    The alarm goes to ALARM while drift persists, and back by itself when it has gone, when another version is live, or
    when there is no traffic to judge. An idle model publishes no metric; the alarm costs 0.10 USD a month. An evaluation
    that cannot be called, or fails three times, ends among the dead letters.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model; the dimensions of the metric.
    ledger
        The table with deployment records and profiles; evaluations are written to it.
    encryption_key
        Encrypts the ledger and the logs. A key of the same stack is told to serve CloudWatch Logs and alarms.
    notice_topic
        Gets the alarm. A topic of the same stack is told to let the alarm publish; the policy of any other, and that of
        its key, must allow CloudWatch alarms, as those of `TeamFoundation.topic` do.
    dead_letters
        Gets the calls of the evaluator that came to nothing, by roles of this construct. Absent: a queue of its own, with
        an alarm to the notice topic (0.10 USD a month).
    drift_threshold
        Index from which a column has drifted: 0.1 is a small change, 0.25 a large one.
    minimum_rows
        Rows below which nothing is concluded. Chance alone gives about 9 / rows with ten bins.
    persistence
        Evaluations in a row that must find drift.
    every
        Time between evaluations, from 1 minute to 7 days. The window is 24 hours whatever it is.
    time_zone
        IANA name of the schedule's time zone.

    Raises
    ------
    ValueError
        If a figure is outside its range; all of them at once.
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
        drift_threshold: float = 0.2,
        minimum_rows: int = 500,
        persistence: int = 3,
        every: Duration | None = None,
        time_zone: str = "Etc/UTC",
    ) -> None:
        super().__init__(scope, construct_id)
        every = every or Duration.hours(1)
        _check(drift_threshold, minimum_rows, persistence, every)
        self._team, self._model = team, model
        let_logs_use(encryption_key, self)
        self.evaluator = python_function(
            self,
            "Evaluator",
            folder="drift",
            team=team,
            description=f"Drift evaluator of {model}, team {team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "MODEL": model,
                "DRIFT_THRESHOLD": f"{drift_threshold:g}",
                "DRIFT_MINIMUM_ROWS": str(minimum_rows),
                "DRIFT_PERSISTENCE": str(persistence),
            },
            memory_mib=512,
            timeout=Duration.minutes(5),
            key=encryption_key,
        )
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"the drift monitor of {model}", topic=notice_topic, key=encryption_key
        )
        self._let_evaluator_work(ledger, encryption_key)
        self.schedule = call_every(
            self,
            every,
            self.evaluator,
            team=team,
            description=f"Compares what {model} sees with what it was trained on",
            called=f"the drift evaluator of {model}",
            event=SCHEDULED_TIME,
            dead_letters=self.dead_letters,
            time_zone=time_zone,
        )
        self.alarm = self._alarm(every, drift_threshold, minimum_rows, persistence)
        tell(self.alarm, notice_topic, encryption_key)

    def metric_drift_detected(self, period: Duration | None = None) -> cloudwatch.Metric:
        """1 where an evaluation found drift that persists, 0 where it did not; nothing where there was nothing to judge."""
        return cloudwatch.Metric(
            namespace=names.metric_namespace(self._team),
            metric_name=METRIC,
            dimensions_map={"team": self._team, "model": self._model},
            period=period or Duration.hours(1),
            statistic="Maximum",
        )

    def _let_evaluator_work(self, ledger: dynamodb.ITable, key: kms.IKey) -> None:
        """It reads deployment, profiles and state of its model, and writes evaluations and custody events."""
        model = self._model
        changed = [f"DRIFT#{model}", f"CUSTODY#model/{model}"]
        for action, partitions in (
            ("GetItem", [f"DEPLOYMENT#{model}", *changed]),
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

    def _alarm(self, every: Duration, threshold: float, rows: int, persistence: int) -> cloudwatch.Alarm:
        # As long as the time between evaluations, and the one before counts as well: the state holds from one to the
        # next however late it is, so that an episode is one notice, and one datum of 1 is enough to begin it.
        seconds = min(-(-int(every.to_seconds()) // 60) * 60, _LONGEST_PERIOD_SECONDS)
        return cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_description=(
                f"The live version of {self._model} (team {self._team}) sees other data than it was trained on: in "
                f"{persistence} evaluation(s) in a row, of at least {rows} rows, a feature or the prediction had a population "
                f"stability index of {threshold:g} or more. Its predictions may be wrong. See what moved: labcycle models history "
                f"{self._model}. Then check the data's source; retrain (a model with a reaction does so by itself and "
                f"reports); or take the version back: labcycle models rollback {self._model}."
            ),
            metric=self.metric_drift_detected(Duration.seconds(seconds)),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=2,
            datapoints_to_alarm=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def _check(threshold: float, rows: int, persistence: int, every: Duration) -> None:
    figures = [
        ("drift_threshold", threshold, 0.01, 10),
        ("minimum_rows", rows, 1, 100_000_000),
        ("persistence", persistence, 1, 100),
        ("every (minutes)", every.to_minutes(integral=False), *_MINUTES),
    ]
    problems = [
        f"{name}: got {value:g}; allowed {low:g} to {high:g}."
        for name, value, low, high in figures
        if not Token.is_unresolved(value) and not low <= value <= high
    ]
    if problems:
        raise ValueError(" ".join(problems))
