"""One way to make a REST API for a model server whose consumers have keys: signed, throttled, logged without payload.

Whoever calls signs (AWS_IAM) and sends a key. The signature says who it is; the key is what usage plans go by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle.config import Consumer

STAGE = "v1"
# No header and no body: they hold personal data, and the key.
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.httpMethod $context.resourcePath",
    "status": "$context.status",
    "caller": "$context.identity.userArn",
    "keyId": "$context.identity.apiKeyId",
    "sourceIp": "$context.identity.sourceIp",
    "tlsVersion": "$context.tlsVersion",
    "responseLength": "$context.responseLength",
    "latencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integrationLatency",
    "error": "$context.error.message",
    "refusal": "$context.error.responseType",
    "integrationError": "$context.integrationErrorMessage",
}
_HOUR = "3600"  # when a period of a usage plan ends is not known here
_OWN_WORDS = "$context.error.messageString"  # in quotation marks
_KEY = (
    "This API wants a signature (SigV4) and, for predictions, a key in the header x-api-key. The model's team reads keys with "
    "labcycle models key MODEL CONSUMER."
)
_NOT_ALLOWED = (
    "You are not let in. Sign (SigV4, service execute-api) as the role that the model's team has named as a consumer; a role of "
    "another account also needs a policy of its own that allows execute-api:Invoke on this API."
)
_SLOW_DOWN = (
    "More requests came than are allowed for this consumer, or for the API, at once. Try again after Retry-After."
)
_USED_UP = "The quota of this key is used up until its day, week or month ends. For more requests ask the model's team."
# Type of the refusal: code of MLflow, what is said, seconds in Retry-After.
_REFUSALS: Mapping[str, tuple[str, str, str | None]] = {
    "THROTTLED": ("REQUEST_LIMIT_EXCEEDED", _SLOW_DOWN, "1"),
    "QUOTA_EXCEEDED": ("REQUEST_LIMIT_EXCEEDED", _USED_UP, _HOUR),
    "INVALID_API_KEY": ("PERMISSION_DENIED", _KEY, None),
    "MISSING_AUTHENTICATION_TOKEN": ("PERMISSION_DENIED", _KEY + " Paths are /invocations, /ping and /version.", None),
    "ACCESS_DENIED": ("PERMISSION_DENIED", _NOT_ALLOWED, None),
    "DEFAULT_4XX": ("BAD_REQUEST", _OWN_WORDS, None),
    "DEFAULT_5XX": ("TEMPORARILY_UNAVAILABLE", _OWN_WORDS, None),
}


def rest_api(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    description: str,
    routes: Sequence[tuple[str, str, bool]],
    function: lambda_.IFunction,
    consumers: Sequence[Consumer],
    requests_per_second: int,
    burst: int,
    access_log: logs.ILogGroup,
) -> apigateway.RestApi:
    """A regional API whose `routes` are (path, method, whether a key is wanted).

    Its policy lets the consumers' principals in, of whichever account. Roles of its own account come by their own policies.
    """
    api = apigateway.RestApi(
        scope,
        construct_id,
        rest_api_name=name,
        description=description,
        endpoint_types=[apigateway.EndpointType.REGIONAL],
        cloud_watch_role=False,  # one for the account and region: the target's
        policy=_policy(scope, consumers, routes),
        default_method_options=apigateway.MethodOptions(authorization_type=apigateway.AuthorizationType.IAM),
        deploy_options=apigateway.StageOptions(
            stage_name=STAGE,
            throttling_rate_limit=requests_per_second,
            throttling_burst_limit=burst,
            tracing_enabled=True,
            access_log_destination=apigateway.LogGroupLogDestination(access_log),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
        ),
    )
    raw = api.node.default_child
    assert isinstance(raw, apigateway.CfnRestApi)
    raw.security_policy = "TLS_1_2"
    api.node.try_remove_child("Endpoint")  # an output under a name of CDK's own
    integration = apigateway.LambdaIntegration(function, allow_test_invoke=False)
    for path, method, with_key in routes:
        made = api.root.add_resource(path.strip("/")).add_method(method, integration, api_key_required=with_key)
        acknowledge(
            made,
            AwsSolutions_COG4="Who asks is a program with credentials of AWS: it signs, and IAM says whether it may.",
        )
    for kind, (code, message, retry_after) in _REFUSALS.items():
        _refusal(api, kind, code, message, retry_after)
    acknowledge(
        api,
        AwsSolutions_APIG2="The server holds each request against the model's signature, in MLflow's own words; API Gateway would "
        "refuse NaN, which MLflow's clients send.",
    )
    acknowledge(
        api.deployment_stage,
        AwsSolutions_APIG3="Every method wants a signature of a named principal: what a firewall would keep out is refused by IAM.",
        AwsSolutions_APIG6="The access log says who asked what, and why it was refused; the log of executions would hold payloads, "
        "in a group without a key.",
    )
    return api


def _policy(
    scope: Construct, consumers: Sequence[Consumer], routes: Sequence[tuple[str, str, bool]]
) -> iam.PolicyDocument:
    partition = Stack.of(scope).partition
    principals = [
        one.principal if ":" in one.principal else f"arn:{partition}:iam::{one.principal}:root" for one in consumers
    ]
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                principals=[iam.ArnPrincipal(arn) for arn in principals],
                actions=["execute-api:Invoke"],
                # Of this API, whose id cannot stand in its own policy:
                # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-examples.html
                resources=[f"execute-api:/{STAGE}/{method}{path}" for path, method, _ in routes],
            )
        ]
    )


def _refusal(api: apigateway.RestApi, kind: str, code: str, message: str, retry_after: str | None) -> None:
    said = message if message == _OWN_WORDS else json.dumps(message)
    api.add_gateway_response(
        kind.title().replace("_", ""),
        type=apigateway.ResponseType.of(kind),
        response_headers={"Retry-After": f"'{retry_after}'"} if retry_after else None,
        templates={"application/json": f'{{"error_code":"{code}","message":{said}}}'},
    )
