"""What the scoring APIs of models have in common, wherever the server runs."""

from __future__ import annotations

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from labcycle._grants import allow, allow_key
from labcycle.config import names
from labcycle.serving._door import Door

PREDICTIONS = "/invocations"
ROUTES = (
    (PREDICTIONS, apigateway.HttpMethod.POST),
    ("/ping", apigateway.HttpMethod.GET),
    ("/version", apigateway.HttpMethod.GET),
    ("/openapi.json", apigateway.HttpMethod.GET),
)
APP_ROUTE = ("/app", apigateway.HttpMethod.GET)
PERIOD = Duration.minutes(1)


class ModelApi(Construct):
    """An API with IAM authorisation in front of the server of one model, who may call it, and its metrics."""

    _door: Door

    def __init__(self, scope: Construct, construct_id: str, *, team: str, model: str) -> None:
        super().__init__(scope, construct_id)
        self._team, self._model = team, model

    @property
    def url(self) -> str:
        """Address of the API."""
        return self._door.url

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` score, and ask which version is live."""
        # One resource for all routes: an IAM role holds 10,240 characters of such policies, and a member has one a model.
        arn = Stack.of(self).format_arn(
            service="execute-api", resource=self._door.api_id, resource_name=f"{self._door.stage}/*"
        )
        return allow(grantee, ["execute-api:Invoke"], [arn])

    def metric_requests(self) -> cloudwatch.Metric:
        """Requests a minute, refused ones included."""
        return self._metric("Count", "Sum")

    def metric_errors(self) -> cloudwatch.Metric:
        """Answers with a 5xx status a minute: ours, never the caller's."""
        return self._metric(self._door.errors, "Sum")

    def metric_refused(self) -> cloudwatch.Metric:
        """Answers with a 4xx status a minute: malformed, not allowed, or throttled."""
        return self._metric(self._door.refused, "Sum")

    def metric_latency(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Milliseconds from request to answer, as the API sees it."""
        return self._metric("Latency", statistic)

    def metric_profile_write_failures(self) -> cloudwatch.Metric:
        """Profiles that could not be written at once; published only when it happens."""
        return self._counted("ProfileWriteFailures")

    def metric_canary_failures(self) -> cloudwatch.Metric:
        """Requests that the version that is tried could not answer; the live one answered them."""
        return self._counted("CanaryFailures")

    def metric_refused_versions(self) -> cloudwatch.Metric:
        """Live versions that the server would not load, for instance since their bytes had changed."""
        return self._counted("RefusedVersions")

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map=self._door.dimensions,
            period=PERIOD,
            statistic=statistic,
        )

    def _counted(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=names.metric_namespace(self._team),
            metric_name=name,
            dimensions_map={"Team": self._team, "Model": self._model},
            period=PERIOD,
            statistic="Sum",
        )


def let_server_work(
    server: iam.IGrantable, *, model: str, ledger: dynamodb.ITable, bucket: s3.IBucket, key: kms.IKey, region: str
) -> None:
    """The deployment record of this model is read, its profiles and tallies are written, pinned object versions are fetched."""
    record = f"DEPLOYMENT#{model}"
    written = [f"PROFILE#{model}#*", f"TRAFFIC#{model}#*"]
    allow(
        server,
        ["dynamodb:GetItem"],
        [ledger.table_arn],
        {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [record]}},
    )
    allow(
        server,
        ["dynamodb:PutItem"],
        [ledger.table_arn],
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": written}},
    )
    allow(server, ["s3:GetObjectVersion"], [bucket.arn_for_objects("experiments/*")])
    allow_key(server, key, "read and write items", "read objects", region=region)


def check_figures(*figures: tuple[str, float, float, float]) -> None:
    """Raises `ValueError` with each (name, value, least, most) whose value is outside; values that are not known yet pass."""
    problems = [
        f"{name}: got {value:g}; allowed {low} to {high}."
        for name, value, low, high in figures
        if not Token.is_unresolved(value) and not low <= value <= high
    ]
    if problems:
        raise ValueError(" ".join(problems))
