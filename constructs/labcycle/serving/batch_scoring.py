"""Batches of one model: objects in, predictions out, by a state machine."""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Size, Stack, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._runtime import ModelRuntime
from labcycle._schedules import schedule_problems, start_at
from labcycle._state_machines import EXECUTION, state_machine, tell_when_stopped
from labcycle._templates import render
from labcycle.config import Monitor, names
from labcycle.serving._capture import capture_environment, let_keep_predictions
from labcycle.serving.model_service import MEMORY_MIB

CONCURRENCY = (1, 40)  # of an inline map: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html
_LONGEST = Duration.hours(24)


class BatchScoring(Construct):
    """Scores what lies below `s3://<artifact_bucket>/batch/<model>/in/` with the version of `model` that is live.

    A run takes all objects there, CSV with a header (`.csv`) or JSON Lines of records (`.jsonl`, `.ndjson`), and writes
    below `batch/<model>/out/<run>/`, where `<run>` is the name of the execution: `predictions/<object>.jsonl` with a line a
    row, `errors/<object>.jsonl` with the rows that failed, and last `manifest.json`: version, figures, SHA-256 of what was
    read and written, and the verdict. The version is fixed when the run begins, and rows are read and scored by the code of
    the API.

    An execution with the input `{"resume": "<run>"}` goes on with a run, with its version: objects that have a result for the
    same bytes keep it. The owner is told of a run in which objects failed, or more rows than are tolerated, that found
    nothing to score, could not begin, broke off or ran out of time.

    A run takes 2,000 objects of 500 MB at most, an object 15 minutes. Idle it costs nothing; a run costs its function's time
    and 0.20 USD a thousand objects (us-east-1, January 2026, estimate).

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    ledger
        The table with the deployment record.
    artifact_bucket
        A versioned bucket; the model's files lie below its prefix `experiments/`.
    encryption_key
        Encrypts ledger, bucket and logs. A key of the same stack is told to serve CloudWatch Logs and rules; the policy of
        any other must allow it.
    notice_topic
        Gets the notices. A topic of the same stack is told to let rules publish; that of another stack must.
    dead_letters
        Gets starts and notices that could not be delivered; its policy must let `events.amazonaws.com` send. Absent: a queue
        of its own, with an alarm to the notice topic (0.10 USD a month).
    schedule
        `cron(...)` or `rate(...)`, as EventBridge Scheduler takes it. Absent: nothing starts a run by itself.
    time_zone
        IANA name of the schedule's time zone.
    memory
        512 to 10,240 MiB. Take that of the model's API: a promotion looks at that alone.
    concurrency
        Objects that are scored at once, 1 to 40.
    tolerated_failure_percent
        Share of a run's rows that may fail without a notice.
    monitor
        What is watched. It decides whether predictions are kept, below `predictions/<model>/` of the bucket, and have ids; see
        docs/capture.md. Absent: a profile of each object alone.
    runtime
        What versions are loaded with, as by the model's API. Absent: ONNX Runtime.

    Raises
    ------
    ValueError
        If an argument has no allowed value; all of them at once.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        ledger: dynamodb.ITable,
        artifact_bucket: s3.IBucket,
        encryption_key: kms.IKey,
        notice_topic: sns.ITopic,
        dead_letters: sqs.IQueue | None = None,
        schedule: str | None = None,
        time_zone: str = "Etc/UTC",
        memory: Size | None = None,
        concurrency: int = 5,
        tolerated_failure_percent: float = 0.0,
        runtime: ModelRuntime | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        memory = memory or Size.mebibytes(2048)
        _check(schedule, time_zone, memory, concurrency, tolerated_failure_percent)
        self._team, self._model = team, model
        self._bucket, self._key = artifact_bucket, encryption_key
        let_logs_use(encryption_key, self)
        self.function = python_function(
            self,
            "Function",
            folder="batch",
            team=team,
            description=f"Scores batches of {model}, team {team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "ARTIFACT_BUCKET": artifact_bucket.bucket_name,
                "MODEL": model,
                "TOLERATED_FAILURE_PERCENT": f"{tolerated_failure_percent:g}",
                **capture_environment(monitor),
            },
            memory_mib=int(memory.to_mebibytes()),
            timeout=Duration.minutes(15),
            key=encryption_key,
            disk=Size.gibibytes(4),  # an object, and what is made of it
            runtime=runtime,
        )
        self._let_function_work(ledger, monitor)
        definition = render(
            "serving/batch.asl.json.j2",
            team=team,
            model=model,
            concurrency=concurrency,
            longest_seconds=int(_LONGEST.to_seconds()),
        )
        self.state_machine = state_machine(
            self,
            definition,
            team=team,
            what=f"Batches of {model}",
            log=f"batch-{model}",
            function=self.function,
            topic=notice_topic,
            key=encryption_key,
        )
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"the batches of {model}", topic=notice_topic, key=encryption_key
        )
        self.schedule: scheduler.CfnSchedule | None = None
        if schedule is not None:
            self.schedule = start_at(
                self,
                schedule,
                self.state_machine,
                team=team,
                description=f"Scores what lies in the folder of batches of {model}",
                started=f"the batches of {model}",
                dead_letters=self.dead_letters,
                time_zone=time_zone,
            )
        tell_when_stopped(
            self,
            "OutOfTime",
            self.state_machine,
            statuses=["TIMED_OUT"],
            description=f"Tells when a batch of {model} runs out of time",
            said=(
                f"labcycle {team}: the batch {EXECUTION} of {model} ran out of time after {int(_LONGEST.to_hours())} hours and was "
                f"stopped. What was scored is kept: start the state machine again with the name of the run as resume, and it "
                f"goes on. Raise concurrency, or score less at once."
            ),
            topic=notice_topic,
            key=encryption_key,
            dead_letters=self.dead_letters,
        )
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=names.batch_parameter(team, model),
            string_value=self.state_machine.state_machine_arn,
            description=f"State machine that scores batches of {model}",
        )

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` start and resume runs, and see how they go."""
        stack, machine = Stack.of(self), self.state_machine.state_machine_arn
        name = stack.split_arn(machine, ArnFormat.COLON_RESOURCE_NAME).resource_name
        executions = stack.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        # One statement for both, since a role holds few characters: each action knows its own kind of the two resources.
        return allow(grantee, ["states:DescribeExecution", "states:StartExecution"], [machine, executions])

    def grant_folder(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` put objects in, read what runs wrote, and find the state machine by its parameter."""
        return let_use_folder(grantee, team=self._team, bucket=self._bucket, key=self._key, model=self._model)

    def _let_function_work(self, ledger: dynamodb.ITable, monitor: Monitor | None) -> None:
        """It reads the deployment record of its model, pinned object versions and what is to be scored, and writes results, profiles of
        what it scored, and predictions where they are kept."""
        folder = f"batch/{self._model}"
        allow(
            self.function,
            ["dynamodb:GetItem"],
            [ledger.table_arn],
            {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"DEPLOYMENT#{self._model}"]}},
        )
        profiles = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"PROFILE#{self._model}#*"]}}
        allow(self.function, ["dynamodb:PutItem"], [ledger.table_arn], profiles)
        if monitor and monitor.logs_predictions:
            let_keep_predictions(self.function, self._model, self._bucket)
        allow(self.function, ["s3:GetObjectVersion"], [self._bucket.arn_for_objects("experiments/*")])
        # With the right to list, S3 tells what is not there from what is not allowed.
        allow(
            self.function,
            ["s3:ListBucket"],
            [self._bucket.bucket_arn],
            {"StringLike": {"s3:prefix": [f"{folder}/in/*", f"{folder}/out/*"]}},
        )
        allow(
            self.function,
            ["s3:GetObject"],
            [self._bucket.arn_for_objects(f"{folder}/in/*"), self._bucket.arn_for_objects(f"{folder}/out/*")],
        )
        allow(self.function, ["s3:PutObject"], [self._bucket.arn_for_objects(f"{folder}/out/*")])
        allow_key(self.function, self._key, "read and write items", "write objects", region=Stack.of(self).region)


def let_use_folder(
    grantee: iam.IGrantable, *, team: str, bucket: s3.IBucket, key: kms.IKey, model: str = "*"
) -> iam.Grant:
    """Let `grantee` put objects into the folder of a model's batches, read what runs wrote, and find the state machine by its
    parameter; of all models of the team where none is named."""
    stack = Stack.of(bucket)
    parameter = (names.model_parameters(team) if model == "*" else names.batch_parameter(team, model)).lstrip("/")
    allow(grantee, ["s3:ListBucket"], [bucket.bucket_arn], {"StringLike": {"s3:prefix": [f"batch/{model}/*"]}})
    allow(grantee, ["s3:PutObject"], [bucket.arn_for_objects(f"batch/{model}/in/*")])
    allow(grantee, ["s3:GetObject"], [bucket.arn_for_objects(f"batch/{model}/out/*")])
    allow_key(grantee, key, "write objects", region=stack.region)
    return allow(
        grantee,
        ["ssm:GetParameter"],
        [stack.format_arn(service="ssm", resource="parameter", resource_name=parameter)],
    )


def _check(schedule: str | None, time_zone: str, memory: Size, concurrency: int, tolerated_percent: float) -> None:
    figures = [
        ("memory (MiB)", memory.to_mebibytes(), *MEMORY_MIB),
        ("concurrency", concurrency, *CONCURRENCY),
        ("tolerated_failure_percent", tolerated_percent, 0, 100),
    ]
    problems = [
        f"{name}: got {value:g}; allowed {low:g} to {high:g}."
        for name, value, low, high in figures
        if not Token.is_unresolved(value) and not low <= value <= high
    ]
    problems += schedule_problems(schedule, time_zone)
    if problems:
        raise ValueError(" ".join(problems))
