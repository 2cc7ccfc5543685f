"""Alarms on a tracking API that still answers, but not well."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from labcycle._notices import tell
from labcycle.config import names

THROTTLED_METRIC = "Throttled"  # as labcycle_lambdas/responding.py publishes it
MANY_THROTTLED = 100
SLOW_MILLISECONDS = 3_000
_FIVE_MINUTES = Duration.minutes(5)


class TrackingAlarms(Construct):
    """Throttling and slowness of a tracking API: 0.20 USD a month, and 0.30 USD for the metric while requests are throttled.

    Answers with 5xx have an alarm in `ExperimentTracking`. What API Gateway and Lambda count by themselves costs nothing, and
    is not counted again.

    Parameters
    ----------
    team
        Name of the team.
    function
        Answers MLflow's protocol.
    notice_topic
        Gets the alarms. See `ModelMonitor.notice_topic`.
    encryption_key
        Of the topic, where it is of the same stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        function: lambda_.IFunction,
        notice_topic: sns.ITopic,
        encryption_key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self._team = team
        self.throttled = self._alarm(
            "Throttled",
            self.metric_throttled(),
            MANY_THROTTLED,
            f"The tracking API of the team {team} answers {MANY_THROTTLED} requests and more with 429 in five minutes, in two of "
            f"three times five. Clients repeat them, so that nothing is lost, but work is slow. Either one member sends more "
            "than their share, or many write one record (one run, one model): the caller and path of each line with status 429 "
            f"in the log of {function.function_name} tell which. Log in batches, or spread a sweep over time.",
        )
        self.slow = self._alarm(
            "Slow",
            function.metric_duration(statistic="Average", period=_FIVE_MINUTES),
            SLOW_MILLISECONDS,
            f"A request to the tracking API of the team {team} takes more than {SLOW_MILLISECONDS / 1000:g} seconds on average, in "
            f"two of three times five minutes; above 29 it is cut off. The lines of the log of {function.function_name} with the "
            "most milliseconds tell which: as a rule searches over large experiments, which a narrower filter or fewer "
            "experiments mend. Where all are slow, see the AWS Health Dashboard for DynamoDB.",
        )
        for alarm in (self.throttled, self.slow):
            tell(alarm, notice_topic, encryption_key)

    def metric_throttled(self) -> cloudwatch.Metric:
        """Answers with 429 that the ledger or the function gave; no datum where there was none."""
        return cloudwatch.Metric(
            namespace=names.metric_namespace(self._team),
            metric_name=THROTTLED_METRIC,
            dimensions_map={"team": self._team},
            period=_FIVE_MINUTES,
            statistic="Sum",
        )

    def _alarm(
        self, construct_id: str, metric: cloudwatch.Metric, threshold: float, description: str
    ) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # no request, nothing to wait for
        )
