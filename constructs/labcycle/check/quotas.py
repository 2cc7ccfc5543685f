"""What AWS refuses of a single template or resource, however large the account's quotas are: one table."""

from __future__ import annotations

from dataclasses import dataclass

QUOTAS_AS_OF = "2026-11"

_CLOUDFORMATION = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"


@dataclass(frozen=True)
class Quota:
    """A fixed limit, with its unit and where AWS says so.

    Parameters
    ----------
    near
        From where it is told before it breaks; the limit itself where not given.
    """

    what: str
    limit: int
    unit: str
    url: str
    near: int = 0

    def broken_by(self, got: int) -> str:
        """A sentence if `got` is over it, or near it; else empty."""
        if got > self.limit:
            return f"{self.what}: got {got:,} {self.unit}; allowed {self.limit:,} ({self.url})"
        if self.near and got >= self.near:
            return f"{self.what}: got {got:,} {self.unit}, near the {self.limit:,} that are allowed ({self.url})"
        return ""


RESOURCES = Quota("resources of a template", 500, "resources", _CLOUDFORMATION, near=450)
OUTPUTS = Quota("outputs of a template", 200, "outputs", _CLOUDFORMATION)
PARAMETERS = Quota("parameters of a template", 200, "parameters", _CLOUDFORMATION)
MAPPINGS = Quota("mappings of a template", 200, "mappings", _CLOUDFORMATION)
TEMPLATE_SIZE = Quota("size of a template in S3", 1_048_576, "bytes", _CLOUDFORMATION)

MANAGED_POLICY = Quota("managed policy", 6_144, "characters without white space", _IAM)
INLINE_POLICIES = Quota(
    "inline policies of a role, all stacks together", 10_240, "characters without white space", _IAM
)
KEY_POLICY = Quota(
    "key policy", 32_768, "bytes", "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"
)
BUCKET_POLICY = Quota(
    "bucket policy", 20_480, "bytes", "https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html"
)
QUEUE_POLICY = Quota(
    "queue policy",
    8_192,
    "bytes",
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html",
)
LOGS_POLICY = Quota(
    "resource policy of CloudWatch Logs",
    5_120,
    "characters",
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html",
)
DEFINITION = Quota(
    "definition of a state machine",
    1_048_576,
    "bytes",
    "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
)
ENVIRONMENT = Quota(
    "environment of a function",
    4_096,
    "bytes",
    "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
)


def _name(kind: str, limit: int, url: str) -> Quota:
    return Quota(f"name of the {kind}", limit, "characters", url)


# By type: the property with the name, and how long it may be.
NAMES: dict[str, tuple[str, Quota]] = {
    "AWS::CloudWatch::Alarm": (
        "AlarmName",
        _name("alarm", 255, "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"),
    ),
    "AWS::DynamoDB::Table": (
        "TableName",
        _name("table", 255, "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html"),
    ),
    "AWS::EC2::LaunchTemplate": (
        "LaunchTemplateName",
        _name(
            "launch template",
            128,
            "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html",
        ),
    ),
    "AWS::Events::Rule": (
        "Name",
        _name("rule", 64, "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"),
    ),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", _name("managed policy", 128, _IAM)),
    "AWS::IAM::Role": ("RoleName", _name("role", 64, _IAM)),
    "AWS::IAM::User": ("UserName", _name("user", 64, _IAM)),
    "AWS::Lambda::Function": (
        "FunctionName",
        _name("function", 64, "https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"),
    ),
    "AWS::Logs::LogGroup": (
        "LogGroupName",
        _name(
            "log group",
            512,
            "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html",
        ),
    ),
    "AWS::S3::Bucket": (
        "BucketName",
        _name("bucket", 63, "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"),
    ),
    "AWS::SNS::Topic": (
        "TopicName",
        _name("topic", 256, "https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html"),
    ),
    "AWS::SQS::Queue": (
        "QueueName",
        _name(
            "queue", 80, "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"
        ),
    ),
    "AWS::SSM::Parameter": (
        "Name",
        _name(
            "parameter", 1_011, "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html"
        ),
    ),
    "AWS::Scheduler::Schedule": (
        "Name",
        _name("schedule", 64, "https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html"),
    ),
    "AWS::StepFunctions::StateMachine": (
        "StateMachineName",
        _name(
            "state machine",
            80,
            "https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html",
        ),
    ),
}
