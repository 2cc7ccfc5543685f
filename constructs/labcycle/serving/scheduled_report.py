"""A report of what a model did, by e-mail, on a schedule."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._schedules import SCHEDULED_TIME, call_on, schedule_problems
from labcycle.config import Drift
from labcycle.config.rules import RECIPIENTS_CHARACTERS

_MOST_RECIPIENTS = 50  # of a message: https://docs.aws.amazon.com/ses/latest/dg/quotas.html
_TRIED_SECONDS = 6 * 3600  # a report that is later than that is looked into by people


class ScheduledReport(Construct):
    """What a model did in the last days, as a mail that people read: what is live and by whom, who decided what, rows a
    day, predictions and features beside the training data.

    The function reads the ledger, keeps the page in the bucket below `reports/<model>/`, then sends it: HTML with plain
    text beside it, to all recipients in `Bcc`, so that none sees the others; answers go to the business owner. A report is
    sent once a scheduled time. What SES refuses is tried three times; what cannot be sent, and what may or may not have
    been sent since SES's answer was lost, ends among the dead letters, which tell the notice topic.

    The sender must be verified in SES, in the account and region of the stack, itself or by its domain.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    business_owner
        Mail address that answers questions about the model.
    ledger
        The table with the deployment record, custody events, profiles and evaluations; marks of reports are written to it.
    artifact_bucket
        A versioned bucket; pages are written below its prefix `reports/<model>/`.
    encryption_key
        Encrypts ledger, bucket and the logs. A key of the same stack is told to serve CloudWatch Logs and alarms.
    notice_topic
        Hears of a report that failed. A topic of the same stack is told to let the alarm publish.
    schedule
        As EventBridge Scheduler has it, such as `cron(0 7 ? * MON *)`.
    sender
        Address that the mail comes from.
    recipients
        Up to 50 addresses, 3,000 characters together.
    time_zone
        IANA name of the time zone of schedule and days.
    days
        Whole days that a report looks back on, 1 to 92, to the end of the day before.
    drift
        When a feature has drifted, as the model's monitor has it. Absent: at a population stability index of 0.2.
    dead_letters
        Gets the calls that came to nothing, by roles of this construct. Absent: a queue of its own, with an alarm to the
        notice topic (0.10 USD a month).

    Raises
    ------
    ValueError
        If schedule, time zone, recipients or days are not as they may be; all of them at once.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        business_owner: str,
        ledger: dynamodb.ITable,
        artifact_bucket: s3.IBucket,
        encryption_key: kms.IKey,
        notice_topic: sns.ITopic,
        schedule: str,
        sender: str,
        recipients: Sequence[str],
        time_zone: str = "Etc/UTC",
        days: int = 7,
        drift: Drift | None = None,
        dead_letters: sqs.IQueue | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        _check(schedule, time_zone, recipients, days)
        drift = drift or Drift()
        self._model = model
        let_logs_use(encryption_key, self)
        self.function = python_function(
            self,
            "Function",
            folder="report",
            team=team,
            description=f"Report of {model}, team {team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "ARTIFACT_BUCKET": artifact_bucket.bucket_name,
                "MODEL": model,
                "BUSINESS_OWNER": business_owner,
                "SENDER": sender,
                "RECIPIENTS": ",".join(recipients),
                "DAYS": str(days),
                "TIME_ZONE": time_zone,
                "DRIFT_METHOD": drift.method,
                "DRIFT_THRESHOLD": f"{drift.limit:g}",
                "DRIFT_MINIMUM_ROWS": str(drift.minimum_rows),
            },
            memory_mib=512,
            timeout=Duration.minutes(10),
            key=encryption_key,
        )
        self._let_function_work(ledger, artifact_bucket, encryption_key, sender)
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"the report of {model}", topic=notice_topic, key=encryption_key
        )
        self.schedule = call_on(
            self,
            schedule,
            self.function,
            team=team,
            description=f"Sends what {model} did",
            called=f"the report of {model}",
            event=SCHEDULED_TIME,
            dead_letters=self.dead_letters,
            time_zone=time_zone,
            tried_seconds=_TRIED_SECONDS,
        )

    def _let_function_work(self, ledger: dynamodb.ITable, bucket: s3.IBucket, key: kms.IKey, sender: str) -> None:
        """It reads what its model did, marks reports, writes pages, and sends as its sender and nobody else."""
        model, stack = self._model, Stack.of(self)
        for action, partitions in (
            ("GetItem", [f"DEPLOYMENT#{model}", f"DRIFT#{model}", f"REPORT#{model}"]),
            ("Query", [f"CUSTODY#model/{model}", f"PROFILE#{model}#*"]),
            ("PutItem", [f"REPORT#{model}"]),
        ):
            leading = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions}}
            allow(self.function, [f"dynamodb:{action}"], [ledger.table_arn], leading)
        allow(self.function, ["s3:PutObject"], [bucket.arn_for_objects(f"reports/{model}/*")])
        allow_key(self.function, key, "read and write items", "write objects", region=stack.region)
        # Whichever of the two is verified: https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html
        identities = (sender, sender.rpartition("@")[2])
        allow(
            self.function,
            ["ses:SendEmail"],
            [stack.format_arn(service="ses", resource="identity", resource_name=identity) for identity in identities],
            {"StringEquals": {"ses:FromAddress": sender}},
        )


def _check(schedule: str, time_zone: str, recipients: Sequence[str], days: int) -> None:
    problems = schedule_problems(schedule, time_zone)
    if not 1 <= len(recipients) <= _MOST_RECIPIENTS or sum(map(len, recipients)) > RECIPIENTS_CHARACTERS:
        problems.append(
            f"recipients: got {len(recipients)} of {sum(map(len, recipients))} characters; allowed 1 to {_MOST_RECIPIENTS}, "
            f"{RECIPIENTS_CHARACTERS} characters together. Name a mailing list instead."
        )
    if not Token.is_unresolved(days) and not 1 <= days <= 92:
        problems.append(f"days: got {days}; allowed 1 to 92.")
    if problems:
        raise ValueError(" ".join(problems))
