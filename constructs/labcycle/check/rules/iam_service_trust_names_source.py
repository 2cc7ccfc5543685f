"""A service is let in only for a named account or resource, where it says for whom it comes."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import is_wild
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, Statement, statements
from labcycle.check.template import Template

WHY = (
    "Without it, somebody else's alarm, schedule or bucket can have the service use the resource or the role for them."
)
MEND = "Add a condition on aws:SourceArn, or on aws:SourceAccount."

# Services that say for whom they assume a role (November 2026). Others, Lambda and EC2 among them, do not promise it, and a
# condition would keep them out.
_SAY_IT_TO_ROLES = {
    "batch": "https://docs.aws.amazon.com/batch/latest/userguide/cross-service-confused-deputy-prevention.html",
    "bedrock": "https://docs.aws.amazon.com/bedrock/latest/userguide/cross-service-confused-deputy-prevention.html",
    "cloudtrail": "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cross-service-confused-deputy-prevention.html",
    "codebuild": "https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html",
    "ecs-tasks": "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    "events": "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html",
    "firehose": "https://docs.aws.amazon.com/firehose/latest/dev/cross-service-confused-deputy-prevention.html",
    "pipes": "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-permissions.html",
    "sagemaker": "https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html",
    "scheduler": "https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html",
    "ssm": "https://docs.aws.amazon.com/systems-manager/latest/userguide/cross-service-confused-deputy-prevention.html",
    "states": "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html",
}
# Services that do not say it to a kind of resource, whose policy must let them in without (November 2026).
_DO_NOT_SAY_IT = {
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html: no conditions for topics;
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html: nor for their keys
    ("events", "AWS::SNS::TopicPolicy"),
    ("events", "AWS::KMS::Key"),
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    ("logdelivery.elasticloadbalancing", "AWS::S3::BucketPolicy"),
}
_SOURCE = (
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "kms:encryptioncontext:*",  # names the resource that is encrypted, as CloudWatch Logs does
    "lambda:eventsourcetoken",
)


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template, Kind.TRUST, Kind.RESOURCE):
        if statement.allows and not statement.is_narrowed_by(_SOURCE):
            silent = [one for one in statement.principals.get("Service", ()) if _says_it(one, statement)]
            if silent:
                yield Violation(
                    statement.logical_id,
                    f"got {', '.join(silent)} for whomever; allowed with a condition on aws:SourceArn or aws:SourceAccount",
                    f"{statement.property_path}.Condition",
                )


def _says_it(principal: str, statement: Statement) -> bool:
    if is_wild(principal):  # not allowed by IAM, and of a public policy another rule speaks
        return False
    service = principal.partition(".amazonaws.")[0]
    if statement.kind is Kind.TRUST:
        return service in _SAY_IT_TO_ROLES
    kind = str(statement.policy.template.resource(statement.logical_id).get("Type"))
    return (service, kind) not in _DO_NOT_SAY_IT
