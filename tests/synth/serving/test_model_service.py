"""ModelService on its own, in an app that knows nothing else of labcycle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Duration, Size, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Match, Template

from labcycle.config import (
    ConcurrencyOffHours,
    Consumer,
    Monitor,
    Performance,
    Provisioned,
    RawCapture,
    SnapStart,
    names,
)
from labcycle.serving import ModelService
from tests.synth.serving.surroundings import published_and_told

KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def service(stack: Stack, **props: Any) -> ModelService:
    if "encryption_key" not in props:
        props["encryption_key"] = kms.Key(stack, "Key")
    return ModelService(
        stack,
        "Service",
        team="fraud",
        model="card-fraud",
        ledger=dynamodb.Table.from_table_arn(
            stack, "Ledger", "arn:aws:dynamodb:eu-west-1:123456789012:table/labcycle-fraud-ledger"
        ),
        artifact_bucket=s3.Bucket.from_bucket_name(stack, "Artifacts", "artifacts"),
        **props,
    )


@pytest.fixture(scope="module")
def template() -> Template:
    stack = Stack(App(), "Stack")
    made = service(stack, memory=Size.mebibytes(1024), timeout=Duration.seconds(20), requests_per_second=7, burst=9)
    consumer = iam.Role(stack, "Consumer", assumed_by=iam.AccountRootPrincipal())
    made.grant_invoke(consumer)
    return Template.from_stack(stack)


def statements(template: Template, action: str) -> list[dict[str, Any]]:
    """Every statement of a policy that names this action."""
    found = []
    for policy in template.find_resources("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            if action in ([actions] if isinstance(actions, str) else actions):
                found.append(statement)
    return found


def test_an_api_that_keeps_failing_is_told_where_there_is_a_topic(template: Template) -> None:
    template.resource_count_is("AWS::CloudWatch::Alarm", 0)
    stack = Stack(App(), "Stack")
    key = kms.Key(stack, "Key")
    service(stack, encryption_key=key, notice_topic=sns.Topic(stack, "Topic", master_key=key))
    told = Template.from_stack(stack)
    [(alarm_id, alarm)] = told.find_resources("AWS::CloudWatch::Alarm").items()
    [api] = told.find_resources("AWS::ApiGatewayV2::Api")
    properties = alarm["Properties"]
    assert properties["Dimensions"] == [{"Name": "ApiId", "Value": {"Ref": api}}]
    assert (properties["Namespace"], properties["MetricName"]) == ("AWS/ApiGateway", "5xx")
    assert (properties["Statistic"], properties["Threshold"], properties["Period"]) == ("Average", 0.05, 300)
    assert (properties["DatapointsToAlarm"], properties["EvaluationPeriods"]) == (2, 3)
    assert properties["TreatMissingData"] == "notBreaching"
    assert "labcycle models rollback card-fraud" in json.dumps(properties["AlarmDescription"])
    publishing = {
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [alarm_id, "Arn"]}}},
    }
    told.has_resource_properties(
        "AWS::SNS::TopicPolicy", {"PolicyDocument": {"Statement": Match.array_with([Match.object_like(publishing)])}}
    )


def test_the_function(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Runtime": "python3.13",
            "Architectures": ["x86_64"],
            "Handler": "labcycle_lambdas.model_server.handler.handle",
            "MemorySize": 1024,
            "Timeout": 20,
            "TracingConfig": {"Mode": "Active"},
            "LoggingConfig": {"LogGroup": Match.any_value()},
            "ReservedConcurrentExecutions": Match.absent(),
            "Environment": {
                "Variables": {
                    "LEDGER_TABLE": "labcycle-fraud-ledger",
                    "ARTIFACT_BUCKET": "artifacts",
                    "TEAM": "fraud",
                    "MODEL": "card-fraud",
                }
            },
        },
    )


def test_every_route_wants_a_signature_and_there_are_no_others(template: Template) -> None:
    routes = [route["Properties"] for route in template.find_resources("AWS::ApiGatewayV2::Route").values()]
    served = {"POST /invocations", "GET /ping", "GET /version", "GET /openapi.json"}
    assert {route["RouteKey"] for route in routes} == served
    assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}


def test_the_page_is_served_where_it_is_asked_for_and_wants_a_signature_too() -> None:
    stack = Stack(App(), "Stack")
    service(stack, app=True)
    Template.from_stack(stack).has_resource_properties(
        "AWS::ApiGatewayV2::Route", {"RouteKey": "GET /app", "AuthorizationType": "AWS_IAM"}
    )


def test_the_address_is_published_for_members(template: Template) -> None:
    (api,) = template.find_resources("AWS::ApiGatewayV2::Api")
    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {"Name": "/labcycle/team/fraud/model/card-fraud/url", "Value": {"Fn::GetAtt": [api, "ApiEndpoint"]}},
    )


def test_the_stage_throttles_and_logs_no_payload(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ApiGatewayV2::Stage",
        {
            "StageName": "$default",
            "DefaultRouteSettings": {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 9},
        },
    )
    (stage,) = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    format_ = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.status" in json.loads(format_).values()
    assert "body" not in format_.lower()
    template.has_resource_properties(
        "AWS::Logs::LogGroup", {"LogGroupName": "/aws/vendedlogs/labcycle/fraud/model-card-fraud"}
    )


def test_all_logs_are_encrypted_with_the_key_and_do_not_last_for_ever(template: Template) -> None:
    groups = [group["Properties"] for group in template.find_resources("AWS::Logs::LogGroup").values()]
    assert len(groups) == 2
    assert all("KmsKeyId" in group and group["RetentionInDays"] == 90 for group in groups)


def test_the_key_of_the_same_stack_serves_the_logs_of_the_account_alone(template: Template) -> None:
    (key,) = template.find_resources("AWS::KMS::Key").values()
    principals = json.dumps([s["Principal"] for s in key["Properties"]["KeyPolicy"]["Statement"]])
    assert '"logs."' in principals
    (statement,) = [s for s in key["Properties"]["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    assert "kms:EncryptionContext:aws:logs:arn" in statement["Condition"]["ArnLike"]


def test_the_policy_of_a_key_from_elsewhere_is_left_alone() -> None:
    stack = Stack(App(), "Stack")
    service(stack, encryption_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN))
    Template.from_stack(stack).resource_count_is("AWS::KMS::Key", 0)


def test_the_server_reads_one_record_writes_its_profiles_and_fetches_artifacts(template: Template) -> None:
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/labcycle-fraud-ledger"
    (read,) = statements(template, "dynamodb:GetItem")
    assert read["Resource"] == table
    assert read["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["DEPLOYMENT#card-fraud"]}}
    (write,) = statements(template, "dynamodb:PutItem")
    assert write["Resource"] == table
    written = ["PROFILE#card-fraud#*", "TRAFFIC#card-fraud#*", "USAGE#card-fraud"]
    assert write["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": written}}
    (fetch,) = statements(template, "s3:GetObjectVersion")
    assert fetch["Action"] == "s3:GetObjectVersion"
    assert json.dumps(fetch["Resource"]).endswith('/experiments/*"]]}') or "artifacts/experiments/*" in json.dumps(
        fetch["Resource"]
    )
    (key,) = statements(template, "kms:Decrypt")
    services = json.dumps(key["Condition"]["StringEquals"]["kms:ViaService"])
    assert "dynamodb." in services
    assert "s3." in services


def test_no_action_is_a_wildcard_and_only_tracing_has_no_resource(template: Template) -> None:
    for policy in template.find_resources("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any("*" in action for action in actions)
            if statement["Resource"] == "*":
                assert all(action.startswith("xray:Put") for action in actions)


def test_a_consumer_may_call_this_api_by_one_resource(template: Template) -> None:
    """Members have such a policy for each model, and a role holds few characters of them."""
    (statement,) = statements(template, "execute-api:Invoke")
    assert isinstance(statement["Resource"], dict)  # one, not a list
    text = json.dumps(statement["Resource"])
    (api,) = template.find_resources("AWS::ApiGatewayV2::Api")
    assert json.dumps({"Ref": api}) in text
    assert text.endswith('"/$default/*"]]}')


def test_the_memory_is_published_for_the_preflight(template: Template) -> None:
    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {"Name": names.model_server_memory_parameter("fraud", "card-fraud"), "Value": "1024", "Type": "String"},
    )


def test_the_function_knows_its_size_as_advice_does(template: Template) -> None:
    parameter, variable = published_and_told(template, "AWS::Lambda::Function")
    assert variable == parameter == {"runtime": "lambda", "memory_mb": 1024}


def test_logs_can_be_retained_and_concurrency_reserved() -> None:
    stack = Stack(App(), "Stack")
    service(stack, retain_logs=True, reserved_concurrency=5)
    template = Template.from_stack(stack)
    template.has_resource_properties("AWS::Lambda::Function", {"ReservedConcurrentExecutions": 5})
    template.all_resources("AWS::Logs::LogGroup", {"DeletionPolicy": "RetainExceptOnCreate"})


def test_all_figures_out_of_range_are_told_at_once() -> None:
    stack = Stack(App(), "Stack")
    with pytest.raises(ValueError, match=r"memory .*got 128; allowed 512 to 10240.*timeout .*got 31.*burst: got 0"):
        service(stack, memory=Size.mebibytes(128), timeout=Duration.seconds(31), burst=0)


def test_metrics_are_those_of_the_api_and_the_function() -> None:
    stack = Stack(App(), "Stack")
    made = service(stack)
    assert [m.metric_name for m in (made.metric_errors(), made.metric_latency(), made.metric_requests())] == [
        "5xx",
        "Latency",
        "Count",
    ]
    assert made.metric_latency().statistic == "p99"
    assert made.metric_refused_versions().dimensions == {"Team": "fraud", "Model": "card-fraud"}


@pytest.fixture(scope="module")
def with_shadow() -> Template:
    stack = Stack(App(), "Stack")
    service(stack, memory=Size.mebibytes(1024), timeout=Duration.seconds(20), shadow_concurrency=3)
    return Template.from_stack(stack)


def of_role(template: Template, function: dict[str, Any]) -> list[dict[str, Any]]:
    """Statements of the role of a function."""
    role = function["Properties"]["Role"]["Fn::GetAtt"][0]
    policies = template.find_resources("AWS::IAM::Policy").values()
    return [
        statement
        for policy in policies
        if {"Ref": role} in policy["Properties"]["Roles"]
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def functions(template: Template) -> dict[str, tuple[str, dict[str, Any]]]:
    """Logical id and resource, by the module of the handler."""
    found = template.find_resources("AWS::Lambda::Function").items()
    return {one["Properties"]["Handler"].split(".")[-2]: (logical_id, dict(one)) for logical_id, one in found}


def test_without_a_shadow_there_is_no_place_for_one(template: Template) -> None:
    assert set(functions(template)) == {"handler"}
    assert "shadow" not in json.dumps(template.to_json()).lower()


def test_the_shadow_is_the_same_code_with_a_limit_of_its_own_and_no_second_try(with_shadow: Template) -> None:
    logical_id, shadow = functions(with_shadow)["shadow_handler"]
    _, live = functions(with_shadow)["handler"]
    ours, theirs = shadow["Properties"], live["Properties"]
    assert ours["Code"] == theirs["Code"]
    assert (ours["ReservedConcurrentExecutions"], "ReservedConcurrentExecutions" in theirs) == (3, False)
    assert (ours["MemorySize"], ours["Timeout"]) == (1024, 20)
    assert theirs["Environment"]["Variables"]["SHADOW_FUNCTION"] == {"Ref": logical_id}
    assert "SHADOW_FUNCTION" not in ours["Environment"]["Variables"], "it has no shadow of its own"
    (calls,) = with_shadow.find_resources("AWS::Lambda::EventInvokeConfig").values()
    assert calls["Properties"] == {
        "FunctionName": {"Ref": logical_id},
        "Qualifier": "$LATEST",
        "MaximumEventAgeInSeconds": 60,
        "MaximumRetryAttempts": 0,
    }
    with_shadow.resource_count_is("AWS::CloudWatch::Alarm", 0)
    with_shadow.has_resource_properties(
        "AWS::SSM::Parameter", {"Name": "/labcycle/team/fraud/model/card-fraud/shadow", "Value": "function"}
    )


def test_live_version_and_shadow_may_do_what_they_do_and_no_more(with_shadow: Template) -> None:
    logical_id, shadow = functions(with_shadow)["shadow_handler"]
    _, live = functions(with_shadow)["handler"]

    def keys(function: dict[str, Any], action: str) -> list[Any]:
        conditions = [one["Condition"] for one in of_role(with_shadow, function) if one["Action"] == action]
        return sorted(
            key for one in conditions for test in one.values() for key in as_keys(test["dynamodb:LeadingKeys"])
        )

    def as_keys(value: Any) -> list[str]:
        return value if isinstance(value, list) else [value]

    assert keys(live, "dynamodb:PutItem") == [
        "PROFILE#card-fraud#*",
        "SHADOW#card-fraud#*",
        "TRAFFIC#card-fraud#*",
        "USAGE#card-fraud",
    ]
    assert keys(shadow, "dynamodb:PutItem") == [
        "SHADOW#card-fraud#*",
        "SHADOWED#card-fraud",
        "SHADOWPROFILE#card-fraud#*",
    ]
    assert keys(shadow, "dynamodb:GetItem") == ["DEPLOYMENT#card-fraud"]
    (invoke,) = statements(with_shadow, "lambda:InvokeFunction")
    assert invoke["Resource"] == {"Fn::GetAtt": [logical_id, "Arn"]}
    assert invoke in of_role(with_shadow, live)


@pytest.mark.parametrize("concurrency", [0, 101])
def test_a_shadow_has_a_sensible_limit(concurrency: int) -> None:
    with pytest.raises(ValueError, match=rf"shadow_concurrency: got {concurrency}; allowed 1 to 100."):
        service(Stack(App(), "Stack"), shadow_concurrency=concurrency)


OFF_HOURS: dict[str, Any] = {
    "begin": "cron(0 20 ? * MON-FRI *)",
    "end": "cron(0 7 ? * MON-FRI *)",
    "time_zone": "Europe/Berlin",
}
AHEAD = Provisioned(mode="provisioned", concurrency=3, off_hours=ConcurrencyOffHours(**OFF_HOURS, concurrency=0))
SNAPSHOT = SnapStart(mode="snap_start")


def started(start: Provisioned | SnapStart, **props: Any) -> Template:
    stack = Stack(App(), "Stack")
    service(stack, start=start, **props)
    return Template.from_stack(stack)


@pytest.fixture(scope="module")
def ahead() -> Template:
    return started(AHEAD)


@pytest.fixture(scope="module")
def from_snapshot() -> Template:
    return started(SNAPSHOT)


def only(template: Template, kind: str) -> tuple[str, dict[str, Any]]:
    [(logical_id, resource)] = template.find_resources(kind).items()
    return logical_id, dict(resource["Properties"])


def test_by_default_nothing_is_started_ahead_and_no_version_is_published(template: Template) -> None:
    for kind in ("Alias", "Version"):
        template.resource_count_is(f"AWS::Lambda::{kind}", 0)
    assert "SnapStart" not in functions(template)["handler"][1]["Properties"]


@pytest.mark.parametrize("fixture", ["ahead", "from_snapshot"])
def test_who_calls_calls_the_alias_of_the_version_that_was_deployed(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    made: Template = request.getfixturevalue(fixture)
    alias_id, alias = only(made, "AWS::Lambda::Alias")
    version_id, version = only(made, "AWS::Lambda::Version")
    function_id, _ = functions(made)["handler"]
    assert version["FunctionName"] == alias["FunctionName"] == {"Ref": function_id}
    assert alias["FunctionVersion"] == {"Fn::GetAtt": [version_id, "Version"]}
    _, integration = only(made, "AWS::ApiGatewayV2::Integration")
    assert integration["IntegrationUri"] == {"Ref": alias_id}
    permissions = [one["Properties"] for one in made.find_resources("AWS::Lambda::Permission").values()]
    assert len(permissions) == 4
    assert all(one["FunctionName"] == {"Ref": alias_id} for one in permissions)


def test_a_version_is_published_when_its_role_has_its_rights_and_goes_when_it_is_replaced(
    from_snapshot: Template,
) -> None:
    """A start ahead reads the record and loads: before the rights were there it would find nothing."""
    _, function = functions(from_snapshot)["handler"]
    [version] = from_snapshot.find_resources("AWS::Lambda::Version").values()
    assert "DeletionPolicy" not in version, "it is deleted when it is not in the template any more"
    role = function["Properties"]["Role"]["Fn::GetAtt"][0]
    policies = from_snapshot.find_resources("AWS::IAM::Policy")
    [policy] = [one for one, found in policies.items() if {"Ref": role} in found["Properties"]["Roles"]]
    assert policy in function["DependsOn"]


@pytest.mark.parametrize("change", [{"memory": Size.mebibytes(1024)}, {"consumers": ()}, {"shadow_concurrency": 2}])
def test_another_version_is_published_when_code_or_settings_change(
    from_snapshot: Template, change: dict[str, Any]
) -> None:
    changed = started(SNAPSHOT, **change)
    same = only(changed, "AWS::Lambda::Version")[0] == only(from_snapshot, "AWS::Lambda::Version")[0]
    assert same == (change == {"consumers": ()})


def test_a_limit_of_the_function_as_a_whole_publishes_nothing(from_snapshot: Template) -> None:
    """Lambda has no second version of the same code and settings, so that the deployment would fail."""
    limited = started(SNAPSHOT, reserved_concurrency=5)
    assert only(limited, "AWS::Lambda::Version")[0] == only(from_snapshot, "AWS::Lambda::Version")[0]


def test_functions_are_started_ahead_and_rest_in_off_hours(ahead: Template) -> None:
    alias_id, alias = only(ahead, "AWS::Lambda::Alias")
    assert alias["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": 3}
    _, target = only(ahead, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 3)
    assert target["ScalableDimension"] == "lambda:function:ProvisionedConcurrency"
    assert json.dumps(target["ResourceId"]) == json.dumps(
        {"Fn::Join": ["", ["function:", {"Fn::Select": [6, {"Fn::Split": [":", {"Ref": alias_id}]}]}, ":current"]]}
    )
    assert [(one["Schedule"], one["Timezone"], one["ScalableTargetAction"]) for one in target["ScheduledActions"]] == [
        (OFF_HOURS["begin"], "Europe/Berlin", {"MinCapacity": 0, "MaxCapacity": 0}),
        (OFF_HOURS["end"], "Europe/Berlin", {"MinCapacity": 3, "MaxCapacity": 3}),
    ]
    assert "SnapStart" not in functions(ahead)["handler"][1]["Properties"]


def test_without_off_hours_nothing_scales() -> None:
    made = started(Provisioned(mode="provisioned", concurrency=1))
    made.resource_count_is("AWS::ApplicationAutoScaling::ScalableTarget", 0)


def test_a_snapshot_is_made_of_each_version_and_nothing_is_provisioned(from_snapshot: Template) -> None:
    function = functions(from_snapshot)["handler"][1]["Properties"]
    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert "EphemeralStorage" not in function and "FileSystemConfigs" not in function and "PackageType" not in function
    assert "ProvisionedConcurrencyConfig" not in only(from_snapshot, "AWS::Lambda::Alias")[1]


def test_the_shadow_starts_as_ever() -> None:
    made = started(SNAPSHOT, shadow_concurrency=2)
    _, shadow = functions(made)["shadow_handler"]
    assert "SnapStart" not in shadow["Properties"]
    made.resource_count_is("AWS::Lambda::Version", 1)


def test_a_rest_api_calls_the_alias_too() -> None:
    shop = Consumer(name="shop", principal="210987654321")
    made = started(SNAPSHOT, consumers=[shop])
    alias_id, _ = only(made, "AWS::Lambda::Alias")
    methods = made.find_resources("AWS::ApiGateway::Method").values()
    assert {
        json.dumps({"Ref": alias_id}) in json.dumps(one["Properties"]["Integration"]["Uri"]) for one in methods
    } == {True}
    permissions = made.find_resources("AWS::Lambda::Permission").values()
    assert all(one["Properties"]["FunctionName"] == {"Ref": alias_id} for one in permissions)


def test_no_more_is_started_ahead_than_is_reserved() -> None:
    with pytest.raises(ValueError, match=r"start.concurrency: got 3; allowed 1 to 2."):
        started(AHEAD, reserved_concurrency=2)


def told_to_keep(monitor: Monitor | None) -> tuple[Any, list[dict[str, Any]]]:
    """What the function is told, and what it may put into the bucket."""
    stack = Stack(App(), "Stack")
    service(stack, monitor=monitor)
    template = Template.from_stack(stack)
    (function,) = template.find_resources("AWS::Lambda::Function").values()
    told = function["Properties"]["Environment"]["Variables"].get("CAPTURE")
    return json.loads(told) if told else None, statements(template, "s3:PutObject")


def test_predictions_are_kept_where_the_monitor_asks_for_it() -> None:
    assert told_to_keep(None) == told_to_keep(Monitor()) == (None, [])
    assert told_to_keep(Monitor(cohorts=("country",))) == ({"log": False, "cohorts": ["country"]}, [])
    capture = RawCapture(percent=2.5, redact=("iban",))
    told, may = told_to_keep(Monitor(cohorts=("country",), capture=capture))
    assert told == {"log": True, "cohorts": ["country"], "sample_percent": 2.5, "redact": ["iban"]}
    (put,) = may
    assert json.dumps(put["Resource"]).count("predictions/card-fraud/*") == 1 and put["Action"] == "s3:PutObject"
    told, _ = told_to_keep(Monitor(performance=Performance(metric="log_loss", limit=0.3)))
    assert told == {"log": True, "cohorts": [], "chances": True}


def test_requests_behind_the_api_are_measured() -> None:
    stack = Stack(App(), "Stack")
    metric = service(stack).metric_integrated_requests()
    assert (metric.namespace, metric.metric_name, metric.statistic) == (
        "AWS/ApiGateway",
        "IntegrationLatency",
        "SampleCount",
    )
    assert set(metric.dimensions or {}) == {"ApiId"}
    consumer = Consumer(name="partner", principal="210987654321")
    by_rest = service(Stack(App(), "Stack"), consumers=[consumer]).metric_integrated_requests()
    assert set(by_rest.dimensions or {}) == {"ApiName", "Stage"}
