"""What APIs have in common whose model server is a container: its image, what it may do, and the alarms that guard a deployment."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from labcycle._functions import let_logs_use
from labcycle._grants import allow
from labcycle._notices import tell
from labcycle._runtime import ModelRuntime
from labcycle.config import Monitor
from labcycle.serving._capture import capture_environment
from labcycle.serving.model_api import ANSWERING, ModelApi, let_server_work
from labcycle.serving.server_image import RUNTIMES_FOLDER, ServerImage

_SHADOWING = ("SHADOW#{}#*", "SHADOWPROFILE#{}#*")  # what it writes of a shadow, which is a thread of it


class ContainerApi(ModelApi):
    """`image` is built before anything that depends on its `ready`; `log_group` is of the containers."""

    log_group: logs.ILogGroup

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
        notice_topic: sns.ITopic | None,
        runtime: ModelRuntime | None,
        timeout: Duration,
        retain_logs: bool,
        accelerated: bool = False,
        monitor: Monitor | None = None,
    ) -> None:
        super().__init__(scope, construct_id, team=team, model=model)
        self._monitor = monitor
        self._ledger, self._bucket, self._key, self._topic = ledger, artifact_bucket, encryption_key, notice_topic
        let_logs_use(encryption_key, self)
        self.image = ServerImage(
            self,
            "Image",
            team=team,
            model=model,
            encryption_key=encryption_key,
            retain_logs=retain_logs,
            runtime=runtime,
            accelerated=accelerated,
        )
        self._environment = {
            "LEDGER_TABLE": ledger.table_name,
            "ARTIFACT_BUCKET": artifact_bucket.bucket_name,
            "MODEL": model,
            "TEAM": team,
            "AWS_DEFAULT_REGION": Stack.of(self).region,
            **capture_environment(monitor),
            **({**runtime.environment(), **runtime.beside(RUNTIMES_FOLDER, timeout)} if runtime else {}),
        }

    def _let_serve(self, role: iam.Role, *, shadow: bool = True) -> None:
        """What the server does; with a `shadow` in it, that too."""
        let_server_work(
            role,
            model=self._model,
            ledger=self._ledger,
            bucket=self._bucket,
            key=self._key,
            region=Stack.of(self).region,
            written=(*ANSWERING, *(_SHADOWING if shadow else ())),
            monitor=self._monitor,
        )

    def _let_fetch_and_log(self, role: iam.Role) -> None:
        """What begins a container: its image, and its log."""
        self.image.let_fetch(role)
        allow(role, ["logs:CreateLogStream", "logs:PutLogEvents"], [self.log_group.log_group_arn])

    def _security_group(self, construct_id: str, vpc: ec2.IVpc, what: str) -> ec2.SecurityGroup:
        """Lets nothing in or out yet."""
        return ec2.SecurityGroup(
            self,
            construct_id,
            vpc=vpc,
            description=f"Model {self._model}, team {self._team}, {what}",
            allow_all_outbound=False,
            disable_inline_rules=True,
        )

    def _guard(
        self, construct_id: str, said: str, metric: cloudwatch.Metric, threshold: float, *, minutes: tuple[int, int]
    ) -> cloudwatch.Alarm:
        """An alarm that takes back a deployment, and tells: when the metric is that high in so many of so many `minutes`. Without a
        request it is OK, as it must be when the first deployment begins."""
        breaching, looked_at = minutes
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"{said}; see the log group {self.log_group.log_group_name}.",
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=looked_at,
            datapoints_to_alarm=breaching,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._topic is not None:
            tell(alarm, self._topic, self._key)
        return alarm
