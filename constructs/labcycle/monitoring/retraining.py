"""React to an alarm: retrain, compare, make the best version live, and tell the owner."""

from __future__ import annotations

import re

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
from constructs import Construct

from labcycle._dead_letters import own_dead_letters
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow, allow_key
from labcycle._runtime import ModelRuntime
from labcycle._state_machines import EXECUTION, state_machine, tell_when_stopped
from labcycle._templates import render
from labcycle.config import names
from labcycle.config.metrics import METRICS, Metric

PROMOTE = ("automatic", "after_review")
_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)[:@].+"
)
# Instances with disks of their own encrypt them by themselves and refuse a key:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html#sagemaker-Type-ResourceConfig-VolumeKmsKeyId
_OWN_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[5-9][a-z]*|p[4-9][a-z]*|trn\d[a-z]*|inf2)\.")
_PREFIX_LENGTH = 51  # training jobs are named <prefix><12 digits>, 63 characters at most
_BESIDE_TRAINING_SECONDS = 2 * 3600  # start and end of the job, and the steps around it


class Retraining(Construct):
    """The reaction to drift: a state machine that is started when an alarm goes to ALARM.

    It runs the recipe of the run that made the live version (its artifact `recipe/train.py`) as a SageMaker training job
    on the CSV files below `s3://<artifact_bucket>/data/<model>/`, as a new tracked run; registers the result; measures
    it, the live version and the version before on the same holdout. If the new one is better than the live one, and no
    worse than the one before, it is promoted (or a review is asked for); else, if the version before is better than the
    live one, it comes back; else nothing changes. The owner gets a notice with all figures in each case, and each step is
    a custody event.

    One reaction at a time for a model, and none within `cool_down` of the last: a start that comes too early ends at
    once and is recorded. Idle it costs nothing; a reaction costs its training instance.

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
    dead_letters
        Gets starts and notices that EventBridge could not deliver; its policy must let `events.amazonaws.com` send. Absent:
        a queue of its own, with an alarm to the notice topic (0.10 USD a month).
    alarm
        Whose change to ALARM starts the reaction; `ModelMonitor.alarm`.
    image
        ECR image in the stack's region with Python, mlflow-skinny, scikit-learn, skl2onnx and onnxruntime.
    instance_type
        SageMaker instance type.
    maximum_duration
        Of the training; then it is stopped, and the reaction fails.
    metric
        By which the versions are compared.
    minimum_gain
        How much better than the live version another must be to replace it, in units of `metric`; equal is not better.
    promote
        `automatic`, or `after_review`: a better new version waits for a person. A roll back waits for nobody.
    cool_down
        Time after a reaction in which none is started.
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
        alarm: cloudwatch.IAlarm,
        dead_letters: sqs.IQueue | None = None,
        image: str,
        instance_type: str = "ml.m5.large",
        maximum_duration: Duration | None = None,
        metric: Metric = "accuracy",
        minimum_gain: float = 0.0,
        promote: str = "after_review",
        cool_down: Duration | None = None,
        volume: Size | None = None,
        runtime: ModelRuntime | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        maximum_duration = maximum_duration or Duration.hours(1)
        cool_down = cool_down or Duration.days(1)
        self._job_prefix = names.training_job_prefix(team, model)
        _check(self._job_prefix, image, metric, minimum_gain, promote)
        self._team, self._model = team, model
        let_logs_use(encryption_key, self)
        longest_seconds = int(maximum_duration.to_seconds()) + _BESIDE_TRAINING_SECONDS
        self.function = self._function(
            ledger,
            artifact_bucket,
            encryption_key,
            {
                "TRAINING_METRIC": metric,
                "MINIMUM_GAIN": f"{minimum_gain:g}",
                "PROMOTE": promote,
                "COOL_DOWN_HOURS": f"{cool_down.to_hours(integral=False):g}",
                "LONGEST_SECONDS": str(longest_seconds),
            },
            runtime,
        )
        self.training_role = self._training_role(artifact_bucket, encryption_key, image)
        definition = render(
            "monitoring/reaction.asl.json.j2",
            team=team,
            model=model,
            image=image,
            instance_type=instance_type,
            training_seconds=int(maximum_duration.to_seconds()),
            longest_seconds=longest_seconds,
            volume_gib=int((volume or Size.gibibytes(30)).to_gibibytes()),
            encrypt_volume=not _OWN_DISK.match(instance_type),
        )
        self.state_machine = state_machine(
            self,
            definition,
            team=team,
            what=f"Retraining of {model}",
            log=f"reaction-{model}",
            function=self.function,
            topic=notice_topic,
            key=encryption_key,
            substitutions={"TrainingRole": self.training_role.role_arn, "Key": encryption_key.key_arn},
        )
        self._let_states_train(encryption_key)
        self.dead_letters: sqs.IQueue = dead_letters or own_dead_letters(
            self, "DeadLetters", whose=f"the retraining of {model}", topic=notice_topic, key=encryption_key
        )
        self._start_on(alarm)
        tell_when_stopped(
            self,
            "OutOfTime",
            self.state_machine,
            statuses=["TIMED_OUT"],
            description=f"Tells when the retraining of {model} runs out of time",
            said=(
                f"labcycle {team}: the retraining of {model} ran out of time and was stopped. Nothing was promoted by it unless "
                f"labcycle models history {model} says so; its lock ends by itself. See what took so long in the execution "
                f"{EXECUTION}, then raise maximum_minutes or train on less."
            ),
            topic=notice_topic,
            key=encryption_key,
            dead_letters=self.dead_letters,
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
            description=f"Steps of the retraining of {self._model}, team {self._team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "ARTIFACT_BUCKET": bucket.bucket_name,
                "MODEL": self._model,
                **settings,
            },
            memory_mib=3008,
            timeout=Duration.minutes(15),
            key=key,
            disk=Size.gibibytes(4),  # the archives, and unpacked
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
            {"StringLike": {"s3:prefix": ["experiments/*", f"data/{model}/*", f"training/{model}/*"]}},
        )
        allow(
            function,
            ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
            [bucket.arn_for_objects("experiments/*")],
        )
        allow(function, ["s3:GetObject"], [bucket.arn_for_objects(f"training/{model}/*")])
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

    def _let_states_train(self, key: kms.IKey) -> None:
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
            [self.training_role.role_arn],
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

    def _start_on(self, alarm: cloudwatch.IAlarm) -> None:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "StartRole",
            path=names.role_path(self._team),
            description=f"Lets the alarm start the retraining of {self._model}",
            assumed_by=iam.ServicePrincipal(
                "events.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        self.rule = events.Rule(
            self,
            "Rule",
            description=f"Starts the retraining of {self._model} when its drift alarm goes to ALARM",
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
                    role=role,
                    dead_letter_queue=self.dead_letters,
                    max_event_age=Duration.hours(2),
                    retry_attempts=10,
                )
            ],
        )


def _check(prefix: str, image: str, metric: str, minimum_gain: float, promote: str) -> None:
    problems = []
    if len(prefix) > _PREFIX_LENGTH:
        problems.append(
            f"team, model: training jobs would be named {prefix}...; its {len(prefix)} characters are more than "
            f"{_PREFIX_LENGTH}. Shorten the model's name."
        )
    if not _IMAGE.fullmatch(image):
        problems.append(f"image: got {image!r}; allowed is an ECR image with its tag or digest.")
    if metric not in METRICS:
        problems.append(f"metric: got {metric!r}; allowed {', '.join(METRICS)}.")
    if minimum_gain < 0:
        problems.append(f"minimum_gain: got {minimum_gain:g}; allowed 0 or more.")
    if promote not in PROMOTE:
        problems.append(f"promote: got {promote!r}; allowed {', '.join(PROMOTE)}.")
    if problems:
        raise ValueError(" ".join(problems))
