"""A small CDK app that holds one of everything that the local cloud has to make true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as api
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as states
from constructs import Construct

ACCOUNT, REGION = "210987654321", "eu-central-1"
CODE = Path(__file__).parent / "functions" / "prover"
MAIL = "owner@example.com"


class Web(cdk.Stack):
    """A function behind an HTTP API with IAM authorisation, and roles that may or may not call it."""

    def __init__(self, scope: Construct, version: str) -> None:
        super().__init__(scope, "web")
        self.function = lambda_.Function(
            self,
            "Prover",
            function_name="prover",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="prover.handle",
            code=lambda_.Code.from_asset(str(CODE)),
            environment={"VERSION": version},
            timeout=cdk.Duration.seconds(5),
            log_group=logs.LogGroup(
                self, "Log", log_group_name="/proving/prover", removal_policy=cdk.RemovalPolicy.DESTROY
            ),
        )
        http = api.HttpApi(self, "Api", default_authorizer=authorizers.HttpIamAuthorizer(), create_default_stage=False)
        access = logs.LogGroup(
            self, "Access", log_group_name="/proving/access", removal_policy=cdk.RemovalPolicy.DESTROY
        )
        stage = api.HttpStage(
            self,
            "Stage",
            http_api=http,
            stage_name="$default",
            auto_deploy=True,
            throttle=api.ThrottleSettings(rate_limit=200, burst_limit=200),
        )
        line = '{"status":"$context.status","who":"$context.identity.userArn","why":"$context.error.message"}'
        default = stage.node.default_child
        assert isinstance(default, api.CfnStage)
        default.access_log_settings = api.CfnStage.AccessLogSettingsProperty(
            destination_arn=access.log_group_arn, format=line
        )
        default.route_settings = {"GET /narrow": {"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.001}}
        prover = integrations.HttpLambdaIntegration("Prover", self.function)
        http.add_routes(path="/items/{proxy+}", methods=[api.HttpMethod.ANY], integration=prover)
        hurried = api.HttpRoute(
            self,
            "Hurried",
            http_api=http,
            route_key=api.HttpRouteKey.with_("/hurried", api.HttpMethod.POST),
            integration=integrations.HttpLambdaIntegration("Hurried", self.function, timeout=cdk.Duration.millis(700)),
            authorizer=authorizers.HttpIamAuthorizer(),
        )
        hurried.node.add_dependency(self.function)
        http.add_routes(path="/narrow", methods=[api.HttpMethod.GET], integration=prover)
        named = {"StringEquals": {"sts:RoleSessionName": "ada"}}
        user = iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:user/ada").with_conditions(named)
        every = http.arn_for_execute_api("*", "/*")
        caller = iam.Role(self, "Caller", role_name="proving-caller", assumed_by=user)
        caller.add_to_policy(iam.PolicyStatement(actions=["execute-api:Invoke"], resources=[every]))
        iam.Role(self, "Stranger", role_name="proving-stranger", assumed_by=user)
        boundary = iam.ManagedPolicy(
            self,
            "Boundary",
            managed_policy_name="proving-boundary",
            statements=[iam.PolicyStatement(actions=["s3:ListAllMyBuckets"], resources=["*"])],
        )
        bounded = iam.Role(self, "Bounded", role_name="proving-bounded", assumed_by=user, permissions_boundary=boundary)
        bounded.add_to_policy(iam.PolicyStatement(actions=["execute-api:Invoke"], resources=[every]))
        cdk.CfnOutput(self, "Url", value=http.api_endpoint)


class Data(cdk.Stack):
    """Bucket, table, key and network, with the properties that an emulator likes to drop."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "data")
        self.key = kms.Key(self, "Key", pending_window=cdk.Duration.days(7), removal_policy=cdk.RemovalPolicy.DESTROY)
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            )
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name="proving-bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            versioned=True,
            object_lock_enabled=True,
            enforce_ssl=True,
            object_lock_default_retention=s3.ObjectLockRetention.governance(cdk.Duration.days(1)),
            lifecycle_rules=[s3.LifecycleRule(prefix="old/", expiration=cdk.Duration.days(30))],
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        self.working = s3.Bucket(
            self, "Working", bucket_name="proving-working", removal_policy=cdk.RemovalPolicy.DESTROY
        )
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name="proving-table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            time_to_live_attribute="expires",
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        named = {"StringEquals": {"sts:RoleSessionName": "ada"}}
        user = iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:user/ada").with_conditions(named)
        for name in ("proving-keyless", "proving-keyed"):
            role = iam.Role(self, name, role_name=name, assumed_by=user)
            objects = iam.PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject"], resources=[self.bucket.arn_for_objects("*")]
            )
            role.add_to_policy(objects)
            items = iam.PolicyStatement(
                actions=["dynamodb:GetItem", "dynamodb:PutItem"], resources=[self.table.table_arn]
            )
            role.add_to_policy(items)
            if name == "proving-keyed":
                via = {"StringEquals": {"kms:ViaService": [f"{s}.{REGION}.amazonaws.com" for s in ("s3", "dynamodb")]}}
                role.add_to_policy(
                    iam.PolicyStatement(
                        actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[self.key.key_arn], conditions=via
                    )
                )
        dynamodb.Table(
            self,
            "Protected",
            table_name="proving-protected",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        vpc = ec2.Vpc(
            self,
            "Vpc",
            availability_zones=[f"{REGION}a", f"{REGION}b"],
            nat_gateways=1,
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        )
        vpc.add_flow_log("Flow", destination=ec2.FlowLogDestination.to_s3(self.working))
        one = ec2.SecurityGroup(self, "One", vpc=vpc, allow_all_outbound=False)
        two = ec2.SecurityGroup(self, "Two", vpc=vpc, allow_all_outbound=False)
        one.add_ingress_rule(two, ec2.Port.tcp(443))
        ec2.CfnLaunchTemplate(
            self,
            "Template",
            launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(
                image_id="{{resolve:ssm:" + ami() + "}}", instance_type="g4dn.xlarge"
            ),
        )
        cdk.CfnOutput(self, "RetainedByDesign", value="The bucket proving-bucket and the table proving-protected.")


def ami() -> str:
    return "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-al2023/latest/ami-id"


class Signals(cdk.Stack):
    """Alarms, topics, rules, schedules and a state machine, wired as AWS lets them or not."""

    def __init__(self, scope: Construct, web: Web, data: Data, threshold: float) -> None:
        super().__init__(scope, "signals")
        function = web.function
        heard = sns.Topic(self, "Heard", topic_name="proving-heard", master_key=data.key)
        heard.add_subscription(subscriptions.EmailSubscription(MAIL))
        mute_key = kms.Key(self, "MuteKey", removal_policy=cdk.RemovalPolicy.DESTROY)
        mute = sns.Topic(self, "Mute", topic_name="proving-mute", master_key=mute_key)
        mute.add_subscription(subscriptions.EmailSubscription(MAIL))
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name="proving-alarm",
            metric=cloudwatch.Metric(
                namespace="Proving",
                metric_name="drift",
                dimensions_map={"model": "one"},
                period=cdk.Duration.minutes(1),
                statistic="Maximum",
            ),
            threshold=threshold,
            evaluation_periods=2,
            datapoints_to_alarm=2,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(heard), actions.SnsAction(mute))
        machine = self._machine(function, data)
        events.Rule(
            self,
            "OnAlarm",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn],
                detail={"state": {"value": ["ALARM"]}},
            ),
            targets=[targets.SfnStateMachine(machine, input=events.RuleTargetInput.from_object({"by": "alarm"}))],
        )
        bus = events.EventBus(self, "Bus", event_bus_name="proving-bus")
        events.Rule(
            self,
            "OnBus",
            event_bus=bus,
            event_pattern=events.EventPattern(source=["proving"]),
            targets=[targets.LambdaFunction(function)],
        )
        role = iam.Role(self, "ScheduleRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        function.grant_invoke(role)
        empty = iam.Role(self, "EmptyRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        letters = sqs.Queue(self, "Letters", queue_name="proving-letters")
        letters.grant_send_messages(empty)
        for name, expression, zone, runs_as in (
            ("proving-hourly", "rate(1 hour)", "UTC", role),
            ("proving-once", "at(2100-01-01T09:00:00)", "Asia/Tokyo", role),
            ("proving-forbidden", "rate(1 hour)", "UTC", empty),
        ):
            scheduler.CfnSchedule(
                self,
                name,
                name=name,
                flexible_time_window={"mode": "OFF"},
                schedule_expression=expression,
                schedule_expression_timezone=zone,
                target={
                    "arn": function.function_arn,
                    "roleArn": runs_as.role_arn,
                    "input": json.dumps({"by": name}),
                    "deadLetterConfig": {"arn": letters.queue_arn},
                },
            )

    def _machine(self, function: lambda_.Function, data: Data) -> states.StateMachine:
        training = iam.Role(
            self,
            "TrainingRole",
            role_name="proving-training",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
        )
        data.working.grant_read_write(training)
        base = f"s3://{data.working.bucket_name}"
        job: dict[str, Any] = {
            "TrainingJobName": "{% $states.input.job %}",
            "AlgorithmSpecification": {
                "TrainingImage": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/training:1",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "/opt/ml/input/data/recipe/train.py"],
            },
            "RoleArn": training.role_arn,
            "InputDataConfig": [channel("recipe", f"{base}/recipe"), channel("training", f"{base}/data/")],
            "HyperParameters": {"fail": "{% $states.input.fail %}"},
            "OutputDataConfig": {"S3OutputPath": f"{base}/out"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        definition = {
            "QueryLanguage": "JSONata",
            "TimeoutSeconds": 60,
            "StartAt": "What",
            "States": {
                "What": {
                    "Type": "Choice",
                    "Choices": [
                        {"Condition": "{% $exists($states.input.job) %}", "Next": "Train"},
                        {"Condition": "{% $exists($states.input.forbidden) %}", "Next": "Forbidden"},
                        {"Condition": "{% $exists($states.input.wait) %}", "Next": "Wait"},
                        {"Condition": "{% $exists($states.input.token_seconds) %}", "Next": "Await"},
                    ],
                    "Default": "Fail once",
                },
                "Fail once": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Arguments": {"FunctionName": function.function_arn, "Payload": {"do": "raise"}},
                    "Catch": [{"ErrorEquals": ["Flaky"], "Next": "Caught"}],
                    "End": True,
                },
                "Caught": {"Type": "Pass", "Output": {"caught": "Flaky"}, "End": True},
                "Train": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
                    "Arguments": job,
                    "Output": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}",
                    "Catch": [
                        {
                            "ErrorEquals": ["States.TaskFailed"],
                            "Output": "{% $parse($states.errorOutput.Cause).FailureReason %}",
                            "Next": "Failed",
                        }
                    ],
                    "End": True,
                },
                "Failed": {"Type": "Pass", "End": True},
                "Forbidden": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sns:publish",
                    "Arguments": {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:proving-heard", "Message": "x"},
                    "End": True,
                },
                "Wait": {"Type": "Wait", "Seconds": 30, "End": True},
                "Await": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                    "Arguments": {
                        "FunctionName": function.function_arn,
                        "Payload": {"do": "{% $states.input.do %}", "value": "{% $states.context.Task.Token %}"},
                    },
                    "TimeoutSeconds": "{% $states.input.token_seconds %}",
                    "Catch": [
                        {"ErrorEquals": ["Flaky"], "Next": "Caught"},
                        {"ErrorEquals": ["States.Timeout"], "Output": {"caught": "time"}, "Next": "Failed"},
                    ],
                    "End": True,
                },
            },
        }
        machine = states.StateMachine(
            self,
            "Machine",
            state_machine_name="proving-machine",
            definition_body=states.DefinitionBody.from_string(json.dumps(definition)),
        )
        function.grant_invoke(machine)
        machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"],
                resources=[f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/proving-*"],
            )
        )
        return machine


def channel(name: str, uri: str) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def build(out: Path, *, version: str = "1", threshold: float = 0.5) -> Path:
    """Synthesize the app; `version` and `threshold` are what an update changes."""
    app = cdk.App(outdir=str(out), analytics_reporting=False)
    stage = cdk.Stage(app, "proving", env=cdk.Environment(account=ACCOUNT, region=REGION))
    web = Web(stage, version)
    data = Data(stage)
    Signals(stage, web, data, threshold)
    app.synth()
    return out
