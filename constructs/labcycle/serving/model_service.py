"""The scoring API of one model, on Lambda."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import Duration, Size, Stack
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle._functions import let_logs_use, python_function
from labcycle._grants import allow
from labcycle._runtime import ModelRuntime
from labcycle.config import Consumer, Monitor, Provisioned, SnapStart, names
from labcycle.serving import _rest_api
from labcycle.serving._capture import capture_environment
from labcycle.serving._door import Door
from labcycle.serving._off_hours import rest_in
from labcycle.serving._usage_plans import UsagePlans
from labcycle.serving.model_api import (
    PERIOD,
    PREDICTIONS,
    ModelApi,
    Route,
    as_json,
    check_figures,
    let_server_work,
    routes_of,
)

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MEMORY_MIB = (512, 10_240)  # below 512 the runtime and a small model do not fit
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html: 30 s for an integration
TIMEOUT_SECONDS = (3, 30)
SHADOW_CONCURRENCY = (1, 100)
_ALIAS = "current"
# Which have snapshots of functions in Python; cloudformation-validate takes them for regions without.
_YOUNGER_REGIONS = frozenset(
    {
        *("ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-west-1"),
        *("eu-central-2", "eu-south-2", "il-central-1", "me-central-1", "mx-central-1"),
    }
)
# The shortest that Lambda has: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
_EVENT_AGE = Duration.seconds(60)


class ModelService(ModelApi):
    """The version of `model` that is live, behind an HTTP API with IAM authorisation, or a REST API where it has `consumers`.

    `POST /invocations` takes MLflow's scoring requests, `GET /ping` answers 200 while a version can answer, `GET
    /version` tells which, `GET /openapi.json` describes the API for this version's signature. The function reads the deployment
    record of the ledger every few seconds and loads what is live from the artifact bucket, so that promotion and roll back need no
    deployment. It runs ONNX models on x86_64, or those of its `runtime`.

    An idle service costs nothing but its key's share; a request of 100 ms at 2,048 MiB about 3.3 USD a million, and
    1.00 USD a million for the API, 3.50 for a REST API (us-east-1, January 2026, estimate).

    The address is another with consumers than without. `usage_plans` is None without.

    Parameters
    ----------
    team, model
        Names of the team and of the registered model.
    ledger
        The table with the deployment record; profiles of the traffic are written to it.
    artifact_bucket
        A versioned bucket; the model's files lie below its prefix `experiments/`.
    encryption_key
        Encrypts ledger, bucket and the logs. A key of the same stack is told to serve CloudWatch Logs; the policy of
        any other must allow it.
    notice_topic
        Gets an alarm when the API keeps answering 5xx (0.10 USD a month). A topic of the same stack, and its key, are told
        to let it publish; those of another stack must. Absent: there is no alarm.
    memory
        512 to 10,240 MiB. A promotion is refused where five times the model's files do not fit beside the runtime.
    timeout
        Of one request, 3 to 30 seconds.
    consumers
        Who asks besides those who get a grant, each with a key and limits of its own. Then all who ask for predictions send a
        key, those with a grant the team's (`grant_key`). The account must have a role for the logs of REST APIs (the target's
        `api_gateway_logs`). Absent: who has a grant signs, and that is all.
    requests_per_second, burst
        The stage answers 429 above these rates, so that one consumer cannot use up the account's concurrency.
    reserved_concurrency
        Keeps so many concurrent executions for this model, and is its ceiling. Absent: the account's pool is shared.
    app
        Serve `GET /app` too: a page with a form on which people try the model. See docs/app.md.
    shadow_concurrency
        Make a second function, with reserved concurrency, in which a version can be the shadow of the live one: it scores what that
        answered, and answers nothing. Lambda calls it asynchronously and once; what it does not get to within a minute is dropped,
        and counted. Idle it costs nothing; see docs/serving.md for the price of a request. Absent: no version can be a shadow.
    start
        What shortens a start of the function. `Provisioned`: so many are started, with the live version loaded, before anybody asks,
        for about 11 USD a month each and GiB of `memory`. `SnapStart`: they begin from a snapshot, for about 3.90 USD a month for
        each GiB, also while idle, and 0.14 USD for a thousand starts and GiB; then `memory` alone counts, since the function has
        neither an image, nor a file system, nor more than 512 MB of `/tmp`, with which Lambda makes no snapshots. With either of
        them the API calls an alias, and each deployment that changes code or settings publishes a version. Absent: neither
        (us-east-1, January 2026, estimate).
    runtime
        What versions are loaded with: a flavour of MLflow and a lock of its packages. Absent: ONNX Runtime.
    monitor
        What is watched. It decides what the server keeps of its predictions, below `predictions/<model>/` of the bucket; see
        docs/capture.md. Absent: profiles of the traffic alone.
    retain_logs
        Keep access and function logs, which last three months, when the stack is deleted. Absent: they go with it.

    Raises
    ------
    ValueError
        If a figure is outside its range; all of them at once.
    AssetError
        If the packages of `runtime` cannot be had, or are more than Lambda takes.
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
        notice_topic: sns.ITopic | None = None,
        memory: Size | None = None,
        timeout: Duration | None = None,
        requests_per_second: int = 50,
        burst: int = 100,
        reserved_concurrency: int | None = None,
        app: bool = False,
        retain_logs: bool = False,
        consumers: Sequence[Consumer] = (),
        shadow_concurrency: int | None = None,
        runtime: ModelRuntime | None = None,
        start: Provisioned | SnapStart | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        super().__init__(scope, construct_id, team=team, model=model)
        self._monitor = monitor
        memory = memory or Size.mebibytes(2048)
        timeout = timeout or Duration.seconds(29)
        _check(memory, timeout, requests_per_second, burst, reserved_concurrency, shadow_concurrency, start)
        runs_on = {"runtime": "lambda", "memory_mb": int(memory.to_mebibytes())}
        hard = [one for one in consumers if one.hard and one.quota]
        let_logs_use(encryption_key, self)
        self._ledger, self._bucket, self._key = ledger, artifact_bucket, encryption_key
        self.shadow_function: lambda_.Function | None = None
        if shadow_concurrency is not None:
            self.shadow_function = self._shadow(memory, timeout, shadow_concurrency, retain_logs, runtime)
        self.function = python_function(
            self,
            "Function",
            folder="model_server",
            team=team,
            description=f"Model server of {model}, team {team}",
            environment={
                "LEDGER_TABLE": ledger.table_name,
                "ARTIFACT_BUCKET": artifact_bucket.bucket_name,
                "MODEL": model,
                "RUNS_ON": as_json(runs_on),
                **capture_environment(monitor),
                **({"CONSUMERS": _hard_quotas(hard)} if hard else {}),
                **({"SHADOW_FUNCTION": self.shadow_function.function_name} if self.shadow_function else {}),
            },
            memory_mib=int(memory.to_mebibytes()),
            timeout=timeout,
            key=encryption_key,
            retain_logs=retain_logs,
            reserved_concurrency=reserved_concurrency,
            runtime=runtime,
            snap_start=isinstance(start, SnapStart),
        )
        if isinstance(start, SnapStart) and Stack.of(self).region in _YOUNGER_REGIONS:
            acknowledge(self.function, E2530="AWS's documentation and cfn-lint say that this region has snapshots.")
        let_server_work(
            self.function,
            model=model,
            ledger=ledger,
            bucket=artifact_bucket,
            key=encryption_key,
            region=Stack.of(self).region,
            monitor=monitor,
        )
        if self.shadow_function:
            allow(self.function, ["lambda:InvokeFunction"], [self.shadow_function.function_arn])
            offered = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"SHADOW#{model}#*"]}}
            allow(self.function, ["dynamodb:PutItem"], [ledger.table_arn], offered)
        if hard:
            counters = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"QUOTA#{model}"]}}
            allow(self.function, ["dynamodb:UpdateItem"], [ledger.table_arn], counters)
        self._called: lambda_.IFunction = self._alias(start) if start else self.function
        access_log = self._access_log(encryption_key, retain_logs)
        self.api: apigateway.HttpApi | rest.RestApi
        self.usage_plans: UsagePlans | None = None
        if consumers:
            routes = routes_of(app)
            self.api, self._door, self.usage_plans = self._rest_door(
                routes, consumers, requests_per_second, burst, access_log
            )
        else:
            self.api = self._http_api(
                self._called, app=app, requests_per_second=requests_per_second, burst=burst, access_log=access_log
            )
        self._announce(
            memory_mb=int(memory.to_mebibytes()),
            runs_on=runs_on,
            runtime=runtime,
            topic=notice_topic,
            key=encryption_key,
            errors_in=f"the log of the function {self.function.function_name}; throttled calls count too",
        )

    def _alias(self, start: Provisioned | SnapStart) -> lambda_.Alias:
        """What is called where functions start ahead: they do so of published versions alone. A version that is replaced is deleted."""
        ahead = start if isinstance(start, Provisioned) else None
        alias = lambda_.Alias(
            self,
            "Alias",
            alias_name=_ALIAS,
            version=self.function.current_version,
            provisioned_concurrent_executions=ahead.concurrency if ahead else None,
        )
        if ahead and ahead.off_hours:
            usual = ahead.concurrency
            scaling = alias.add_auto_scaling(min_capacity=usual, max_capacity=usual)
            rest_in(scaling, ahead.off_hours, meanwhile=ahead.off_hours.concurrency, least=usual, most=usual)
        return alias

    def _shadow(
        self, memory: Size, timeout: Duration, concurrency: int, retain_logs: bool, runtime: ModelRuntime | None
    ) -> lambda_.Function:
        """The same code, called otherwise. No alarm: what it does not see is counted, and nobody waits for it."""
        function = python_function(
            self,
            "Shadow",
            folder="model_server",
            handler="shadow_handler",
            team=self._team,
            description=f"Shadow of {self._model}, team {self._team}",
            environment={
                "LEDGER_TABLE": self._ledger.table_name,
                "ARTIFACT_BUCKET": self._bucket.bucket_name,
                "MODEL": self._model,
                **capture_environment(self._monitor),
            },
            memory_mib=int(memory.to_mebibytes()),
            timeout=timeout,
            key=self._key,
            retain_logs=retain_logs,
            reserved_concurrency=concurrency,
            runtime=runtime,
        )
        function.configure_async_invoke(max_event_age=_EVENT_AGE, retry_attempts=0)
        acknowledge(
            function.node.find_child("EventInvokeConfig"),
            Serverless_LambdaAsyncFailureDestination="What the shadow does not see is counted; kept events would be data of "
            "consumers that nobody reads.",
        )
        let_server_work(
            function,
            model=self._model,
            ledger=self._ledger,
            bucket=self._bucket,
            key=self._key,
            region=Stack.of(self).region,
            written=("SHADOW#{}#*", "SHADOWED#{}", "SHADOWPROFILE#{}#*"),
        )
        self._has_place_for_shadow("function")
        return function

    def _rest_door(
        self, routes: Sequence[Route], consumers: Sequence[Consumer], rate: int, burst: int, access_log: logs.ILogGroup
    ) -> tuple[rest.RestApi, Door, UsagePlans]:
        name, stage = names.rest_api(self._team, self._model), _rest_api.STAGE
        api = _rest_api.rest_api(
            self,
            "RestApi",
            name=name,
            description=f"Scoring API of {self._model}, team {self._team}",
            routes=[(path, method.value, path == PREDICTIONS) for path, method in routes],
            function=self._called,
            consumers=consumers,
            requests_per_second=rate,
            burst=burst,
            access_log=access_log,
        )
        plans = UsagePlans(
            self,
            "UsagePlans",
            team=self._team,
            model=self._model,
            api=api,
            consumers=consumers,
            requests_per_second=rate,
            burst=burst,
        )
        place = Stack.of(self)
        url = f"https://{api.rest_api_id}.execute-api.{place.region}.{place.url_suffix}/{stage}"
        return api, Door(url, api.rest_api_id, stage, {"ApiName": name, "Stage": stage}, "5XXError", "4XXError"), plans

    def grant_key(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` read the key of the team, which who has a grant sends. Without consumers there is none."""
        if self.usage_plans:
            self._grant_reading(grantee, [self._of_gateway(f"apikeys/{self.usage_plans.team.key_id}")])

    def grant_consumers(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` read all keys, to hand them out, and how much each consumer has used of its plan."""
        if self.usage_plans:
            plans = [self.usage_plans.team, *self.usage_plans.consumers.values()]
            keys = [self._of_gateway(f"apikeys/{plan.key_id}") for plan in plans]
            usage = [self._of_gateway(f"usageplans/{plan.plan_id}/usage") for plan in plans[1:]]
            self._grant_reading(grantee, keys + usage)

    def _grant_reading(self, grantee: iam.IGrantable, resources: Sequence[str]) -> None:
        assert self.usage_plans
        allow(grantee, ["apigateway:GET"], resources)
        allow(grantee, ["ssm:GetParameter"], [self.usage_plans.parameter.parameter_arn])

    def _of_gateway(self, path: str) -> str:
        stack = Stack.of(self)
        return f"arn:{stack.partition}:apigateway:{stack.region}::/{path}"

    def metric_throttled(self) -> cloudwatch.Metric:
        """Invocations a minute that Lambda refused for want of concurrency."""
        return self.function.metric_throttles(period=PERIOD, statistic="Sum")

    def metric_quota_refusals(self) -> cloudwatch.Metric:
        """Requests of consumers whose hard quota is used up; those that a usage plan refuses are among the refused alone."""
        return self._counted("QuotaRefusals")


def _hard_quotas(consumers: Sequence[Consumer]) -> str:
    """What the function reads from the variable CONSUMERS."""
    told = [[one.name, one.principal, one.quota.requests, one.quota.per] for one in consumers if one.quota]
    return json.dumps(told, separators=(",", ":"))


def _check(
    memory: Size,
    timeout: Duration,
    requests_per_second: int,
    burst: int,
    reserved: int | None,
    shadow: int | None,
    start: Provisioned | SnapStart | None,
) -> None:
    check_figures(
        ("memory (MiB)", memory.to_mebibytes(), *MEMORY_MIB),
        ("timeout (seconds)", timeout.to_seconds(), *TIMEOUT_SECONDS),
        ("requests_per_second", requests_per_second, 1, 10_000),
        ("burst", burst, 1, 5_000),
        *([("reserved_concurrency", reserved, 1, 10_000)] if reserved is not None else []),
        *([("shadow_concurrency", shadow, *SHADOW_CONCURRENCY)] if shadow is not None else []),
        *(
            [("start.concurrency", start.concurrency, 1, reserved)]
            if isinstance(start, Provisioned) and reserved is not None
            else []
        ),
    )
