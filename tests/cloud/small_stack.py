"""A small stack with one of each thing that the harness makes run, to test the harness itself."""

from __future__ import annotations

import textwrap
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as states

COUNTER = textwrap.dedent('''
    """Counts in a table; a dependency of its own is loaded late, as a cold start would."""
    import json, os
    import boto3

    calls = 0

    def handle(event, context):
        global calls
        calls += 1
        if event.get("fail"):
            raise KeyError(event["fail"])
        if event.get("import"):
            __import__(event["import"], globals())
        from parts import naming
        table = boto3.client("dynamodb")
        key = {"pk": {"S": naming.name(event.get("name", "n"))}}
        answer = table.update_item(TableName=os.environ["TABLE"], Key=key, UpdateExpression="ADD n :one",
                                   ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW")
        n = int(answer["Attributes"]["n"]["N"])
        if event.get("version") == "2.0":
            seen = {k: event[k] for k in ("routeKey", "rawPath", "rawQueryString", "isBase64Encoded")}
            seen["body"] = event.get("body")
            seen["arn"] = event["requestContext"].get("authorizer", {}).get("iam", {}).get("userArn")
            return {"statusCode": 201, "headers": {"X-Count": str(n)}, "body": json.dumps(seen)}
        return {"n": n, "calls": calls, "said": 'quote " and\\nline'}
''')


class TrainingStack(cdk.Stack):
    """A state machine that waits for a training job, and says how it went."""

    def __init__(self, scope: cdk.App) -> None:
        super().__init__(scope, "training", stack_name="training")
        key = kms.Key(self, "Key")
        bucket = s3.Bucket(self, "Bucket", encryption_key=key)
        trainer = iam.Role(self, "Trainer", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        bucket.grant_read_write(trainer)
        log = f"arn:aws:logs:{self.region}:{self.account}:log-group:/aws/sagemaker/TrainingJobs"
        image = f"arn:aws:ecr:{self.region}:123456789012:repository/training"
        layers = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        writing = [
            f"logs:{verb}" for verb in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents")
        ]
        for actions_, resources in (
            (["cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"], ["*"]),
            (layers, [image]),
            (writing, [log, f"{log}:log-stream:*"]),
        ):
            trainer.add_to_policy(iam.PolicyStatement(actions=actions_, resources=resources))
        base = f"s3://{bucket.bucket_name}"
        channels = [
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{base}/{name}/"}},
            }
            for name in ("recipe", "training")
        ]
        job = {
            "TrainingJobName": "{% $states.input.name %}",
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/training:1",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "/opt/ml/input/data/recipe/train.py"],
            },
            "RoleArn": trainer.role_arn,
            "HyperParameters": "{% $states.input.parameters %}",
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": f"{base}/jobs/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "Train",
            "States": {
                "Train": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
                    "Arguments": job,
                    "Output": {"told": "{% $states.result.TrainingJobStatus %}"},
                    "Catch": [
                        {
                            "ErrorEquals": ["States.TaskFailed"],
                            "Output": {"told": "{% $parse($states.errorOutput.Cause).FailureReason %}"},
                            "Next": "Told",
                        }
                    ],
                    "End": True,
                },
                "Told": {"Type": "Succeed"},
            },
        }
        machine = states.StateMachine(
            self, "Machine", definition_body=states.DefinitionBody.from_string(self.to_json_string(definition))
        )
        machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["sagemaker:ListTags"]
                + [f"sagemaker:{verb}TrainingJob" for verb in ("Create", "Describe", "Stop")],
                resources=[f"arn:aws:sagemaker:{self.region}:{self.account}:training-job/*"],
            )
        )
        rule = f"arn:aws:events:{self.region}:{self.account}:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
        actions_on_rule = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        machine.add_to_role_policy(iam.PolicyStatement(actions=actions_on_rule, resources=[rule]))
        trainer.grant_pass_role(machine.role)
        cdk.CfnOutput(self, "BucketName", value=bucket.bucket_name)
        cdk.CfnOutput(self, "MachineArn", value=machine.state_machine_arn)


