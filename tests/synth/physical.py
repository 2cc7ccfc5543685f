"""Texts of template values as they will be in AWS: names that are given are taken, generated ones are made up alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_NAMES = (
    "BucketName",
    "TableName",
    "TopicName",
    "RoleName",
    "FunctionName",
    "LogGroupName",
    "AlarmName",
    "StateMachineName",
    "Name",
)
_ARNS = {
    "AWS::CloudWatch::Alarm": "cloudwatch:{place}:alarm:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{place}:table/{name}",
    "AWS::Events::EventBus": "events:{place}:event-bus/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::KMS::Key": "kms:{place}:key/{name}",
    "AWS::Lambda::Function": "lambda:{place}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{place}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{place}:{name}",
    "AWS::SQS::Queue": "sqs:{place}:{name}",
    "AWS::StepFunctions::StateMachine": "states:{place}:stateMachine:{name}",
    "AWS::Events::Rule": "events:{place}:rule/{name}",
    "AWS::Scheduler::Schedule": "scheduler:{place}:schedule/default/{name}",
}
# Longest names of what AWS names itself here; of the others no test has one that is too long.
_LIMITS = {
    "AWS::IAM::Role": 64,
    "AWS::Lambda::Function": 64,
    "AWS::SQS::Queue": 80,
    "AWS::StepFunctions::StateMachine": 80,
}
_REF_IS_ARN = {"AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"}


class Physical:
    """Resolves the values of all templates of an account and region.

    Parameters
    ----------
    templates
        By stack name.
    """

    def __init__(self, templates: Mapping[str, Mapping[str, Any]], account: str, region: str) -> None:
        self._templates = templates
        self._account, self._region = account, region
        self._exports = {
            output["Export"]["Name"]: (stack, output["Value"])
            for stack, template in templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def name(self, stack: str, logical_id: str) -> str:
        """Name of a resource; a generated one begins with the stack's, as CloudFormation makes it.

        What is too long is cut as seen in AWS: https://github.com/KensioSoftware/yulin/issues/1113
        """
        resource = self._templates[stack]["Resources"][logical_id]
        properties = resource.get("Properties", {})
        for key in _NAMES:
            if key in properties:
                return self.text(stack, properties[key])
        suffix = hashlib.sha256(logical_id.encode()).hexdigest()[:12]
        room = _LIMITS.get(resource["Type"], 512) - len(suffix) - 2
        if len(stack) + len(logical_id) > room:
            stack, logical_id = stack[: room - room // 2], logical_id[: room // 2]
        return f"{stack}-{logical_id}-{suffix}"

    def arn(self, stack: str, logical_id: str) -> str:
        form = _ARNS[self._templates[stack]["Resources"][logical_id]["Type"]]
        place = f"{self._region}:{self._account}"
        return "arn:aws:" + form.format(place=place, account=self._account, name=self.name(stack, logical_id))

    def text(self, stack: str, value: Any) -> str:
        """`value`, which is a text or an intrinsic function."""
        if not isinstance(value, Mapping):
            return str(value)
        ((function, argument),) = value.items()
        resources = self._templates[stack]["Resources"]
        if function == "Fn::Join":
            return str(argument[0].join(self.text(stack, part) for part in argument[1]))
        if function == "Fn::ImportValue":
            return self.text(*self._exports[argument])
        if function == "Fn::GetAtt":
            logical_id, attribute = argument
            if attribute == "Arn":
                return self.arn(stack, logical_id) if resources[logical_id]["Type"] in _ARNS else f"{logical_id}.Arn"
            return f"{logical_id}.{attribute}"
        if function == "Fn::Select":
            index, items = argument
            return self._split(stack, items)[int(index)]
        if function == "Ref":
            if argument not in resources:
                pseudo = {"AWS::Region": self._region, "AWS::AccountId": self._account, "AWS::Partition": "aws"}
                return pseudo.get(str(argument), str(argument))
            by_arn = resources[argument]["Type"] in _REF_IS_ARN
            return self.arn(stack, argument) if by_arn else self.name(stack, argument)
        raise NotImplementedError(function)

    def _split(self, stack: str, items: Any) -> list[str]:
        if isinstance(items, list):
            return [self.text(stack, item) for item in items]
        delimiter, text = items["Fn::Split"]
        return self.text(stack, text).split(delimiter)
