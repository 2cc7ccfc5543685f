"""The permissions boundary: the most that any role of a team can ever do, whatever its own policies say."""

from __future__ import annotations

import json

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from labcycle.config import names

# Characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SIZE_LIMIT = 6_144
# How the verbs of all IAM actions that change something begin (Attach, Create, Delete, Put, Set, ...); none that only reads begins so.
_IAM_CHANGES = ("A", "C", "D", "E", "Pu", "R", "Se", "T", "U")
# Of a name that would be too long, CloudFormation keeps half for the stack's name and half for the logical id, beside 14
# characters of its own; functions have 64: https://github.com/KensioSoftware/yulin/issues/1113
_KEPT_OF_STACK_NAME = 25
_LEDGER = (
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "DescribeStream",
    "DescribeTable",
    "GetItem",
    "GetRecords",
    "GetShardIterator",
    "PutItem",
    "Query",
    "Scan",
    "UpdateItem",
)


def generated_names(team: str) -> str:
    """Pattern of the names that CloudFormation gives to functions and rules of the team, long or short."""
    return f"labcycle-{team}-"[:_KEPT_OF_STACK_NAME] + "*"


class PermissionsBoundary(Construct):
    """The managed policy `labcycle-<team>-boundary`, alone in the first stack of a team.

    It allows, by service, what the platform's roles need, on the team's own table, bucket, key, functions and
    parameters. It denies every change of identities and policies (so that no role can shed or loosen its boundary),
    and everything on a resource that is tagged as another team's.

    A stage names it for all its roles with `permissions_boundary=PermissionsBoundary.from_name(names.boundary(team))`.
    That makes no dependency: put it in a stack of its own, on which all stacks with roles depend.

    Names of resources begin with `labcycle-<team>-`, so no team's name may begin with another team's name and a dash. Of a
    team's name only the first 16 characters are sure to stand in the names of functions; beyond them the tag keeps the
    functions of teams apart. Roles are told by their path `/labcycle/<team>/`.

    Parameters
    ----------
    team
        Name of the team.
    """

    def __init__(self, scope: Construct, construct_id: str, *, team: str) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        document = boundary_document(team, stack.partition, stack.region, stack.account)
        self.managed_policy_name = names.boundary(team)
        self.policy = iam.CfnManagedPolicy(
            self,
            "Policy",
            managed_policy_name=self.managed_policy_name,
            path=names.BOUNDARY_PATH,
            description=f"The most that a role of the team {team} can do",
            policy_document=document,
        )


def size(document: object) -> int:
    """Characters that IAM counts: all but white space."""
    return len("".join(json.dumps(document, separators=(",", ":")).split()))


