"""The chains of custody beyond the ledger: anchored in a locked bucket, and told to the team's bus."""

from __future__ import annotations

import json

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._functions import python_function
from labcycle._grants import allow, allow_key
from labcycle._notices import tell
from labcycle._schedules import call_every
from labcycle.config import names

EVERY = Duration.hours(1)
AGE_METRIC = "OldestUnanchoredSeconds"  # as labcycle_lambdas/anchor_age.py publishes it
ANCHORS = "custody/"  # as labcycle_lambdas/anchoring/store.py writes them
# What the event source lets through: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
EVENTS_ONLY = {
    "eventName": ["INSERT"],
    "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "CUSTODY#"}]}, "sk": {"S": [{"anything-but": ["HEAD"]}]}}},
}
_WAITING, _LAST = "CUSTODY_WAITING", "CUSTODY_ANCHOR"  # partitions: labcycle_lambdas/ledger/anchors.py
_TOO_OLD = Duration.hours(3)


class CustodyAnchors(Construct):
    """Writes, every hour, the heads of the chains that changed into a bucket whose objects are locked.

    While nothing happens nothing is written, and one read an hour is paid: less than a cent a month. The alarm is 0.10 USD a
    month, its metric 0.30 USD in a month full of events, by the hour.

    Parameters
    ----------
    team
        Name of the team.
    ledger
        The table with the chains.
    bucket
        Gets the anchors, below `custody/`. Its default retention locks them; this construct does not.
    encryption_key
        Encrypts the ledger and the logs.
    notice_topic
        Gets the alarm that anchoring is behind. See `ModelMonitor.notice_topic`.
    dead_letters
        Gets the calls that came to nothing, by roles of this construct.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        ledger: dynamodb.ITable,
        bucket: s3.IBucket,
        encryption_key: kms.IKey,
        notice_topic: sns.ITopic,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        self._team, self._bucket = team, bucket
        self.function = python_function(
            self,
            "Anchoring",
            folder="anchoring",
            team=team,
            description=f"Anchors the chains of custody, team {team}",
            environment={"LEDGER_TABLE": ledger.table_name, "ANCHOR_BUCKET": bucket.bucket_name},
            memory_mib=512,
            timeout=Duration.minutes(5),
            key=encryption_key,
        )
        for action, partitions in (
            ("BatchWriteItem", [_WAITING]),
            ("GetItem", [_LAST]),
            ("PutItem", [_LAST]),
            ("Query", [_WAITING]),
        ):
            leading = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": partitions}}
            allow(self.function, [f"dynamodb:{action}"], [ledger.table_arn], leading)
        allow_key(self.function, encryption_key, "read and write items", region=Stack.of(self).region)
        allow(self.function, ["s3:GetObject", "s3:PutObject"], [bucket.arn_for_objects(f"{ANCHORS}*")])
        self.schedule = call_every(
            self,
            EVERY,
            self.function,
            team=team,
            description=f"Anchors what changed in the chains of custody of the team {team}",
            called=f"the anchoring function of the team {team}",
            event={},
            dead_letters=dead_letters,
        )
        self.alarm = cloudwatch.Alarm(
            self,
            "Behind",
            alarm_description=(
                f"Events of custody of the team {team} wait for more than {_TOO_OLD.to_hours()} hours to be anchored: until they "
                f"are, who can write the ledger could change them unseen. See why in the logs of the function "
                f"{self.function.function_name}, and call it with {{}} once that is mended: it catches up, and the alarm ends "
                "with the next event. labcycle status shows the last anchor."
            ),
            metric=self.metric_oldest_unanchored(),
            threshold=_TOO_OLD.to_seconds(),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # nothing happens, nothing waits
        )
        tell(self.alarm, notice_topic, encryption_key)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read the anchors, to verify the chains against them."""
        listing = {"StringLike": {"s3:prefix": [f"{ANCHORS}*"]}}
        allow(grantee, ["s3:ListBucketVersions"], [self._bucket.bucket_arn], listing)
        return allow(grantee, ["s3:GetObjectVersion"], [self._bucket.arn_for_objects(f"{ANCHORS}*")])

    def metric_oldest_unanchored(self) -> cloudwatch.Metric:
        """Seconds that the oldest event waits for an anchor; no datum where nothing happens."""
        return cloudwatch.Metric(
            namespace=names.metric_namespace(self._team),
            metric_name=AGE_METRIC,
            dimensions_map={"team": self._team},
            period=EVERY,
            statistic="Maximum",
        )


class CustodyOutbox(Construct):
    """Sends each event of custody from the ledger's stream to the team's bus: nothing is sent that was not written.

    An event is tried for 23 hours, nearly as long as the stream keeps it, and the batch is halved around one that does not get
    through; what is given up leaves a dead letter, and stays in the ledger. Idle, it costs nothing.

    Parameters
    ----------
    team
        Name of the team.
    ledger
        The table with the chains, which has a stream of new images.
    bus
        Gets the events, in the shape of docs/custody-event.schema.json.
    encryption_key
        Encrypts the ledger with its stream, and the logs.
    dead_letters
        Gets word of the batches that came to nothing, by the role of this construct.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        ledger: dynamodb.Table,
        bus: events.IEventBus,
        encryption_key: kms.IKey,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        stream = ledger.table_stream_arn
        if stream is None:
            raise ValueError("ledger: the table has no stream; give it stream=dynamodb.StreamViewType.NEW_IMAGE.")
        self.function = python_function(
            self,
            "Outbox",
            folder="outbox",
            team=team,
            description=f"Sends events of custody to the bus of the team {team}",
            environment={"LEDGER_TABLE": ledger.table_name, "EVENT_BUS": bus.event_bus_name},
            memory_mib=256,
            timeout=Duration.minutes(1),
            key=encryption_key,
        )
        reading = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
        granted = allow(self.function, reading, [f"{ledger.table_arn}/stream/*"])
        allow(self.function, ["dynamodb:ListStreams"], ["*"])  # takes no resource
        allow_key(self.function, encryption_key, "read and write items", region=Stack.of(self).region)
        allow(self.function, ["sqs:SendMessage"], [dead_letters.queue_arn])
        waiting = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [_WAITING]}}
        allow(self.function, ["dynamodb:Query"], [ledger.table_arn], waiting)
        allow(self.function, ["events:PutEvents"], [bus.event_bus_arn])
        self.source = lambda_.CfnEventSourceMapping(
            self,
            "Source",
            function_name=self.function.function_name,
            event_source_arn=stream,
            starting_position="TRIM_HORIZON",
            batch_size=100,
            maximum_batching_window_in_seconds=1,
            maximum_record_age_in_seconds=82_800,  # the stream keeps it for 24 hours: given up before, it leaves a letter
            maximum_retry_attempts=10_000,  # the most: the age ends it
            bisect_batch_on_function_error=True,
            function_response_types=["ReportBatchItemFailures"],
            filter_criteria=lambda_.CfnEventSourceMapping.FilterCriteriaProperty(
                filters=[lambda_.CfnEventSourceMapping.FilterProperty(pattern=json.dumps(EVENTS_ONLY))]
            ),
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=dead_letters.queue_arn)
            ),
        )
        granted.apply_before(self.source)  # Lambda looks at the role's policy when the mapping is made