class SmallStack(cdk.Stack):
    """`code` is an empty folder in which the function's code is written."""

    def __init__(self, scope: cdk.App, code: Path) -> None:
        super().__init__(scope, "small", stack_name="small")
        (code / "parts").mkdir()
        (code / "parts" / "__init__.py").write_text("")
        (code / "parts" / "naming.py").write_text("def name(given):\n    return 'count-' + given\n")
        (code / "counter.py").write_text(COUNTER)
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        )
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="counter.handle",
            code=lambda_.Code.from_asset(str(code)),
            environment={"TABLE": table.table_name},
        )
        table.grant_read_write_data(function)
        self._api(function)
        machine = self._machine(function)
        function.grant_invoke(machine)
        topic = sns.Topic(self, "Topic", topic_name="small-notices")
        alarm = self._alarm(topic)
        rule = events.Rule(
            self,
            "Rule",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn],
                detail={"state": {"value": ["ALARM"]}},
            ),
        )
        rule.add_target(targets.SfnStateMachine(machine))
        scheduler.Schedule(
            self,
            "Schedule",
            schedule_name="small-hourly",
            schedule=scheduler.ScheduleExpression.rate(cdk.Duration.hours(1)),
            target=scheduler_targets.LambdaInvoke(
                function, input=scheduler.ScheduleTargetInput.from_object({"name": "scheduled"})
            ),
        )
        cdk.CfnOutput(self, "FunctionName", value=function.function_name)
        cdk.CfnOutput(self, "TableName", value=table.table_name)
        cdk.CfnOutput(self, "TopicArn", value=topic.topic_arn)
        cdk.CfnOutput(self, "MachineArn", value=machine.state_machine_arn)
        cdk.CfnOutput(self, "AlarmName", value=alarm.alarm_name)

    def _api(self, function: lambda_.Function) -> None:
        api = gateway.HttpApi(self, "Api")
        integration = integrations.HttpLambdaIntegration("Integration", function)
        for path, methods in (("/{proxy+}", gateway.HttpMethod.ANY), ("/things/{id}", gateway.HttpMethod.POST)):
            api.add_routes(
                path=path, methods=[methods], integration=integration, authorizer=authorizers.HttpIamAuthorizer()
            )
        for name, path in (("small-all", "*"), ("small-things", "POST/things/*")):
            role = iam.Role(self, name, role_name=name, assumed_by=iam.AccountRootPrincipal())
            arn = f"arn:aws:execute-api:{self.region}:{self.account}:{api.api_id}/$default/{path}"
            role.add_to_policy(iam.PolicyStatement(actions=["execute-api:Invoke"], resources=[arn]))
        cdk.CfnOutput(self, "Url", value=api.api_endpoint)

    def _machine(self, function: lambda_.Function) -> states.StateMachine:
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "Count",
            "States": {
                "Count": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Arguments": {
                        "FunctionName": function.function_arn,
                        "Payload": {"name": "{% $states.input.detail.alarmName %}"},
                    },
                    "Assign": {
                        "counted": "{% $states.result.Payload.n %}",
                        "said": "{% $states.result.Payload.said %}",
                    },
                    "Retry": [
                        {
                            "ErrorEquals": ["ThrottlingException"],
                            "IntervalSeconds": 60,
                            "MaxAttempts": 2,
                            "BackoffRate": 2.0,
                        }
                    ],
                    "Next": "Wait",
                },
                "Wait": {"Type": "Wait", "Seconds": 3600, "Next": "Done"},
                "Done": {"Type": "Succeed", "Output": {"counted": "{% $counted %}", "said": "{% $said %}"}},
            },
        }
        machine = states.StateMachine(
            self, "Machine", definition_body=states.DefinitionBody.from_string(self.to_json_string(definition))
        )
        return machine

    def _alarm(self, topic: sns.Topic) -> cloudwatch.Alarm:
        metric = cloudwatch.Metric(
            namespace="small",
            metric_name="shift",
            dimensions_map={"model": "a"},
            period=cdk.Duration.minutes(5),
            statistic="Maximum",
        )
        alarm = metric.create_alarm(
            self,
            "Alarm",
            threshold=0.2,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"ArnEquals": {"aws:SourceArn": alarm.alarm_arn}},
            )
        )
        return alarm
