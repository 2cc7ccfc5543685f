"""React to what is found of a model, or to a schedule: retrain, roll back, pause, or tell the owner."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, Aws, Duration, Size, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._runtime import ModelRuntime
from labcycle._schedules import schedule_problems, start_at
from labcycle._state_machines import EXECUTION, state_machine, tell_when_stopped
from labcycle._templates import render
from labcycle.config import Reaction, Retrain, names
from labcycle.config.training_prices import USD_HOUR

_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)[:@].+"
)
# Instances with disks of their own encrypt them by themselves and refuse a key:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html#sagemaker-Type-ResourceConfig-VolumeKmsKeyId
_OWN_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[5-9][a-z]*|p[4-9][a-z]*|trn\d[a-z]*|inf2)\.")
_PREFIX_LENGTH = 51  # training jobs are named <prefix><12 digits>, 63 characters at most
_BESIDE_TRAINING_SECONDS = 2 * 3600  # start and end of the job, and the steps around it
_WITHOUT_TRAINING_SECONDS = 3600


class ModelReaction(Construct):
    """What happens by itself when monitoring finds something of a model, at a set time, or when somebody starts it: one state machine.

    `do: tell` tells the owner. `do: pause` lets the model answer with an error until somebody resumes it. `do: roll_back` makes the
    newest version live again that was good: neither taken back, rejected nor paused, and during which nothing was found.

    `do: retrain` runs the recipe of the run that made the live version (its artifact `recipe/train.py`) as a SageMaker training job
    on the CSV files below `s3://<artifact_bucket>/data/<model>/`, as a new tracked run; registers the result; measures
    it, the live version and the version before on the same holdout, by cohorts, too, and on odd inputs. If the new one is better than
    the live one, and no worse than the one before, it is promoted, or waits for a reviewer; else, if the version before is better than
    the live one, it comes back; else nothing changes, or predictions are stopped. Without such a policy nothing is made for trainings.

    The owner gets a notice with all figures in each case, and each step is a custody event. One reaction at a time for a model, and none
    within the cool-down of the last that did the same: a start that comes too early ends at once and is recorded. A failed one can be
    redriven. Idle it costs nothing; a reaction costs its training instance.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model; together 40 characters at most.
    ledger, artifact_bucket
        Of `ExperimentTracking`. Archives of training jobs are kept below `training/<model>/` of the bucket.
    encryption_key
        Encrypts ledger, bucket, logs, the training's disk and its output.
    notice_topic
        Gets the notices, also of a reaction that runs out of time; if it has another key than `encryption_key`, grant that to `state_machine.role`.
    policies
        What is done on which cause; each cause in one of them.
    alarms
        By the cause that it stands for (`drift`, `performance`, `business`), the alarm whose change to ALARM starts the reaction. A cause
        without one is left to whoever starts the state machine with the input `{"cause": ...}`.
    retrain
        How a new version is trained; needed by a policy that does.
    cohorts
        Columns of the holdout by whose values a new version is held against the live one, too.
    dead_letters
        Gets starts and notices that EventBridge could not deliver; its policy must let `events.amazonaws.com` send. Absent:
        a queue of its own, with an alarm to the notice topic (0.10 USD a month).
    volume
        Disk of the training instance.
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
        policies: Sequence[Reaction],
        alarms: Mapping[str, cloudwatch.IAlarm],
        retrain: Retrain | None = None,
        cohorts: Sequence[str] = (),
        dead_letters: sqs.IQueue | None = None,
        volume: Size | None = None,
        runtime: ModelRuntime | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._job_prefix = names.training_job_prefix(team, model)
        self._retrain = retrain if any(policy.do == "retrain" for policy in policies) else None
        _check(self._job_prefix, policies, retrain)
        self._team, self._model, self._policies = team, model, tuple(policies)
        let_logs_use(encryption_key, self)
        longest_seconds = self._longest_seconds()
        settings = {"policies": [_policy(one) for one in policies], "training": _training(self._retrain, cohorts)}
        self.function = self._function(
            ledger,
            artifact_bucket,
            encryption_key,
            {"POLICIES": json.dumps(settings, separators=(",", ":")), "LONGEST_SECONDS": str(longest_seconds)},
            runtime,
        )
        self.training_role = (
            self._training_role(artifact_bucket, encryption_key, self._retrain.image) if self._retrain else None
        )
        self.state_machine = state_machine(
            self,
            self._definition(longest_seconds, volume or Size.gibibytes(30)),
            team=team,
            what=f"Reactions of {model}",
            log=f"reaction-{model}",
            function=self.function,
            topic=notice_topic,
            key=encryption_key,
            substitutions={"TrainingRole": self.training_role.role_arn, "Key": encryption_key.key_arn}
            if self.training_role
            else {},
        )
        if self.training_role:
            acknowledge(
                self.state_machine,
                E3601="A time-out of a state in JSONata may be an expression, which cfn-lint does not know; statelint checks the rest.",
            )
            self._let_states_train(self.training_role, encryption_key)
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"the reaction of {model}", topic=notice_topic, key=encryption_key
        )
        self._start(alarms)
        # The life cycle function tells by it what would be done; a member's own rights start it.
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=names.policies_parameter(team, model),
            string_value=json.dumps(
                {**settings, "machine": self.state_machine.state_machine_arn}, separators=(",", ":")
            ),
            description=f"Reactions of {model}, and their state machine",
        )
        tell_when_stopped(
            self,
            "OutOfTime",
            self.state_machine,
            statuses=["TIMED_OUT"],
            description=f"Tells when the reaction of {model} runs out of time",
            said=(
                f"labcycle {team}: the reaction of {model} ran out of time and was stopped. Nothing was promoted by it unless "
                f"labcycle models history {model} says so; its lock ends by itself. See what took so long in the execution "
                f"{EXECUTION}, then redrive it, or raise maximum_minutes, or train on less."
            ),
            topic=notice_topic,
            key=encryption_key,
            dead_letters=self.dead_letters,
        )

    def _longest_seconds(self) -> int:
        """Of a reaction, without the wait for a review."""
        if self._retrain is None:
            return _WITHOUT_TRAINING_SECONDS
        return self._retrain.maximum_minutes * 60 + _BESIDE_TRAINING_SECONDS

    def _definition(self, longest_seconds: int, volume: Size) -> str:
        review = [one.review_hours for one in self._policies if one.do == "retrain" and one.promote == "after_review"]
        training = (
            {
                "image": self._retrain.image,
                "instance_type": self._retrain.instance_type,
                "training_seconds": self._retrain.maximum_minutes * 60,
                "volume_gib": int(volume.to_gibibytes()),
                "encrypt_volume": not _OWN_DISK.match(self._retrain.instance_type),
            }
            if self._retrain
            else {}
        )
        return render(
            "monitoring/reaction.asl.json.j2",
            team=self._team,
            model=self._model,
            policies=[{"do": one.do} for one in self._policies],
            longest_seconds=longest_seconds + max(review, default=0) * 3600,
            **training,
        )

    def _function(
        self,
        ledger: dynamodb.ITable,
        bucket: s3.IBucket,
        key: kms.IKey,
        settings: dict[str, str],
        runtime: ModelRuntime | None,
    ) -> lambda_.Function:
        function = python_function(
            self,
            "Function",
            folder="reaction",
            team=self._team,
            description=f"Steps of the reaction of {self._model}, team {self._team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "ARTIFACT_BUCKET": bucket.bucket_name,
                "MODEL": self._model,
                **settings,
            },
            memory_mib=3008 if self._retrain else 1024,
            timeout=Duration.minutes(15 if self._retrain else 5),
            key=key,
            disk=Size.gibibytes(4) if self._retrain else None,  # the archives, and unpacked
            runtime=runtime,
        )
        stack, model = Stack.of(self), self._model
        # Runs, versions and aliases of the registry stand in partitions that hold those of other models too.
        actions = ("BatchGetItem", "GetItem", "PutItem", "Query")
        allow(function, [f"dynamodb:{action}" for action in actions], [ledger.table_arn])
        allow(
            function,
            ["s3:ListBucket"],
            [bucket.bucket_arn],
            {
                "StringLike": {
                    "s3:prefix": ["experiments/*", f"data/{model}/*", f"data/_holdout/{model}/*", f"training/{model}/*"]
                }
            },
        )
        allow(
            function,
            ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
            [bucket.arn_for_objects("experiments/*")],
        )
        arriving = [bucket.arn_for_objects(f"{prefix}/{model}/*") for prefix in ("training", "data/_holdout")]
        allow(function, ["s3:GetObject"], arriving)
        published = (
            names.model_server_memory_parameter,
            names.model_server_runtime_parameter,
            names.promotion_parameter,
        )
        parameters = [
            stack.format_arn(service="ssm", resource="parameter", resource_name=name(self._team, model).lstrip("/"))
            for name in published
        ]
        allow(function, ["ssm:GetParameter"], parameters)
        promotions = stack.format_arn(
            service="states",
            resource="stateMachine",
            resource_name=names.promotion_machine(self._team, model),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(function, ["states:StartExecution"], [promotions])
        allow_key(function, key, "read and write items", "write objects", region=stack.region)
        return function

    def _training_role(self, bucket: s3.IBucket, key: kms.IKey, image: str) -> iam.Role:
        """What the job's role needs: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html"""
        stack, model = Stack.of(self), self._model
        role = iam.Role(
            self,
            "TrainingRole",
            path=names.role_path(self._team),
            description=f"Training jobs of {model}, team {self._team}",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        found = _IMAGE.fullmatch(image)
        assert found
        repository = f"arn:{Aws.PARTITION}:ecr:{found['region']}:{found['account']}:repository/{found['repository']}"
        allow(role, ["ecr:GetAuthorizationToken"], ["*"])  # has no resource
        allow(
            role, ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], [repository]
        )
        allow(
            role,
            ["s3:ListBucket"],
            [bucket.bucket_arn],
            {"StringLike": {"s3:prefix": ["experiments/*/artifacts/recipe/*", f"data/{model}/*"]}},
        )
        allow(
            role,
            ["s3:GetObject"],
            [bucket.arn_for_objects("experiments/*/artifacts/recipe/*"), bucket.arn_for_objects(f"data/{model}/*")],
        )
        allow(role, ["s3:PutObject"], [bucket.arn_for_objects(f"training/{model}/*")])
        group = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/TrainingJobs",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        # CloudWatch Logs names a group with an empty stream: https://github.com/aws/sagemaker-python-sdk/issues/2253
        allow(role, ["logs:CreateLogGroup", "logs:DescribeLogStreams"], [group, f"{group}:log-stream:"])
        allow(role, ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:log-stream:{self._job_prefix}*"])
        # The action cannot be scoped to a resource; the namespace is what can be.
        allow(
            role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}},
        )
        allow_key(role, key, "write objects", region=stack.region)
        allow(role, ["kms:CreateGrant"], [key.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}})  # its disk
        # The output's key; it is documented without a service through which it is used.
        allow(role, ["kms:Encrypt"], [key.key_arn])
        return role

    def _let_states_train(self, training_role: iam.Role, key: kms.IKey) -> None:
        """What the machine needs for its training job, beside the steps."""
        stack, role = Stack.of(self), self.state_machine.role
        jobs = stack.format_arn(service="sagemaker", resource="training-job", resource_name=f"{self._job_prefix}*")
        allow(
            role,
            [
                "sagemaker:AddTags",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:ListTags",
                "sagemaker:StopTrainingJob",
            ],
            [jobs],
        )
        allow(
            role,
            ["iam:PassRole"],
            [training_role.role_arn],
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
        # How Step Functions learns that a job has ended:
        # https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        rule = stack.format_arn(
            service="events", resource="rule", resource_name="StepFunctionsGetEventsForSageMakerTrainingJobsRule"
        )
        allow(role, ["events:DescribeRule", "events:PutRule", "events:PutTargets"], [rule])
        # SageMaker makes the grant for the training's disk in the name of who creates the job.
        allow(
            role,
            ["kms:CreateGrant", "kms:DescribeKey"],
            [key.key_arn],
            {"StringEquals": {"kms:ViaService": f"sagemaker.{stack.region}.amazonaws.com"}},
        )

    def _start(self, alarms: Mapping[str, cloudwatch.IAlarm]) -> None:
        """By the alarms that policies name, each with its number and the cause, and by a schedule."""
        by_alarm = [(i, cause) for i, one in enumerate(self._policies) for cause in one.on if cause in alarms]
        if by_alarm:
            role = iam.Role(
                self,
                "StartRole",
                path=names.role_path(self._team),
                description=f"Lets the alarms start the reaction of {self._model}",
                assumed_by=iam.ServicePrincipal(
                    "events.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
                ),
            )
            self.rules = {cause: self._rule(alarms[cause], number, cause, role) for number, cause in by_alarm}
        for i, one in enumerate(self._policies):
            if one.schedule:
                start_at(
                    self,
                    one.schedule,
                    self.state_machine,
                    team=self._team,
                    description=f"Starts the reaction of {self._model}",
                    started=f"the reaction of {self._model}",
                    dead_letters=self.dead_letters,
                    time_zone=one.time_zone,
                    event={"policy": i, "cause": "schedule"},
                )

    def _rule(self, alarm: cloudwatch.IAlarm, number: int, cause: str, role: iam.Role) -> events.Rule:
        given = {"policy": number, "cause": cause, "noticed_at": events.EventField.from_path("$.time")}
        return events.Rule(
            self,
            "Rule" if cause == "drift" else f"Rule{cause.capitalize()}",  # drift was the first, and its name is taken
            description=f"Starts the reaction of {self._model} when its {cause} alarm goes to ALARM",
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn],
                detail={"state": {"value": ["ALARM"]}},
            ),
            targets=[
                targets.SfnStateMachine(
                    self.state_machine,
                    input=events.RuleTargetInput.from_object(given),
                    role=role,
                    dead_letter_queue=self.dead_letters,
                    max_event_age=Duration.hours(2),
                    retry_attempts=10,
                )
            ],
        )


