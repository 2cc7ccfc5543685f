"""One way to make an HTTP API: every route authorised, by IAM unless told otherwise, throttled, logged without payload."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

STAGE = "$default"
# No header and no body: they hold personal data.
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "caller": "$context.identity.userArn",
    "issuer": "$context.authorizer.claims.iss",
    "subject": "$context.authorizer.claims.sub",
    "sourceIp": "$context.identity.sourceIp",
    "responseLength": "$context.responseLength",
    "latencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integrationLatency",
    "error": "$context.error.message",
    "integrationError": "$context.integrationErrorMessage",
}


def http_api(
    scope: Construct,
    construct_id: str,
    *,
    description: str,
    routes: Sequence[tuple[str, apigateway.HttpMethod, lambda_.IFunction | apigateway.HttpRouteIntegration]],
    requests_per_second: int,
    burst: int,
    access_log: logs.ILogGroup,
    authorizer: apigateway.IHttpRouteAuthorizer | None = None,
) -> apigateway.HttpApi:
    """An API whose `routes` are (path, method, function or other integration). Above the rates its stage answers 429."""
    api = apigateway.HttpApi(
        scope,
        construct_id,
        description=description,
        create_default_stage=False,
        default_authorizer=authorizer or HttpIamAuthorizer(),
    )
    integrations: dict[lambda_.IFunction, HttpLambdaIntegration] = {}
    for path, method, behind in routes:
        integration: apigateway.HttpRouteIntegration
        if isinstance(behind, apigateway.HttpRouteIntegration):
            integration = behind
        else:
            integration = integrations.setdefault(behind, HttpLambdaIntegration(f"{behind.node.id}Integration", behind))
        api.add_routes(path=path, methods=[method], integration=integration)
    stage = apigateway.HttpStage(
        scope,
        f"{construct_id}Stage",
        http_api=api,
        stage_name=STAGE,
        auto_deploy=True,
        throttle=apigateway.ThrottleSettings(rate_limit=requests_per_second, burst_limit=burst),
    )
    resource = stage.node.default_child
    assert isinstance(resource, apigateway.CfnStage)
    resource.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
        destination_arn=access_log.log_group_arn, format=json.dumps(_ACCESS_LOG)
    )
    return api


def metric_errors(api: apigateway.IHttpApi) -> cloudwatch.Metric:
    """Answers with a 5xx status a minute."""
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name="5xx",
        dimensions_map={"ApiId": api.api_id},
        period=Duration.minutes(1),
        statistic="Sum",
    )
