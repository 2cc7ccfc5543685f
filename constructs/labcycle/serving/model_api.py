"""What the scoring APIs of models have in common, wherever the server runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._functions import log_group
from labcycle._grants import allow, allow_key
from labcycle._http_api import STAGE, http_api
from labcycle._notices import errors_alarm
from labcycle._runtime import ModelRuntime
from labcycle.config import Monitor, names
from labcycle.serving._capture import let_keep_predictions
from labcycle.serving._door import Door

PREDICTIONS = "/invocations"
_ROUTES = (
    (PREDICTIONS, apigateway.HttpMethod.POST),
    ("/ping", apigateway.HttpMethod.GET),
    ("/version", apigateway.HttpMethod.GET),
    ("/openapi.json", apigateway.HttpMethod.GET),
)
_APP_ROUTE = ("/app", apigateway.HttpMethod.GET)
PERIOD = Duration.minutes(1)
ANSWERING = ("PROFILE#{}#*", "TRAFFIC#{}#*", "USAGE#{}")  # what a server writes of the versions that answer, by model
Route = tuple[str, apigateway.HttpMethod]


def routes_of(app: bool) -> Sequence[Route]:
    """The routes of a model's API; `app`: that of its page as well."""
    return (*_ROUTES, *([_APP_ROUTE] if app else []))


class ModelApi(Construct):
    """An API with IAM authorisation in front of the server of one model, who may call it, and its metrics."""

    _door: Door
    access_log: logs.LogGroup

    def __init__(self, scope: Construct, construct_id: str, *, team: str, model: str) -> None:
        super().__init__(scope, construct_id)
        self._team, self._model = team, model

    def _access_log(self, key: kms.IKey, retain: bool) -> logs.LogGroup:
        name = f"/aws/vendedlogs/labcycle/{self._team}/{names.model_stack(self._model)}"
        self.access_log = log_group(self, "AccessLog", key=key, name=name, retain=retain)
        return self.access_log

    def _http_api(
        self,
        behind: lambda_.IFunction | apigateway.HttpRouteIntegration,
        *,
        app: bool,
        requests_per_second: int,
        burst: int,
        access_log: logs.ILogGroup,
        more: Sequence[Route] = (),
    ) -> apigateway.HttpApi:
        """The HTTP API before the server, by which it is reached; with `more` routes than those of every model."""
        api = http_api(
            self,
            "Api",
            description=f"Scoring API of {self._model}, team {self._team}",
            routes=[(path, method, behind) for path, method in (*routes_of(app), *more)],
            requests_per_second=requests_per_second,
            burst=burst,
            access_log=access_log,
        )
        self._door = Door(api.api_endpoint, api.api_id, STAGE, {"ApiId": api.api_id}, "5xx", "4xx")
        return api

    def _has_place_for_shadow(self, place: Literal["function", "process"]) -> None:
        """Publish where the shadow of the model runs, without which none begins."""
        ssm.StringParameter(
            self,
            "ShadowPlace",
            parameter_name=names.shadow_parameter(self._team, self._model),
            string_value=place,
            description=f"Where a shadow of {self._model} runs",
        )

    def _announce(
        self,
        *,
        memory_mb: int,
        runs_on: Mapping[str, object],
        runtime: ModelRuntime | None,
        topic: sns.ITopic | None,
        key: kms.IKey,
        errors_in: str,
    ) -> None:
        """Publish the address, memory and runtime that a promotion looks at, and the delivery that advice looks at; and tell `topic`
        when the API keeps failing, and where the errors are."""
        for construct_id, name, value, what in (
            ("Memory", names.model_server_memory_parameter, str(memory_mb), "Memory of the model server of {} in MB"),
            ("RunsOn", names.model_server_runs_on_parameter, as_json(runs_on), "What the model server of {} runs on"),
            ("Url", names.model_url_parameter, self.url, "Address of the API of {}"),
        ):
            ssm.StringParameter(
                self,
                construct_id,
                parameter_name=name(self._team, self._model),
                string_value=value,
                description=what.format(self._model),
            )
        if runtime is not None:
            publish_runtime(self, self._team, self._model, runtime)
        if topic is not None:
            errors_alarm(
                self,
                "ErrorsAlarm",
                errors=self._told_errors(),
                what=(
                    f"The API of the model {self._model} (team {self._team}) keeps answering 5xx: consumers get no predictions. See "
                    f"which error in {errors_in}. If it began with a promotion, take the version back: labcycle models rollback "
                    f"{self._model}."
                ),
                topic=topic,
                key=key,
            )

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

    def _told_errors(self) -> cloudwatch.Metric | cloudwatch.MathExpression:
        """What the alarm goes by: answers with 5xx, or the share of the requests that they are."""
        return self.metric_errors()

    def metric_refused(self) -> cloudwatch.Metric:
        """Answers with a 4xx status a minute: malformed, not allowed, or throttled."""
        return self._metric(self._door.refused, "Sum")

    def metric_latency(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Milliseconds from request to answer, as the API sees it."""
        return self._metric("Latency", statistic)

    def metric_integrated_requests(self) -> cloudwatch.Metric:
        """Requests a minute that reached what is behind the API, however they were answered: what the model server tells that it was
        asked (docs/capture.md) is held against it."""
        return self._metric("IntegrationLatency", "SampleCount")

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


def as_json(runs_on: Mapping[str, object]) -> str:
    """What a server runs on, as it and the life cycle function are told it."""
    return json.dumps(runs_on, separators=(",", ":"))


def publish_runtime(scope: Construct, team: str, model: str, runtime: ModelRuntime) -> None:
    """Tell promotions what versions must have been logged with."""
    ssm.StringParameter(
        scope,
        "Runtime",
        parameter_name=names.model_server_runtime_parameter(team, model),
        string_value=runtime.document,
        description=f"What loads versions of {model}",
    )


def let_server_work(
    server: iam.IGrantable,
    *,
    model: str,
    ledger: dynamodb.ITable,
    bucket: s3.IBucket,
    key: kms.IKey,
    region: str,
    written: Sequence[str] = ANSWERING,
    monitor: Monitor | None = None,
) -> None:
    """The deployment record of this model is read, what it counts is written, pinned object versions are fetched; predictions are kept
    where the `monitor` asks for it."""
    let_read_record(server, model, ledger)
    allow(
        server,
        ["dynamodb:PutItem"],
        [ledger.table_arn],
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [one.format(model) for one in written]}},
    )
    allow(server, ["s3:GetObjectVersion"], [bucket.arn_for_objects("experiments/*")])
    if monitor and monitor.logs_predictions:
        let_keep_predictions(server, model, bucket)
        allow_key(server, key, "read and write items", "write objects", region=region)
    else:
        allow_key(server, key, "read and write items", "read objects", region=region)


def let_read_record(reader: iam.IGrantable, model: str, ledger: dynamodb.ITable) -> None:
    """What is live."""
    record = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"DEPLOYMENT#{model}"]}}
    allow(reader, ["dynamodb:GetItem"], [ledger.table_arn], record)


def check_figures(*figures: tuple[str, float, float, float]) -> None:
    """Raises `ValueError` with each (name, value, least, most) whose value is outside; values that are not known yet pass."""
    problems = [
        f"{name}: got {value:g}; allowed {low} to {high}."
        for name, value, low, high in figures
        if not Token.is_unresolved(value) and not low <= value <= high
    ]
    if problems:
        raise ValueError(" ".join(problems))
