from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.delivery import WAYS, deliveries
from labcycle.check.delivery.ways import ROLE
from labcycle.check.estate import Estate
from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack, stack_of

RULE = "delivery-reaches-its-target"
ARN_OF_ALARMS = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
FOREIGN = "arn:aws:sns:eu-west-1:999999999999:theirs"


def get(logical_id: str, attribute: str = "Arn") -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, attribute]}


def allow(principal: str, *actions: str, on: Any = "*", **condition: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": list(actions), "Resource": on}
    return found | ({"Condition": condition} if condition else {})


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def topic_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return resource("AWS::SNS::TopicPolicy", Topics=[{"Ref": "Topic"}], PolicyDocument=policy(*statements))


def queue_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return resource("AWS::SQS::QueuePolicy", Queues=[{"Ref": "Queue"}], PolicyDocument=policy(*statements))


def key(*statements: dict[str, Any]) -> dict[str, Any]:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    return resource("AWS::KMS::Key", KeyPolicy=policy(root, *statements))


def role(service: str, *statements: dict[str, Any]) -> dict[str, Any]:
    return resource(
        "AWS::IAM::Role",
        AssumeRolePolicyDocument=policy(allow(service, "sts:AssumeRole")),
        Policies=[{"PolicyName": "own", "PolicyDocument": policy(*statements)}] if statements else [],
    )


def may(*actions: str, on: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def permission(principal: str, source: Any) -> dict[str, Any]:
    return resource(
        "AWS::Lambda::Permission",
        FunctionName={"Ref": "Function"},
        Action="lambda:InvokeFunction",
        Principal=principal,
        SourceArn=source,
    )


FUNCTION = resource("AWS::Lambda::Function", Role=get("Role"))
ALARM = resource("AWS::CloudWatch::Alarm", AlarmActions=[{"Ref": "Topic"}])
TOPIC = resource("AWS::SNS::Topic")
ENCRYPTED = resource("AWS::SNS::Topic", KmsMasterKeyId=get("Key"))
ENVELOPE = ("kms:Decrypt", "kms:GenerateDataKey*")
OWN = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": ARN_OF_ALARMS}}
ALARMS = allow("cloudwatch.amazonaws.com", "sns:Publish", **OWN)
ALARMS_BY_KEY = allow("cloudwatch.amazonaws.com", *ENVELOPE, **OWN)
RULES = allow("events.amazonaws.com", "sns:Publish")
RULES_BY_KEY = allow("events.amazonaws.com", *ENVELOPE)


def rule(target: Any, **more: Any) -> dict[str, Any]:
    return resource("AWS::Events::Rule", EventPattern={"source": ["x"]}, Targets=[{"Id": "x", "Arn": target, **more}])


RULE_ARN = get("Rule")
# What is let in, by what the test is called.
HEARD: dict[str, dict[str, dict[str, Any]]] = {
    "alarm to a topic with SNS's own policy": {"Alarm": ALARM, "Topic": TOPIC},
    "alarm to an encrypted topic": {
        "Alarm": ALARM,
        "Topic": ENCRYPTED,
        "Policy": topic_policy(ALARMS),
        "Key": key(ALARMS_BY_KEY),
    },
    "alarm to a topic encrypted by alias": {
        "Alarm": ALARM,
        "Topic": resource("AWS::SNS::Topic", KmsMasterKeyId="alias/own"),
        "Alias": resource("AWS::KMS::Alias", AliasName="alias/own", TargetKeyId={"Ref": "Key"}),
        "Policy": topic_policy(ALARMS),
        "Key": key(ALARMS_BY_KEY),
    },
    "alarm to a function": {
        "Alarm": resource("AWS::CloudWatch::Alarm", AlarmActions=[get("Function")]),
        "Function": FUNCTION,
        "Permission": permission("lambda.alarms.cloudwatch.amazonaws.com", get("Alarm")),
    },
    "rule to an encrypted topic": {
        "Rule": rule({"Ref": "Topic"}),
        "Topic": ENCRYPTED,
        "Policy": topic_policy(RULES),
        "Key": key(RULES_BY_KEY),
    },
    "rule to a function": {
        "Rule": rule(get("Function")),
        "Function": FUNCTION,
        "Permission": permission("events.amazonaws.com", RULE_ARN),
    },
    "rule to a queue": {
        "Rule": rule(get("Queue")),
        "Queue": resource("AWS::SQS::Queue"),
        "Policy": queue_policy(
            allow("events.amazonaws.com", "sqs:SendMessage", on=get("Queue"), ArnEquals={"aws:SourceArn": RULE_ARN})
        ),
    },
    "rule to a log group": {
        "Rule": rule(get("Group")),
        "Group": resource("AWS::Logs::LogGroup", LogGroupName="/aws/events/x"),
        "Policy": resource(
            "AWS::Logs::ResourcePolicy",
            PolicyName="x",
            PolicyDocument=json.dumps(
                policy(
                    allow(
                        "events.amazonaws.com",
                        "logs:CreateLogStream",
                        "logs:PutLogEvents",
                        on=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/*:*",
                    )
                )
            ),
        ),
    },
    "rule to a state machine by its role": {
        "Rule": rule({"Ref": "Machine"}, RoleArn=get("Role")),
        "Machine": resource("AWS::StepFunctions::StateMachine"),
        "Role": role("events.amazonaws.com", may("states:StartExecution", on={"Ref": "Machine"})),
    },
    "rule's dead letters": {
        "Rule": rule("arn:aws:lambda:eu-west-1:123456789012:function:x", DeadLetterConfig={"Arn": get("Queue")}),
        "Queue": resource("AWS::SQS::Queue"),
        "Policy": queue_policy(allow("events.amazonaws.com", "sqs:SendMessage", on=get("Queue"))),
    },
    "schedule to a function with dead letters in an encrypted queue": {
        "Schedule": resource(
            "AWS::Scheduler::Schedule",
            Target={"Arn": get("Function"), "RoleArn": get("Role"), "DeadLetterConfig": {"Arn": get("Queue")}},
        ),
        "Function": FUNCTION,
        "Queue": resource("AWS::SQS::Queue", KmsMasterKeyId=get("Key")),
        "Key": key(),
        "Role": role(
            "scheduler.amazonaws.com",
            may("lambda:InvokeFunction", on=get("Function")),
            may("sqs:SendMessage", on=get("Queue")),
            may("kms:Decrypt", "kms:GenerateDataKey", on=get("Key")),
        ),
    },
    "budget to a topic": {
        "Budget": resource(
            "AWS::Budgets::Budget",
            Budget={"BudgetName": "own"},
            NotificationsWithSubscribers=[
                {
                    "Subscribers": [
                        {"SubscriptionType": "SNS", "Address": {"Ref": "Topic"}},
                        {"Address": "a@example.com"},
                    ]
                }
            ],
        ),
        "Topic": TOPIC,
        "Policy": topic_policy(
            allow("budgets.amazonaws.com", "SNS:Publish", StringEquals={"aws:SourceAccount": ACCOUNT})
        ),
    },
    "bucket to a queue": {
        "Bucket": resource(
            "AWS::S3::Bucket",
            BucketName="own",
            NotificationConfiguration={"QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": get("Queue")}]},
        ),
        "Queue": resource("AWS::SQS::Queue"),
        "Policy": queue_policy(
            allow("s3.amazonaws.com", "sqs:SendMessage", on=get("Queue"), ArnLike={"aws:SourceArn": "arn:aws:s3:::own"})
        ),
    },
    "topic to an encrypted queue": {
        "Subscription": resource(
            "AWS::SNS::Subscription", Protocol="sqs", TopicArn={"Ref": "Topic"}, Endpoint=get("Queue")
        ),
        "Topic": TOPIC,
        "Queue": resource("AWS::SQS::Queue", KmsMasterKeyId=get("Key")),
        "Policy": queue_policy(
            allow(
                "sns.amazonaws.com", "sqs:SendMessage", on=get("Queue"), ArnEquals={"aws:SourceArn": {"Ref": "Topic"}}
            )
        ),
        "Key": key(allow("sns.amazonaws.com", *ENVELOPE)),
    },
    "pipe from a queue to a state machine": {
        "Pipe": resource("AWS::Pipes::Pipe", RoleArn=get("Role"), Source=get("Queue"), Target={"Ref": "Machine"}),
        "Queue": resource("AWS::SQS::Queue"),
        "Machine": resource("AWS::StepFunctions::StateMachine"),
        "Role": role(
            "pipes.amazonaws.com",
            may("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", on=get("Queue")),
            may("states:StartExecution", on={"Ref": "Machine"}),
        ),
    },
    "function that reads a table's stream and sends what fails to a topic": {
        "Mapping": resource(
            "AWS::Lambda::EventSourceMapping",
            FunctionName={"Ref": "Function"},
            EventSourceArn=get("Table", "StreamArn"),
            DestinationConfig={"OnFailure": {"Destination": {"Ref": "Topic"}}},
        ),
        "Function": FUNCTION,
        "Table": resource("AWS::DynamoDB::Table"),
        "Topic": TOPIC,
        "Role": role(
            "lambda.amazonaws.com",
            may(
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                on=get("Table", "StreamArn"),
            ),
            may("sns:Publish", on={"Ref": "Topic"}),
        ),
    },
    "function's destination": {
        "Config": resource(
            "AWS::Lambda::EventInvokeConfig",
            FunctionName={"Ref": "Function"},
            DestinationConfig={"OnFailure": {"Destination": get("Queue")}},
        ),
        "Function": FUNCTION,
        "Queue": resource("AWS::SQS::Queue"),
        "Role": role("lambda.amazonaws.com", may("sqs:SendMessage", on=get("Queue"))),
    },
    "state machine to function and topic": {
        "Machine": resource(
            "AWS::StepFunctions::StateMachine",
            RoleArn=get("Role"),
            DefinitionString=json.dumps(
                {
                    "States": {
                        "Call": {
                            "Type": "Task",
                            "Resource": "arn:aws:states:::lambda:invoke",
                            "Arguments": {"FunctionName": "${Function}"},
                        },
                        "Tell": {
                            "Type": "Task",
                            "Resource": "arn:aws:states:::sns:publish",
                            "Parameters": {"TopicArn": "${Topic}"},
                        },
                    }
                }
            ),
            DefinitionSubstitutions={"Function": get("Function"), "Topic": {"Ref": "Topic"}},
        ),
        "Function": FUNCTION,
        "Topic": TOPIC,
        "Role": role(
            "states.amazonaws.com",
            may("lambda:InvokeFunction", on=get("Function")),
            may("sns:Publish", on={"Ref": "Topic"}),
        ),
    },
    "HTTP API to a function": {
        "Api": resource("AWS::ApiGatewayV2::Api"),
        "Integration": resource("AWS::ApiGatewayV2::Integration", ApiId={"Ref": "Api"}, IntegrationUri=get("Function")),
        "Route": resource(
            "AWS::ApiGatewayV2::Route",
            ApiId={"Ref": "Api"},
            RouteKey="ANY /score",
            Target={"Fn::Join": ["", ["integrations/", {"Ref": "Integration"}]]},
        ),
        "Function": FUNCTION,
        "Permission": permission(
            "apigateway.amazonaws.com", {"Fn::Sub": "arn:aws:execute-api:eu-west-1:123456789012:${Api}/*/*/score"}
        ),
    },
    "REST API to a function": {
        "Api": resource("AWS::ApiGateway::RestApi", Name="x"),
        "Path": resource("AWS::ApiGateway::Resource", PathPart="score", ParentId=get("Api", "RootResourceId")),
        "Method": resource(
            "AWS::ApiGateway::Method",
            RestApiId={"Ref": "Api"},
            ResourceId={"Ref": "Path"},
            HttpMethod="POST",
            Integration={
                "Uri": {
                    "Fn::Sub": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"
                }
            },
        ),
        "Function": FUNCTION,
        "Permission": permission(
            "apigateway.amazonaws.com", {"Fn::Sub": "arn:aws:execute-api:eu-west-1:123456789012:${Api}/*/POST/score"}
        ),
    },
    "encrypted log group": {
        "Group": resource("AWS::Logs::LogGroup", LogGroupName="/own/x", KmsKeyId=get("Key")),
        "Key": key(
            allow(
                "logs.eu-west-1.amazonaws.com",
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
                ArnLike={"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/own/*"},
            )
        ),
    },
    "log group to a function": {
        "Filter": resource(
            "AWS::Logs::SubscriptionFilter", LogGroupName={"Ref": "Group"}, DestinationArn=get("Function")
        ),
        "Group": resource("AWS::Logs::LogGroup"),
        "Function": FUNCTION,
        "Permission": permission("logs.amazonaws.com", get("Group")),
    },
    "access log to a bucket": {
        "Bucket": resource("AWS::S3::Bucket", LoggingConfiguration={"DestinationBucketName": {"Ref": "Logs"}}),
        "Logs": resource("AWS::S3::Bucket", BucketName="logs"),
        "Policy": resource(
            "AWS::S3::BucketPolicy",
            Bucket={"Ref": "Logs"},
            PolicyDocument=policy(allow("logging.s3.amazonaws.com", "s3:PutObject", on="arn:aws:s3:::logs/*")),
        ),
    },
    "flow log to a bucket whose policy the service writes": {
        "FlowLog": resource("AWS::EC2::FlowLog", LogDestinationType="s3", LogDestination=get("Logs")),
        "Logs": resource("AWS::S3::Bucket", BucketName="logs"),
    },
    "flow log to a bucket with a policy": {
        "FlowLog": resource(
            "AWS::EC2::FlowLog", LogDestinationType="s3", LogDestination={"Fn::Sub": "${Logs.Arn}/network/"}
        ),
        "Logs": resource("AWS::S3::Bucket", BucketName="logs"),
        "Policy": resource(
            "AWS::S3::BucketPolicy",
            Bucket={"Ref": "Logs"},
            PolicyDocument=policy(
                allow(
                    "delivery.logs.amazonaws.com",
                    "s3:PutObject",
                    on=f"arn:aws:s3:::logs/network/AWSLogs/{ACCOUNT}/*",
                    StringEquals={"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceAccount": ACCOUNT},
                ),
                allow("delivery.logs.amazonaws.com", "s3:GetBucketAcl", on="arn:aws:s3:::logs"),
            ),
        ),
    },
    "load balancer's log to a bucket": {
        "Balancer": resource(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            LoadBalancerAttributes=[
                {"Key": "access_logs.s3.enabled", "Value": "true"},
                {"Key": "access_logs.s3.bucket", "Value": {"Ref": "Logs"}},
            ],
        ),
        "Logs": resource("AWS::S3::Bucket", BucketName="logs"),
        "Policy": resource(
            "AWS::S3::BucketPolicy",
            Bucket={"Ref": "Logs"},
            PolicyDocument=policy(
                allow("logdelivery.elasticloadbalancing.amazonaws.com", "s3:PutObject", on="arn:aws:s3:::logs/*")
            ),
        ),
    },
}


@pytest.mark.parametrize("case", HEARD)
def test_compliant(case: str) -> None:
    resources = HEARD[case]
    assert list(deliveries(Estate([stack_of(resources)])))
    assert offenders(RULE, stack_of(resources)) == []


def without(case: str, *left_out: str, **changed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources of a compliant case but for some."""
    return {name: one for name, one in HEARD[case].items() if name not in left_out} | changed


NOT_HEARD: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "no permission for an alarm": (without("alarm to a function", "Permission"), "Alarm"),
    "a permission for the topics' principal": (
        without("alarm to a function", Permission=permission("cloudwatch.amazonaws.com", get("Alarm"))),
        "Alarm",
    ),
    "a permission for another alarm": (
        without(
            "alarm to a function",
            Permission=permission("lambda.alarms.cloudwatch.amazonaws.com", ARN_OF_ALARMS.replace("*", "other")),
        ),
        "Alarm",
    ),
    "a topic policy that replaced SNS's own": (
        without("alarm to an encrypted topic", Policy=topic_policy(RULES)),
        "Alarm",
    ),
    "a topic policy for another account": (
        without(
            "alarm to an encrypted topic",
            Policy=topic_policy(
                allow("cloudwatch.amazonaws.com", "sns:Publish", StringEquals={"aws:SourceAccount": "999999999999"})
            ),
        ),
        "Alarm",
    ),
    "a key without the alarms": (without("alarm to an encrypted topic", Key=key()), "Alarm"),
    "a key without the alarms, by alias": (without("alarm to a topic encrypted by alias", Key=key()), "Alarm"),
    "AWS's own key": (
        without("alarm to an encrypted topic", Topic=resource("AWS::SNS::Topic", KmsMasterKeyId="alias/aws/sns")),
        "Alarm",
    ),
    "a rule to a topic with SNS's own policy": (without("rule to an encrypted topic", "Policy"), "Rule"),
    "a key that asks EventBridge for a source": (
        without(
            "rule to an encrypted topic",
            Key=key(allow("events.amazonaws.com", *ENVELOPE, StringEquals={"aws:SourceAccount": ACCOUNT})),
        ),
        "Rule",
    ),
    "a topic that asks EventBridge for a source": (
        without(
            "rule to an encrypted topic",
            Policy=topic_policy(allow("events.amazonaws.com", "sns:Publish", ArnEquals={"aws:SourceArn": RULE_ARN})),
        ),
        "Rule",
    ),
    "no permission for a rule": (without("rule to a function", "Permission"), "Rule"),
    "no queue policy for a rule": (without("rule to a queue", "Policy"), "Rule"),
    "no resource policy of logs": (without("rule to a log group", "Policy"), "Rule"),
    "a rule's role without the right": (
        without(
            "rule to a state machine by its role",
            Role=role("events.amazonaws.com", may("states:StopExecution", on={"Ref": "Machine"})),
        ),
        "Rule",
    ),
    "a rule's role that trusts another service": (
        without(
            "rule to a state machine by its role",
            Role=role("scheduler.amazonaws.com", may("states:StartExecution", on={"Ref": "Machine"})),
        ),
        "Rule",
    ),
    "a rule's dead letters kept out": (without("rule's dead letters", "Policy"), "Rule"),
    "a schedule's role without the key of its dead letters": (
        without(
            "schedule to a function with dead letters in an encrypted queue",
            Role=role(
                "scheduler.amazonaws.com",
                may("lambda:InvokeFunction", on=get("Function")),
                may("sqs:SendMessage", on=get("Queue")),
            ),
        ),
        "Schedule",
    ),
    "a budget kept out": (without("budget to a topic", "Policy"), "Budget"),
    "a bucket kept out": (without("bucket to a queue", "Policy"), "Bucket"),
    "a queue's key without SNS": (without("topic to an encrypted queue", Key=key()), "Subscription"),
    "a pipe's role that cannot read": (
        without(
            "pipe from a queue to a state machine",
            Role=role("pipes.amazonaws.com", may("states:StartExecution", on={"Ref": "Machine"})),
        ),
        "Pipe",
    ),
    "a mapping whose function cannot read": (
        without(
            "function that reads a table's stream and sends what fails to a topic",
            Role=role("lambda.amazonaws.com", may("sns:Publish", on={"Ref": "Topic"})),
        ),
        "Mapping",
    ),
    "a destination that the function may not use": (
        without("function's destination", Role=role("lambda.amazonaws.com")),
        "Config",
    ),
    "a state machine that may not publish": (
        without(
            "state machine to function and topic",
            Role=role("states.amazonaws.com", may("lambda:InvokeFunction", on=get("Function"))),
        ),
        "Machine",
    ),
    "an API without permission": (without("HTTP API to a function", "Permission"), "Integration"),
    "a permission for another route": (
        without(
            "HTTP API to a function",
            Permission=permission(
                "apigateway.amazonaws.com", {"Fn::Sub": "arn:aws:execute-api:eu-west-1:123456789012:${Api}/*/*/other"}
            ),
        ),
        "Integration",
    ),
    "a permission for another method": (
        without(
            "REST API to a function",
            Permission=permission(
                "apigateway.amazonaws.com", {"Fn::Sub": "arn:aws:execute-api:eu-west-1:123456789012:${Api}/*/GET/score"}
            ),
        ),
        "Method",
    ),
    "a key without this log group": (
        without(
            "encrypted log group", Group=resource("AWS::Logs::LogGroup", LogGroupName="/other/x", KmsKeyId=get("Key"))
        ),
        "Group",
    ),
    "logs without permission": (without("log group to a function", "Permission"), "Filter"),
    "access logs kept out": (without("access log to a bucket", "Policy"), "Bucket"),
    "access logs to a bucket with a key": (
        without(
            "access log to a bucket",
            Logs=resource(
                "AWS::S3::Bucket",
                BucketName="logs",
                BucketEncryption={
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": get("Key")}}
                    ]
                },
            ),
            Key=key(),
        ),
        "Bucket",
    ),
    "a load balancer's log to a bucket with a key": (
        without(
            "load balancer's log to a bucket",
            Logs=resource(
                "AWS::S3::Bucket",
                BucketName="logs",
                BucketEncryption={
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
                    ]
                },
            ),
        ),
        "Balancer",
    ),
    "flow logs kept out by a policy": (
        without(
            "flow log to a bucket with a policy",
            Policy=resource(
                "AWS::S3::BucketPolicy",
                Bucket={"Ref": "Logs"},
                PolicyDocument=policy(allow("x.amazonaws.com", "s3:PutObject", on="arn:aws:s3:::logs/*")),
            ),
        ),
        "FlowLog",
    ),
}


@pytest.mark.parametrize("case", NOT_HEARD)
def test_non_compliant(case: str) -> None:
    resources, producer = NOT_HEARD[case]
    assert set(offenders(RULE, stack_of(resources))) == {producer}


@pytest.mark.parametrize(
    "resources",
    [
        {"Alarm": resource("AWS::CloudWatch::Alarm", AlarmActions=[FOREIGN, "arn:aws:automate:eu-west-1:ec2:recover"])},
        {"Alarm": resource("AWS::CloudWatch::Alarm", AlarmActions=[{"Ref": "Parameter"}])},
        {"Bucket": resource("AWS::S3::Bucket")},
        {"Rule": rule({"Fn::ImportValue": "somewhere"})},
    ],
)
def test_not_applicable(resources: dict[str, dict[str, Any]]) -> None:
    assert offenders(RULE, stack_of(resources)) == []


@pytest.mark.parametrize(
    "resources",
    [
        {"Alarm": resource("AWS::CloudWatch::Alarm", AlarmActions="nothing")},
        {"Rule": resource("AWS::Events::Rule", Targets=[None, "x", {"Arn": 1}])},
        {"Bucket": resource("AWS::S3::Bucket", NotificationConfiguration=[], LoggingConfiguration="x")},
        {"Machine": resource("AWS::StepFunctions::StateMachine", DefinitionString="{")},
        {"Machine": resource("AWS::StepFunctions::StateMachine", DefinitionString='{"States": {"A": 1}}')},
        {"Alarm": ALARM, "Topic": TOPIC, "Policy": topic_policy({"Effect": "Perhaps"})},
        {"Alarm": ALARM, "Topic": TOPIC, "Policy": resource("AWS::SNS::TopicPolicy", Topics="x", PolicyDocument=[])},
    ],
)
def test_what_is_malformed_is_left_to_others(resources: dict[str, dict[str, Any]]) -> None:
    assert offenders(RULE, stack_of(resources)) == []


def test_targets_in_other_stacks_are_found() -> None:
    topic = stack("one", Topic=resource("AWS::SNS::Topic", TopicName="notices"), Policy=topic_policy(RULES))
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"
    alarm = stack("two", Alarm=resource("AWS::CloudWatch::Alarm", AlarmActions=[arn]))
    assert offenders(RULE, topic, alarm) == ["Alarm"]


def test_every_row_of_a_service_is_tried() -> None:
    tried = {
        (delivery.way.producer, delivery.way.target)
        for resources in HEARD.values()
        for delivery in deliveries(Estate([stack_of(resources)]))
    }
    of_services = {key for key, way in WAYS.items() if way.principal != ROLE}
    # S3 asks the same of topics and functions as of queues, SNS the same of functions as everybody.
    assert of_services - tried == {("bucket", "topic"), ("bucket", "function"), ("topic", "function")}
    assert {way.producer for way in WAYS.values()} == {producer for producer, _ in tried}
