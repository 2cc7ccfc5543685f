"""Experiment tracking that speaks MLflow, without a server that is always on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._functions import let_logs_use, log_group, python_function
from labcycle._grants import KeyUse, allow, allow_key
from labcycle._http_api import STAGE, http_api, metric_errors
from labcycle._keys import own_key
from labcycle._notices import errors_alarm
from labcycle.config import RetentionRule, names
from labcycle.config.team import LONGEST_WINDOW_DAYS
from labcycle.tracking.front_doors import Access, TokenDoor
from labcycle.tracking.retention import ROUTE as RETENTION_ROUTE
from labcycle.tracking.retention import Retention

SHORTEST_RETENTION = Duration.days(30)
_LEDGER_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
_TIMEOUT = Duration.seconds(29)  # an HTTP API waits 30 seconds
_UNFINISHED = Duration.days(7)


class ExperimentTracking(Construct):
    """The ledger of one team: runs, models and decisions in DynamoDB, artifacts in S3, behind an IAM-authorised HTTP API.

    The API speaks MLflow's REST protocol below `/api` and `/ajax-api`, and labcycle's own life cycle (promote, roll back,
    history) below `/labcycle`. Clients sign with `MLFLOW_TRACKING_AUTH=labcycle`; artifacts go straight to S3, with the
    client's own credentials or to addresses that the API signs. Idle, it costs the key (1.00 USD a month) and what is stored.

    Parameters
    ----------
    team
        Name of the team; part of the names of table, bucket and parameter.
    encryption_key
        Encrypts table, bucket and logs; the policy of a key of another stack must let CloudWatch Logs use it. Absent: a
        key of its own is created, with rotation.
    artifact_retention
        How long artifacts that were deleted or overwritten can be brought back. At least 30 days, by default 3,650.
    retain_data
        Table, bucket and an own key outlive the stack, and the table is protected from deletion. False: only the bucket
        is retained, since S3 deletes none that holds objects; a key of its own waits 30 days.
    requests_per_second, burst
        The API answers 429 above these rates.
    notice_topic
        Gets an alarm when the API keeps answering 5xx (0.10 USD a month). A topic of the same stack, and its key, are told
        to let it publish; those of another stack must. Absent: there is no alarm.
    access_logs_bucket
        Receives the artifact bucket's server access logs; its policy must allow it. Absent: none are written.
    access
        What members may do, held against every operation, and issuers of tokens that are let in; `token_doors` has their
        addresses. Absent: a member's role may do what IAM lets it, and there are no tokens.
    prediction_days
        How long predictions are kept, by model. Absent: 92 days.
    retention_rules
        What `labcycle retention` may let go of old runs. Absent: nothing, and there is no function for it.
    models_with_outcomes
        Models whose outcomes are taken in: what was overwritten of their joined rows goes after a day.

    Raises
    ------
    ValueError
        If `artifact_retention` is shorter than 30 days, or `access` is larger than the functions take.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        encryption_key: kms.IKey | None = None,
        artifact_retention: Duration | None = None,
        retain_data: bool = True,
        requests_per_second: int = 100,
        burst: int = 200,
        notice_topic: sns.ITopic | None = None,
        access_logs_bucket: s3.IBucket | None = None,
        access: Access | None = None,
        retention_rules: Sequence[RetentionRule] = (),
        models_with_outcomes: Sequence[str] = (),
        prediction_days: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        retention = artifact_retention or Duration.days(3650)
        if retention.to_seconds() < SHORTEST_RETENTION.to_seconds():
            raise ValueError(f"artifact_retention: got {retention.to_days()} days; allowed 30 days or more.")
        self._team = team
        removal = RemovalPolicy.RETAIN if retain_data else RemovalPolicy.DESTROY
        self.encryption_key: kms.IKey = encryption_key or own_key(self, "Key", removal=removal)
        let_logs_use(self.encryption_key, self)
        self.table = dynamodb.Table(
            self,
            "Ledger",
            table_name=names.ledger_table(team),
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_IMAGE,  # the outbox reads it; unread it costs nothing
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.encryption_key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires",  # of what says that a request was done (ledger/table.py)
            deletion_protection=retain_data,
            removal_policy=removal,
        )
        self._prediction_days = prediction_days or {}
        self.artifact_bucket = self._bucket(retention, access_logs_bucket, models_with_outcomes)
        environment = {
            "LEDGER_TABLE": self.table.table_name,
            "ARTIFACT_BUCKET": self.artifact_bucket.bucket_name,
            **({"MEMBERS": access.variable()} if access else {}),
        }
        self.tracking_function = python_function(
            self,
            "Tracking",
            folder="tracking",
            team=team,
            description=f"MLflow's tracking and registry protocol, team {team}",
            environment=environment | {"REQUESTS_PER_SECOND": str(requests_per_second)},
            memory_mib=512,
            timeout=_TIMEOUT,
            key=self.encryption_key,
        )
        self.lifecycle_function = python_function(
            self,
            "LifeCycle",
            folder="lifecycle",
            team=team,
            description=f"Promotion, roll back and history of models, team {team}",
            environment=environment,
            memory_mib=1024,
            timeout=_TIMEOUT,
            key=self.encryption_key,
        )
        self._let_functions_work()
        any_method = apigateway.HttpMethod.ANY
        self.retention = (
            Retention(
                self,
                "Retention",
                team=team,
                rules=retention_rules,
                table=self.table,
                bucket=self.artifact_bucket,
                key=self.encryption_key,
                environment=environment,
                timeout=_TIMEOUT,
            )
            if retention_rules
            else None
        )
        routes = [
            *([(f"/{RETENTION_ROUTE}/{{proxy+}}", any_method, self.retention.function)] if self.retention else []),
            ("/labcycle/{proxy+}", any_method, self.lifecycle_function),
            ("/{proxy+}", any_method, self.tracking_function),
            ("/", any_method, self.tracking_function),
        ]
        access_log = log_group(
            self, "AccessLog", key=self.encryption_key, name=f"/aws/vendedlogs/labcycle/{team}/tracking"
        )
        self.api = http_api(
            self,
            "Api",
            description=f"Experiment tracking of the team {team}",
            routes=routes,
            requests_per_second=requests_per_second,
            burst=burst,
            access_log=access_log,
        )
        self.url = self.api.api_endpoint
        self.token_doors = {
            issuer.name: TokenDoor(
                self,
                f"Issuer-{issuer.name}",
                team=team,
                issuer=issuer,
                routes=routes,
                requests_per_second=requests_per_second,
                burst=burst,
                access_log=access_log,
                key=self.encryption_key,
                notice_topic=notice_topic,
            )
            for issuer in (access.issuers if access else ())
        }
        if notice_topic is not None:
            errors_alarm(
                self,
                "ErrorsAlarm",
                errors=self.metric_errors(),
                what=(
                    f"The tracking API of the team {team} keeps answering 5xx: runs are not logged, and nothing can be "
                    f"promoted. See which error in the logs of the functions {self.tracking_function.function_name} and "
                    f"{self.lifecycle_function.function_name}; calls that Lambda throttled count too. Clients repeat what "
                    "they sent, so that nothing needs to be logged again once it is mended."
                ),
                topic=notice_topic,
                key=self.encryption_key,
            )
        ssm.StringParameter(
            self,
            "Url",
            parameter_name=names.tracking_url_parameter(team),
            string_value=self.url,
            description=f"Address of the tracking API of the team {team}",
        )

    def grant_log(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` log and register with MLflow, read and write artifacts, put training data below `data/`, and send records and outcomes."""
        # Methods by name: `*` stands for slashes too, and `*/api/*` would let in the promotion of a model named `api`.
        changing = (f"{method}/{api}/*" for method in _CHANGING for api in _APIS)
        self._grant_api(grantee, "GET/*", *changing, *(f"POST/labcycle/1.0/models/*/{what}" for what in _SENT))
        self._grant_objects(
            grantee,
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
            "write objects",
            "outcomes/*/in/*",
            "outcomes/*/rejected/*",
        )
        return allow(grantee, ["ssm:GetParameter"], [self._parameter_arn()])

    def grant_log_runs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` log runs and the models that they make, and read; artifacts, and what is registered, are another matter."""
        logged = (
            f"{method}/api/*/mlflow/{what}" for what in ("runs/*", "logged-models*") for method in ("PATCH", "POST")
        )
        return self._grant_api(grantee, "GET/*", *logged, "POST/api/*/mlflow/experiments/search")

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read runs, models, history and artifacts, and change nothing."""
        self._grant_api(grantee, "GET/*", *(f"POST/{api}/*/mlflow/{what}" for api in _APIS for what in _ASKED_BY_POST))
        self._grant_objects(grantee, ["s3:GetObject", "s3:GetObjectVersion"], "read objects", "outcomes/*")
        return allow(grantee, ["ssm:GetParameter"], [self._parameter_arn()])

    def grant_read_predictions(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read what the models predicted, and the features that are kept with it."""
        prefix = f"{names.prediction_prefix()}*"
        allow(grantee, ["s3:ListBucket"], [self.artifact_bucket.bucket_arn], {"StringLike": {"s3:prefix": [prefix]}})
        return allow(grantee, ["s3:GetObject"], [self.artifact_bucket.arn_for_objects(prefix)])

    def grant_promote(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` decide which version of a model is live."""
        return self._grant_api(grantee, "POST/labcycle/1.0/models/*", "GET/labcycle/*")

    def let_promote_in_steps(self) -> None:
        """Let the life cycle function start the state machines of `ModelPromotion`."""
        machines = Stack.of(self).format_arn(
            service="states",
            resource="stateMachine",
            resource_name=names.promotion_machine(self._team, "*"),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(self.lifecycle_function, ["states:StartExecution"], [machines])

    def let_keep_records(self, model: str) -> None:
        """Let the life cycle function keep predictions of a model that is served elsewhere (`serving.ServedElsewhere`)."""
        prefix = f"{names.prediction_prefix(model)}*"
        allow(self.lifecycle_function, ["s3:PutObject"], [self.artifact_bucket.arn_for_objects(prefix)])

    def grant_erase(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` let go what the retention rules let go."""
        return self._grant_api(grantee, f"POST/{RETENTION_ROUTE}/*")

    def metric_errors(self) -> cloudwatch.Metric:
        """Answers with a 5xx status a minute: ours, never the caller's."""
        return metric_errors(self.api)

    def _bucket(
        self, retention: Duration, access_logs: s3.IBucket | None, models_with_outcomes: Sequence[str]
    ) -> s3.Bucket:
        stack = Stack.of(self)
        return s3.Bucket(
            self,
            "Artifacts",
            bucket_name=names.bucket(self._team, "artifacts", stack.account, stack.region),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.encryption_key,
            bucket_key_enabled=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="artifacts/" if access_logs else None,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="retention",
                    noncurrent_version_expiration=retention,
                    abort_incomplete_multipart_upload_after=_UNFINISHED,
                ),
                *_of_what_is_answered_later(),
                *(
                    s3.LifecycleRule(
                        id=f"joined-{model}",
                        prefix=f"outcomes/{model}/joined/",  # written again whenever more is known
                        noncurrent_version_expiration=Duration.days(1),
                    )
                    for model in models_with_outcomes
                ),
                *_of_predictions(self._prediction_days),
            ],
            # Not retained where the deployment that made it fails: its name would be taken at the next attempt.
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )

    def _let_functions_work(self) -> None:
        region = Stack.of(self).region
        bucket = self.artifact_bucket
        # Only the protocol deletes.
        more = ("dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem")
        allow(self.tracking_function, [*_LEDGER_ACTIONS, *more], [self.table.table_arn])
        allow_key(self.tracking_function, self.encryption_key, "read and write items", "write objects", region=region)
        # To verify reads the points of metrics that went on after a registration, many at once.
        allow(self.lifecycle_function, [*_LEDGER_ACTIONS, "dynamodb:BatchGetItem"], [self.table.table_arn])
        allow_key(self.lifecycle_function, self.encryption_key, "read and write items", "write objects", region=region)
        listing = {"StringLike": {"s3:prefix": ["experiments/*"]}}
        allow(self.tracking_function, ["s3:ListBucket", "s3:ListBucketVersions"], [bucket.bucket_arn], listing)
        artifacts = [bucket.arn_for_objects("experiments/*")]
        # It signs addresses for callers who have no credentials of AWS. What it deletes is hidden by a marker: it may
        # remove no version of an object.
        signing = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        allow(self.tracking_function, [*signing, "s3:DeleteObject"], artifacts)
        allow(self.lifecycle_function, ["s3:GetObject", "s3:GetObjectVersion"], artifacts)
        # Without the right to list, S3 answers 403 instead of 404 for what is not there.
        seen = {"StringLike": {"s3:prefix": ["experiments/*", "data/*", "outcomes/*/in/"]}}
        allow(self.lifecycle_function, ["s3:ListBucket"], [bucket.bucket_arn], seen)
        allow(self.lifecycle_function, ["s3:PutObject"], [bucket.arn_for_objects("outcomes/*/in/*")])
        # A promotion is held against memory and runtime of the model's server.
        memory = names.model_server_memory_parameter(self._team, "*").lstrip("/")
        shadow = names.shadow_parameter(self._team, "*").lstrip("/")
        runtime = names.model_server_runtime_parameter(self._team, "*").lstrip("/")
        runs_on = names.model_server_runs_on_parameter(self._team, "*").lstrip("/")
        declared = names.declared_parameter(self._team, "*").lstrip("/")
        records = names.records_parameter(self._team, "*").lstrip("/")
        # Where a model has a state machine for it, that does it.
        machine = names.promotion_parameter(self._team, "*").lstrip("/")
        policies = names.policies_parameter(self._team, "*").lstrip("/")
        stack = Stack.of(self)
        parameters = [
            stack.format_arn(service="ssm", resource="parameter", resource_name=name)
            for name in (memory, runtime, machine, policies, runs_on, shadow, declared, records)
        ]
        allow(self.lifecycle_function, ["ssm:GetParameter"], parameters)
        # A reviewer's decision wakes the reaction that waits for it. The action knows no resource; who has no token can do nothing:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
        allow(self.lifecycle_function, ["states:SendTaskSuccess"], ["*"])

    def _grant_api(self, grantee: iam.IGrantable, *routes: str) -> iam.Grant:
        """`routes` are `METHOD/path`, with `*` for anything."""
        stack = Stack.of(self)
        arns = [
            stack.format_arn(service="execute-api", resource=self.api.api_id, resource_name=f"{STAGE}/{route}")
            for route in routes
        ]
        return allow(grantee, ["execute-api:Invoke"], arns)

    def _grant_objects(self, grantee: iam.IGrantable, actions: list[str], use: KeyUse, *outcomes: str) -> None:
        bucket = self.artifact_bucket
        # In one statement, since a role holds few characters.
        allow(grantee, actions, [bucket.arn_for_objects(below) for below in ("experiments/*", "data/*", *outcomes)])
        listing = {"StringLike": {"s3:prefix": ["experiments/*", "data/*", "outcomes/*"]}}
        allow(grantee, ["s3:ListBucket"], [bucket.bucket_arn], listing)
        allow_key(grantee, self.encryption_key, use, region=Stack.of(self).region)

    def _parameter_arn(self) -> str:
        return Stack.of(self).format_arn(
            service="ssm", resource="parameter", resource_name=names.tracking_url_parameter(self._team).lstrip("/")
        )


