"""All templates that are checked together, as they will be in AWS: intrinsic functions resolved, across stacks too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from .template import Template

_PLACEHOLDER = re.compile(r"\$\{(!?)([^${}]+)\}")
_NAMED_BY = (
    "BucketName",
    "TableName",
    "TopicName",
    "QueueName",
    "RoleName",
    "ManagedPolicyName",
    "FunctionName",
    "LogGroupName",
    "AlarmName",
    "DashboardName",
    "StateMachineName",
    "RepositoryName",
    "StreamName",
    "InstanceProfileName",
    "LaunchTemplateName",
    "StageName",
    "ComputeEnvironmentName",
    "JobQueueName",
    "JobDefinitionName",
    "Name",
)
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
_ARNS = {
    "AWS::ApiGateway::ApiKey": "apigateway:{region}::/apikeys/{name}",
    "AWS::ApiGateway::RestApi": "apigateway:{region}::/restapis/{name}",
    "AWS::ApiGateway::UsagePlan": "apigateway:{region}::/usageplans/{name}",
    "AWS::ApiGatewayV2::Api": "apigateway:{region}::/apis/{name}",
    "AWS::Batch::ComputeEnvironment": "batch:{place}:compute-environment/{name}",
    "AWS::Batch::JobDefinition": "batch:{place}:job-definition/{name}:1",
    "AWS::Batch::JobQueue": "batch:{place}:job-queue/{name}",
    "AWS::CloudWatch::Alarm": "cloudwatch:{place}:alarm:{name}",
    "AWS::CloudWatch::CompositeAlarm": "cloudwatch:{place}:alarm:{name}",
    "AWS::CloudWatch::Dashboard": "cloudwatch::{account}:dashboard/{name}",
    "AWS::CodeBuild::Project": "codebuild:{place}:project/{name}",
    "AWS::DynamoDB::GlobalTable": "dynamodb:{place}:table/{name}",
    "AWS::DynamoDB::Table": "dynamodb:{place}:table/{name}",
    "AWS::ECR::Repository": "ecr:{place}:repository/{name}",
    "AWS::ECS::Cluster": "ecs:{place}:cluster/{name}",
    "AWS::Events::EventBus": "events:{place}:event-bus/{name}",
    "AWS::Events::Rule": "events:{place}:rule/{name}",
    "AWS::IAM::InstanceProfile": "iam::{account}:instance-profile{path}{name}",
    "AWS::IAM::ManagedPolicy": "iam::{account}:policy{path}{name}",
    "AWS::IAM::Role": "iam::{account}:role{path}{name}",
    "AWS::IAM::User": "iam::{account}:user{path}{name}",
    "AWS::KMS::Key": "kms:{place}:key/{name}",
    "AWS::Kinesis::Stream": "kinesis:{place}:stream/{name}",
    "AWS::Lambda::Function": "lambda:{place}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{place}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{place}:{name}",
    "AWS::SQS::Queue": "sqs:{place}:{name}",
    "AWS::SSM::Parameter": "ssm:{place}:parameter/{name}",
    "AWS::Scheduler::Schedule": "scheduler:{place}:schedule/default/{name}",
    "AWS::SecretsManager::Secret": "secretsmanager:{place}:secret:{name}",
    "AWS::StepFunctions::StateMachine": "states:{place}:stateMachine:{name}",
}
# Types whose `Ref` is the ARN; of those in `_ARNS` it is the name otherwise.
_REF_IS_ARN = {
    "AWS::Batch::ComputeEnvironment",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::IAM::ManagedPolicy",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
    "AWS::StepFunctions::StateMachine",
}
# Types that AWS gives an id, and its form: `prefix-` and hexadecimal digits, or only their number.
_IDS: dict[str, int | str] = {
    "AWS::ApiGateway::ApiKey": 10,
    "AWS::ApiGateway::RestApi": 10,
    "AWS::ApiGateway::UsagePlan": 6,
    "AWS::ApiGatewayV2::Api": 10,
    "AWS::EC2::Instance": "i-",
    "AWS::EC2::LaunchTemplate": "lt-",
    "AWS::EC2::SecurityGroup": "sg-",
    "AWS::EC2::Subnet": "subnet-",
    "AWS::EC2::VPC": "vpc-",
    "AWS::EC2::Volume": "vol-",
}
# Longest generated names; CloudFormation cuts what is longer: https://github.com/KensioSoftware/yulin/issues/1113
_LIMITS = {
    "AWS::Batch::ComputeEnvironment": 128,
    "AWS::IAM::Role": 64,
    "AWS::Lambda::Function": 64,
    "AWS::S3::Bucket": 63,
    "AWS::SQS::Queue": 80,
    "AWS::StepFunctions::StateMachine": 80,
}
# What this thread is resolving, so that a circle of references, which is somebody's fault, ends.
_RESOLVING: ContextVar[frozenset[tuple[tuple[str, str], str]]] = ContextVar("resolving", default=frozenset())
_UNKNOWN_ACCOUNT, _UNKNOWN_REGION = "123456789012", "us-east-1"


class Estate:
    """Resolves values of all templates; what AWS alone decides is made up, always alike.

    Names that are given are taken, generated ones begin with the stack's as CloudFormation makes them, ids look like real
    ones. Parameters have their defaults. What cannot be known is a text that begins with `unknown-`.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        self.templates = tuple(templates)

    def resources(self, *types: str) -> Iterator[tuple[Template, str, Mapping[str, Any]]]:
        """Template, logical id and resource of all resources of these types."""
        for template in self.templates:
            for logical_id, resource in template.resources(*types):
                yield template, logical_id, resource

    def account(self, template: Template) -> str:
        """Account that the template goes to, or a made-up one."""
        return template.account or _UNKNOWN_ACCOUNT

    def region(self, template: Template) -> str:
        """Region that the template goes to, or a made-up one."""
        return template.region or _UNKNOWN_REGION

    def partition(self, template: Template) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`."""
        region = self.region(template)
        return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"

    def name(self, template: Template, logical_id: str) -> str:
        """Physical name or id of a resource."""
        resource = template.resource(logical_id)
        kind = str(resource.get("Type", ""))
        properties = template.properties(logical_id)
        if kind == "AWS::KMS::Key":
            digits = _digits(template, logical_id, 32)
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        if kind in _IDS:
            form = _IDS[kind]
            return (
                _digits(template, logical_id, form)
                if isinstance(form, int)
                else form + _digits(template, logical_id, 17)
            )
        for key in _NAMED_BY:
            if key in properties:
                return self.text(template, properties[key])
        suffix = _digits(template, logical_id, 12)
        room = _LIMITS.get(kind, 512) - len(suffix) - 2
        stack, own = template.name, logical_id
        if len(stack) + len(own) > room:
            stack, own = stack[: room - room // 2], own[: room // 2]
        generated = f"{stack}-{own}-{suffix}"
        return generated.lower() if kind == "AWS::S3::Bucket" else generated

    def arn(self, template: Template, logical_id: str) -> str:
        """ARN of a resource; of a type whose ARN is not known here, a made-up text."""
        form = _ARNS.get(str(template.resource(logical_id).get("Type", "")))
        if form is None:
            return _unknown(template, logical_id, "Arn")
        return f"arn:{self.partition(template)}:" + form.format(
            place=f"{self.region(template)}:{self.account(template)}",
            account=self.account(template),
            region=self.region(template),
            name=self.name(template, logical_id).lstrip("/" if form.endswith("parameter/{name}") else ""),
            path=self.text(template, template.properties(logical_id).get("Path", "/")),
        )

    def find(self, identifier: str) -> tuple[Template, str] | None:
        """The resource with this ARN (a log group's with or without `:*`), or with this queue URL."""
        return self._index.get(identifier)

    def text(self, template: Template, value: Any) -> str:
        """A value as one text; a list with commas."""
        found = self.value(template, value)
        if isinstance(found, bool):
            return str(found).lower()
        if isinstance(found, list):
            return ",".join(str(one) for one in found)
        return str(found)

    def document(self, template: Template, policy: Any) -> dict[str, Any]:
        """A policy document with all its values resolved; empty where it is not an object."""
        found = self.value(template, policy)
        return found if isinstance(found, dict) else {}

    def value(self, template: Template, value: Any) -> Any:
        """A value with all intrinsic functions resolved; `AWS::NoValue` leaves lists and objects."""
        if isinstance(value, list):
            return [found for one in value if (found := self.value(template, one)) is not None]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            function, argument = next(iter(value.items()))
            if function == "Ref":
                return self._ref(template, str(argument))
            if function == "Condition" and isinstance(argument, str):
                return self._condition(template, argument)
            if str(function).startswith("Fn::"):
                return self._function(template, str(function).removeprefix("Fn::"), argument)
        resolved = {key: self.value(template, one) for key, one in value.items()}
        return {key: found for key, found in resolved.items() if found is not None}

    @cached_property
    def _index(self) -> dict[str, tuple[Template, str]]:
        index: dict[str, tuple[Template, str]] = {}
        for template, logical_id, resource in self.resources():
            if resource.get("Type") in _ARNS:
                arn = self.arn(template, logical_id)
                index[arn] = index[arn.removesuffix(":*")] = (template, logical_id)
            if resource.get("Type") == "AWS::SQS::Queue":
                index[self._queue_url(template, logical_id)] = (template, logical_id)
        return index

    @cached_property
    def _exports(self) -> dict[tuple[str, str, str], tuple[Template, Any]]:
        return {
            (template.account, template.region, self.text(template, output["Export"]["Name"])): (
                template,
                output["Value"],
            )
            for template in self.templates
            for output in template.body.get("Outputs", {}).values()
            if isinstance(output, Mapping) and "Export" in output
        }

    def _queue_url(self, template: Template, logical_id: str) -> str:
        place = f"{self.region(template)}.amazonaws.com/{self.account(template)}"
        return f"https://sqs.{place}/{self.name(template, logical_id)}"

    def _ref(self, template: Template, name: str) -> Any:
        if name == "AWS::NoValue":
            return None
        pseudo = {
            "AWS::AccountId": self.account(template),
            "AWS::Partition": self.partition(template),
            "AWS::Region": self.region(template),
            "AWS::StackId": f"arn:{self.partition(template)}:cloudformation:{self.region(template)}:"
            f"{self.account(template)}:stack/{template.name}/{_digits(template, '', 32)}",
            "AWS::StackName": template.name,
            "AWS::URLSuffix": "amazonaws.com.cn" if self.partition(template) == "aws-cn" else "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        parameters = template.body.get("Parameters", {})
        if name in parameters:
            kind, default = str(parameters[name].get("Type", "")), parameters[name].get("Default")
            if default is None or kind.startswith("AWS::SSM::Parameter::Value"):  # the default is where the value lies
                return _unknown(template, name, "")
            return str(default).split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else default
        kind = str(template.resource(name).get("Type", ""))
        if kind == "AWS::SQS::Queue":
            return self._queue_url(template, name)
        if kind in _REF_IS_ARN:
            return self.arn(template, name)
        return self.name(template, name) if kind else _unknown(template, name, "")

    def _function(self, template: Template, function: str, argument: Any) -> Any:
        known: dict[str, Callable[[], Any]] = {
            "Base64": lambda: self.text(template, argument),
            "FindInMap": lambda: self._in_map(template, argument),
            "GetAtt": lambda: self._attribute(template, argument),
            "If": lambda: self._if(template, argument),
            "ImportValue": lambda: self._imported(template, argument),
            "Join": lambda: self._joined(template, argument),
            "Select": lambda: self._selected(template, argument),
            "Split": lambda: self._split(template, argument),
            "Sub": lambda: self._substituted(template, argument),
        }
        asked = (template.identity, repr(argument))
        if function in known and asked not in _RESOLVING.get():
            token = _RESOLVING.set(_RESOLVING.get() | {asked})
            try:
                return known[function]()
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                pass  # malformed, which the schema checkers say
            finally:
                _RESOLVING.reset(token)
        return _unknown(template, function, hashlib.sha256(repr(argument).encode()).hexdigest()[:8])

    def _attribute(self, template: Template, argument: Any) -> str:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        kind = str(template.resource(logical_id).get("Type", ""))
        if attribute in ("Arn", "AlarmArn", "TopicArn") and kind in _ARNS:
            return self.arn(template, logical_id)
        if attribute == "StreamArn" and kind in _ARNS:
            return f"{self.arn(template, logical_id)}/stream/2026-01-01T00:00:00.000"
        if attribute in ("ApiId", "RestApiId", "KeyId", "LaunchTemplateId", "GroupId", "VpcId", "SubnetId") and kind:
            return self.name(template, logical_id)
        if attribute in ("Name", "QueueName", "RoleName", "TopicName") and kind in _ARNS:
            return self.name(template, logical_id)
        return _unknown(template, logical_id, attribute)

    def _if(self, template: Template, argument: Any) -> Any:
        condition, yes, no = argument
        return self.value(template, yes if self._condition(template, condition) else no)

    def _condition(self, template: Template, name: str) -> bool:
        return self._holds(template, template.body.get("Conditions", {}).get(name))

    def _holds(self, template: Template, condition: Any) -> bool:
        """Whether a condition holds with the parameters' defaults."""
        if not isinstance(condition, Mapping) or len(condition) != 1:
            return False
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self._condition(template, argument)
        if function == "Fn::Equals":
            return self.text(template, argument[0]) == self.text(template, argument[1])
        if function == "Fn::Not":
            return not self._holds(template, argument[0])
        if function in ("Fn::And", "Fn::Or"):
            return (all if function == "Fn::And" else any)(self._holds(template, one) for one in argument)
        return False

    def _imported(self, template: Template, argument: Any) -> Any:
        name = self.text(template, argument)
        found = self._exports.get((template.account, template.region, name))
        return self.value(*found) if found else _unknown(template, "import", name)

    def _in_map(self, template: Template, argument: Any) -> Any:
        found: Any = template.body.get("Mappings", {})
        for key in argument[:3]:
            found = found[self.text(template, key)]
        return found

    def _joined(self, template: Template, argument: Any) -> str:
        separator, parts = argument
        found = self.value(template, parts)
        return str(separator).join(str(part) for part in (found if isinstance(found, list) else [found]))

    def _selected(self, template: Template, argument: Any) -> Any:
        index, items = argument
        found = self.value(template, items)
        if isinstance(found, str):
            return _unknown(template, found.removeprefix("unknown-"), str(index))
        return found[int(self.text(template, index))]

    def _split(self, template: Template, argument: Any) -> list[str]:
        delimiter, text = argument
        return self.text(template, text).split(delimiter)

    def _substituted(self, template: Template, argument: Any) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})

        def fill(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return "${" + name + "}"
            if name in given:
                return self.text(template, given[name])
            return self.text(template, {"Fn::GetAtt": name} if "." in name else {"Ref": name})

        return _PLACEHOLDER.sub(fill, text)


def _digits(template: Template, logical_id: str, count: int) -> str:
    place = f"{template.account}/{template.region}/{template.name}/{logical_id}"
    return hashlib.sha256(place.encode()).hexdigest()[:count]


def _unknown(template: Template, logical_id: str, attribute: str) -> str:
    return "-".join(part for part in ("unknown", template.name, logical_id, attribute) if part)
