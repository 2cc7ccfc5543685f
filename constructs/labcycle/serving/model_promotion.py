"""Promote a version in steps: what must hold first, a trial with a growing share of the requests, then live or taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import Duration, Size, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle._dead_letters import keep_failures, own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._runtime import ModelRuntime
from labcycle._state_machines import EXECUTION, STATUS, call_when_ended, state_machine, tell_when_stopped
from labcycle._templates import render
from labcycle.config import names

MOST_STEPS = 5
_STEP_MINUTES = (1, 1440)
_LONGEST_HOURS = (1, 24)  # with five steps, what is looked at keeps below the 25,000 events of an execution's history
_MOST_REQUESTS = 1_000_000
_PREFLIGHT = Duration.minutes(15)
_BESIDE_STEPS = Duration.hours(2)


class ModelPromotion(Construct):
    """The state machine that promotes versions of a model; `POST .../promote` of the life cycle API starts it.

    First nothing is changed: the policy is held against the version and its run, and the version is loaded beside the live
    one and answers, in a process of its own with the memory of the model's server. Then it is tried, with the shares of
    `canary_percents` one after the other. Every minute, after an hour every five, both versions are compared by what the servers
    counted: a bad one is taken out of traffic at that look, a good one reaches the next share, and in the end all requests. The topic gets a notice in each case, and each step is a custody event with what was measured.

    One promotion at a time for a model. An execution that fails or is stopped takes the version out of traffic. Idle it costs
    nothing; a promotion costs about 0.02 USD (us-east-1, January 2026, estimate).

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    ledger, artifact_bucket
        Of `ExperimentTracking`, which is told to start the state machine: `tracking.let_promote_in_steps()`.
    encryption_key
        Encrypts ledger, bucket and logs.
    notice_topic
        Gets the notices; if it has another key than `encryption_key`, grant that to `state_machine.role`.
    dead_letters
        Gets notices and calls that EventBridge could not deliver; its policy must let `events.amazonaws.com` send. Absent: a
        queue of its own, with an alarm to the notice topic (0.10 USD a month).
    server_memory
        Of the model's server; 512 to 10,240 MiB. Of one that has more, a version is tried with 10,240.
    server_timeout
        Of a request.
    canary_percents
        Growing shares of the requests, 1 to 99, at most five.
    step
        How long a share is watched at least, 1 minute to 24 hours.
    longest
        How long a share may wait for `minimum_requests`, 1 to 24 hours; then the version is taken back.
    minimum_requests
        Answers that a version must have given at each share.
    complete_runs
        Only versions whose run has all six parts.
    second_person
        Whoever made a version may not ask for its promotion.
    newest_data_days
        Only versions whose run ended in the last so many days. Absent: of any age.
    cohorts
        Categorical features whose most frequent values are watched apart: a table of training rows is counted by them, too.
    runtime
        Of the model's server. Absent: ONNX Runtime.

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
        server_memory: Size | None = None,
        server_timeout: Duration | None = None,
        canary_percents: Sequence[int] = (10, 50),
        step: Duration | None = None,
        longest: Duration | None = None,
        minimum_requests: int = 100,
        complete_runs: bool = True,
        second_person: bool = False,
        newest_data_days: int | None = None,
        cohorts: Sequence[str] = (),
        runtime: ModelRuntime | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        step, longest = step or Duration.minutes(10), longest or Duration.hours(24)
        _check(canary_percents, step, longest, minimum_requests, newest_data_days)
        self._team, self._model, self._key = team, model, encryption_key
        memory_mib = int((server_memory or Size.mebibytes(2048)).to_mebibytes())
        let_logs_use(encryption_key, self)
        environment = {
            "LEDGER_TABLE": ledger.table_name,
            "ARTIFACT_BUCKET": artifact_bucket.bucket_name,
            "MODEL": model,
            "CANARY_PERCENTS": ",".join(str(percent) for percent in canary_percents),
            "STEP_MINUTES": str(int(step.to_minutes())),
            "LONGEST_HOURS": str(int(longest.to_hours())),
            "MINIMUM_REQUESTS": str(minimum_requests),
            "SERVER_MEMORY_MB": str(memory_mib),
            "SERVER_TIMEOUT_SECONDS": str(int((server_timeout or Duration.seconds(29)).to_seconds())),
            **({"COMPLETE_RUNS": "true"} if complete_runs else {}),
            **({"SECOND_PERSON": "true"} if second_person else {}),
            **({} if newest_data_days is None else {"NEWEST_DATA_DAYS": str(newest_data_days)}),
            **({"COHORTS": json.dumps(list(cohorts))} if cohorts else {}),
            **({"RUNTIME": runtime.document} if runtime else {}),
        }
        self.function = python_function(
            self,
            "Function",
            folder="promotion",
            team=team,
            description=f"Steps of promotions of {model}, team {team}",
            environment=environment,
            memory_mib=memory_mib,  # what a version is tried with
            timeout=_PREFLIGHT,
            key=encryption_key,
            disk=Size.gibibytes(4),  # the files of two versions
            runtime=runtime,
        )
        self._let_function_work(ledger, artifact_bucket)
        longest_seconds = int(longest.to_seconds()) * len(canary_percents) + int(_BESIDE_STEPS.to_seconds())
        definition = render("serving/promotion.asl.json.j2", team=team, model=model, longest_seconds=longest_seconds)
        self.state_machine = state_machine(
            self,
            definition,
            team=team,
            what=f"Promotions of {model}",
            log=f"promotion-{model}",
            function=self.function,
            topic=notice_topic,
            key=encryption_key,
            # By its name the life cycle function may start it: no name of a team or a model holds an underscore.
            name=names.promotion_machine(team, model),
        )
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"promotions of {model}", topic=notice_topic, key=encryption_key
        )
        self._tidy_up(notice_topic)
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=names.promotion_parameter(team, model),
            string_value=self.state_machine.state_machine_arn,
            description=f"State machine that promotes versions of {model}",
        )

    def _let_function_work(self, ledger: dynamodb.ITable, bucket: s3.IBucket) -> None:
        # Runs, versions and aliases of the registry stand in partitions that hold those of other models too.
        actions = ("GetItem", "PutItem", "Query")
        allow(self.function, [f"dynamodb:{action}" for action in actions], [ledger.table_arn])
        listing = {"StringLike": {"s3:prefix": ["experiments/*"]}}
        allow(self.function, ["s3:ListBucket"], [bucket.bucket_arn], listing)
        artifacts = [bucket.arn_for_objects("experiments/*")]
        allow(self.function, ["s3:GetObject", "s3:GetObjectVersion"], artifacts)
        allow_key(self.function, self._key, "read and write items", "read objects", region=Stack.of(self).region)

    def _tidy_up(self, topic: sns.ITopic) -> None:
        """The machine tidies up after a step that failed; where it was stopped, or ran out of time, the function is called."""
        call_when_ended(
            self,
            "Ended",
            self.state_machine,
            self.function,
            statuses=["ABORTED", "FAILED", "TIMED_OUT"],
            description=f"Takes out of traffic what a promotion of {self._model} left there that failed or was stopped",
            event={
                "action": "fail",
                "execution": EXECUTION,
                "error": STATUS,
                "cause": "the execution ended before it was done",
            },
            dead_letters=self.dead_letters,
        )
        keep_failures(self, self.function, self.dead_letters)
        acknowledge(
            self.function,
            function_concurrency_bounded="The rule calls it when a promotion has ended, of which a model has one at a time.",
        )
        tell_when_stopped(
            self,
            "Stopped",
            self.state_machine,
            statuses=["ABORTED", "TIMED_OUT"],
            description=f"Tells when a promotion of {self._model} is stopped or runs out of time",
            said=(
                f"labcycle {self._team}: the promotion {EXECUTION} of {self._model} was stopped ({STATUS}). What it tried is taken "
                f"out of traffic, unless it was live by then: labcycle models deployment {self._model} shows it."
            ),
            topic=topic,
            key=self._key,
            dead_letters=self.dead_letters,
        )


def _check(
    percents: Sequence[int], step: Duration, longest: Duration, requests: int, newest_data_days: int | None
) -> None:
    figures = [
        ("step (minutes)", step.to_minutes(), *_STEP_MINUTES),
        ("longest (hours)", longest.to_hours(integral=False), *_LONGEST_HOURS),
        ("minimum_requests", requests, 1, _MOST_REQUESTS),
        *([("newest_data_days", newest_data_days, 1, 36_500)] if newest_data_days is not None else []),
    ]
    problems = [
        f"{name}: got {value:g}; allowed {low:g} to {high:g}."
        for name, value, low, high in figures
        if not low <= value <= high
    ]
    growing = all(1 <= percent <= 99 for percent in percents) and list(percents) == sorted(set(percents))
    if not growing or not 1 <= len(percents) <= MOST_STEPS:
        problems.append(
            f"canary_percents: got {list(percents)}; allowed 1 to {MOST_STEPS} growing shares from 1 to 99, such as 10, 50."
        )
    if step.to_seconds() > longest.to_seconds():
        problems.append(f"step: got {step.to_minutes():g} minutes; allowed at most longest.")
    if problems:
        raise ValueError(" ".join(problems))