_APIS = ("api", "ajax-api")
_ASKED_BY_POST = (
    "artifacts/presigned-download-url",
    "experiments/search",
    "experiments/search-datasets",
    "logged-models/search",
    "registered-models/get-latest-versions",
    "runs/search",
)
_SENT = ("outcomes", "records")  # of models, which decide nothing by themselves
_CHANGING = ("DELETE", "PATCH", "POST", "PUT")


def _of_predictions(days: Mapping[str, int]) -> list[s3.LifecycleRule]:
    """Those of a model, which are written again and again while their window is open; and last those of models that are no more.
    Of rules that both fit, S3 takes the earlier end."""
    longest = max([LONGEST_WINDOW_DAYS, *days.values()])
    kept = {names.prediction_prefix(model): number for model, number in days.items()}
    return [
        s3.LifecycleRule(
            id=prefix.strip("/").replace("/", "-"),
            prefix=prefix,
            expiration=Duration.days(number),
            noncurrent_version_expiration=Duration.days(1),
        )
        for prefix, number in {**kept, names.prediction_prefix(): longest}.items()
    ]


def _of_what_is_answered_later() -> list[s3.LifecycleRule]:
    """Requests and answers go after a week; what was asked is known for a month, so that who comes late is told so. Of rules that
    both fit, S3 takes the earlier end."""
    days: dict[names.Waiting, int] = {"in": 7, "out": 7, "failed": 7, "asked": 30}
    return [
        s3.LifecycleRule(
            id=f"asynchronous-{kind}",
            prefix=names.asynchronous_prefix(kind),
            expiration=Duration.days(kept),
            noncurrent_version_expiration=Duration.days(1),
        )
        for kind, kept in days.items()
    ]