def boundary_document(team: str, partition: str, region: str, account: str) -> dict[str, object]:
    """The policy, as IAM takes it."""

    def arn(service: str, resource: str) -> str:
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    generated = generated_names(team)
    table = arn("dynamodb", f"table/{names.ledger_table(team)}")
    bucket = f"arn:{partition}:s3:::{names.bucket(team, 'artifacts', account, region)}"
    anchors = f"arn:{partition}:s3:::{names.bucket(team, 'anchors', account, region)}"
    statements = [
        # Without names of their own, and several kinds of things in one where each action knows its own: a policy holds few
        # characters.
        _allow(
            "s3",
            "GetObject GetObjectVersion ListBucketVersions PutObject",
            anchors,
            f"{anchors}/*",
        ),
        _allow(
            "s3",
            "AbortMultipartUpload DeleteObject DeleteObjectVersion GetBucketLocation GetObject GetObjectAttributes GetObjectTagging GetObjectVersion "
            "GetObjectVersionAttributes ListBucket ListBucketMultipartUploads ListBucketVersions ListMultipartUploadParts "
            "PutObject PutObjectTagging",
            bucket,
            f"{bucket}/*",
        ),
        _allow(
            "kms",
            "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptFrom "
            "ReEncryptTo",
            arn("kms", "key/*"),
            conditions={"StringEquals": {"aws:ResourceTag/labcycle:team": team}},
        ),
        {
            "Effect": "Allow",
            "Action": [
                *(f"dynamodb:{verb}" for verb in _LEDGER),
                *(f"lambda:{verb}" for verb in ("GetFunctionConfiguration", "InvokeFunction")),
                *(f"events:{verb}" for verb in ("DescribeRule", "PutEvents", "PutRule", "PutTargets")),
                "s3:GetObject",
                "ses:SendEmail",
                "sns:Publish",
                "sqs:SendMessage",
                "ssm:GetParameter",
                "ssm:GetParameters",
            ],
            "Resource": [
                table,
                f"{table}/stream/*",
                # What the CDK uploads, of which the image of a model server is built; whatever the bootstrap's qualifier is.
                f"arn:{partition}:s3:::cdk-*-assets-{account}-{region}/*",
                arn("lambda", f"function:{generated}"),
                arn("events", f"event-bus/{names.event_bus(team)}"),
                # Step Functions waits for a training job through this rule of its own; the name is fixed by the service.
                arn("events", "rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"),
                arn("ses", "identity/*"),
                arn("sns", names.notice_topic(team)),
                arn("sqs", f"labcycle-{team}-*"),
                arn("ssm", f"parameter/labcycle/team/{team}/*"),
                f"arn:{partition}:ssm:{region}::parameter/aws/service/*",
            ],
        },
        _allow(
            "iam",
            "PassRole",
            f"arn:{partition}:iam::{account}:role{names.role_path(team)}*",
            conditions={"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}},
        ),
        # Ids of APIs, instances and the like are not known beforehand, or the action takes no resource. What a role does
        # with them is for its own policy to say; what carries another team's tag is denied below.
        _allow_any(
            apigateway="GET",
            dynamodb="ListStreams",
            cloudwatch="DescribeAlarmHistory DescribeAlarms GetDashboard GetMetricData GetMetricStatistics ListMetrics PutMetricData",
            ec2="CreateNetworkInterface CreateNetworkInterfacePermission CreateTags DeleteNetworkInterface "
            "DeleteNetworkInterfacePermission DescribeDhcpOptions DescribeImages DescribeInstanceStatus DescribeInstances "
            "DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeNetworkInterfaces DescribeSecurityGroups "
            "DescribeSubnets DescribeVolumes DescribeVpcs RebootInstances RunInstances StartInstances StopInstances "
            "TerminateInstances",
            batch="DescribeJobs ListJobs SubmitJob TagResource TerminateJob",
            codebuild="StartBuild",
            ecr="BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload GetAuthorizationToken GetDownloadUrlForLayer "
            "InitiateLayerUpload PutImage UploadLayerPart",
            ecs="DeregisterContainerInstance DiscoverPollEndpoint Poll RegisterContainerInstance StartTelemetrySession "
            "SubmitContainerStateChange SubmitTaskStateChange",
            logs="CreateLogDelivery CreateLogGroup CreateLogStream DeleteLogDelivery DescribeLogGroups DescribeLogStreams "
            "DescribeQueryDefinitions DescribeResourcePolicies GetLogDelivery GetQueryResults ListLogDeliveries "
            "PutLogEvents PutResourcePolicy StartQuery StopQuery UpdateLogDelivery",
            sagemaker="AddTags CreateTrainingJob DescribeTrainingJob InvokeEndpoint InvokeEndpointAsync ListTags "
            "ListTrainingJobs StopTrainingJob",
            ssm="DescribeInstanceInformation DescribeSessions GetConnectionStatus ResumeSession StartSession TerminateSession "
            "UpdateInstanceInformation",
            ssmmessages="CreateControlChannel CreateDataChannel OpenControlChannel OpenDataChannel",
            states="DescribeExecution DescribeStateMachine GetExecutionHistory ListExecutions RedriveExecution SendTaskSuccess "
            "StartExecution StopExecution",
            xray="GetSamplingRules GetSamplingTargets PutTelemetryRecords PutTraceSegments",
            **{"execute-api": "Invoke"},
        ),
        {
            "Sid": "NoIdentityChanges",
            "Effect": "Deny",
            "Action": [*(f"iam:{verb}*" for verb in _IAM_CHANGES), "account:*", "organizations:*"],
            "Resource": "*",
        },
        {
            "Sid": "NoOtherTeams",
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "StringNotEquals": {"aws:ResourceTag/labcycle:team": team},
                "Null": {"aws:ResourceTag/labcycle:team": "false"},
            },
        },
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(
    service: str, actions: str, *resources: str, conditions: dict[str, object] | None = None
) -> dict[str, object]:
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": list(resources),
    }
    return statement | ({"Condition": conditions} if conditions else {})


def _allow_any(**services: str) -> dict[str, object]:
    actions = [f"{service}:{action}" for service, actions in services.items() for action in actions.split()]
    return {"Effect": "Allow", "Action": actions, "Resource": "*"}