def _policy(policy: Reaction) -> dict[str, object]:
    """What of a policy the functions read: labcycle_lambdas/reaction/policies.py."""
    doc = policy.model_dump(mode="json", exclude={"schedule", "time_zone"})
    return dict(doc)


def _training(retrain: Retrain | None, cohorts: Sequence[str]) -> dict[str, object] | None:
    if retrain is None:
        return None
    doc = retrain.model_dump(mode="json")
    return {**doc, "usd_hour": USD_HOUR.get(retrain.instance_type), "cohorts": list(cohorts)}


def _check(prefix: str, policies: Sequence[Reaction], retrain: Retrain | None) -> None:
    problems = []
    if len(prefix) > _PREFIX_LENGTH and any(policy.do == "retrain" for policy in policies):
        problems.append(
            f"team, model: training jobs would be named {prefix}...; its {len(prefix)} characters are more than "
            f"{_PREFIX_LENGTH}. Shorten the model's name."
        )
    if not policies:
        problems.append("policies: got none; allowed are one or more.")
    causes = [cause for policy in policies for cause in policy.on]
    if twice := sorted({cause for cause in causes if causes.count(cause) > 1}):
        problems.append(f"policies: got {', '.join(twice)} in two of them; allowed is each cause in one.")
    for policy in policies:
        problems += schedule_problems(policy.schedule, policy.time_zone)
        if policy.do == "retrain" and retrain is None:
            problems.append("retrain: got none; a policy that retrains needs it.")
        elif retrain and policy.do == "retrain" and policy.monthly_budget_usd and retrain.instance_type not in USD_HOUR:
            problems.append(
                f"policies: got monthly_budget_usd with the instance type {retrain.instance_type}, whose price is not known; "
                f"allowed are {', '.join(USD_HOUR)}."
            )
    if problems:
        raise ValueError(" ".join(dict.fromkeys(problems)))
