"""What resources themselves say of who may use them, by the ARN of the resource."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from .estate import Estate
from .roles import Attached
from .template import Template
from .values import listed

# Type of the policy: the property that names what it is for, and the property with the document.
_POLICIES = {
    "AWS::S3::BucketPolicy": ("Bucket", "PolicyDocument"),
    "AWS::SNS::TopicPolicy": ("Topics", "PolicyDocument"),
    "AWS::SQS::QueuePolicy": ("Queues", "PolicyDocument"),
    "AWS::SecretsManager::ResourcePolicy": ("SecretId", "ResourcePolicy"),
}
_RESOURCE = {"Resource", "NotResource"}
# Types that bring their policy themselves.
_OWN = {
    "AWS::ApiGateway::RestApi": "Policy",
    "AWS::ECR::Repository": "RepositoryPolicyText",
    "AWS::KMS::Key": "KeyPolicy",
}


@functools.lru_cache(maxsize=2)
def resource_policies(estate: Estate) -> Mapping[str, tuple[Attached, ...]]:
    """The policies of every resource of the estate that has one. Functions' permissions are told as policies too."""
    found: dict[str, list[Attached]] = defaultdict(list)
    for template, logical_id, resource in estate.resources():
        for arn, attached in _of(estate, template, logical_id, str(resource.get("Type", ""))):
            found[arn].append(attached)
    return {arn: tuple(policies) for arn, policies in found.items()}


def _of(estate: Estate, template: Template, logical_id: str, kind: str) -> Iterator[tuple[str, Attached]]:
    properties = template.properties(logical_id)
    if kind in _POLICIES:
        named, key = _POLICIES[kind]
        attached = Attached(template, logical_id, estate.document(template, properties.get(key)), f"Properties.{key}")
        for target in listed(properties.get(named)):
            yield _arn(estate, template, kind, estate.text(template, target)), attached
    elif kind in _OWN and _OWN[kind] in properties:
        key = _OWN[kind]
        document = estate.document(template, properties[key])
        if kind == "AWS::ApiGateway::RestApi":
            document = _of_api(estate, template, logical_id, document)
        yield estate.arn(template, logical_id), Attached(template, logical_id, document, f"Properties.{key}")
    elif kind == "AWS::Lambda::Permission":
        arn = _function_arn(estate, template, estate.text(template, properties.get("FunctionName", "")))
        document = _permission(estate.value(template, dict(properties)), arn)
        yield arn, Attached(template, logical_id, document, "Properties")
    elif kind == "AWS::Events::EventBusPolicy" and "Statement" in properties:
        bus = estate.text(template, properties.get("EventBusName", "default"))
        place = f"{estate.region(template)}:{estate.account(template)}"
        arn = f"arn:{estate.partition(template)}:events:{place}:event-bus/{bus}"
        document = {"Version": "2012-10-17", "Statement": estate.value(template, properties["Statement"])}
        yield arn, Attached(template, logical_id, document, "Properties.Statement")


def _of_api(estate: Estate, template: Template, logical_id: str, document: dict[str, Any]) -> dict[str, Any]:
    """A policy of an API names what is of the API itself without the API: `execute-api:/stage/GET/path`.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-examples.html
    """
    place = f"{estate.region(template)}:{estate.account(template)}"
    whole = f"arn:{estate.partition(template)}:execute-api:{place}:{estate.name(template, logical_id)}/"

    def filled(resource: Any) -> Any:
        short = isinstance(resource, str) and resource.startswith("execute-api:/")
        return whole + resource.removeprefix("execute-api:/") if short else resource

    return document | {
        "Statement": [
            {
                **statement,
                **{key: [filled(one) for one in listed(statement[key])] for key in _RESOURCE & set(statement)},
            }
            if isinstance(statement, Mapping)
            else statement
            for statement in listed(document.get("Statement"))
        ]
    }


def _arn(estate: Estate, template: Template, kind: str, named: str) -> str:
    if kind == "AWS::S3::BucketPolicy":
        return f"arn:{estate.partition(template)}:s3:::{named}"
    found = estate.find(named)
    return estate.arn(*found) if found else named


def _function_arn(estate: Estate, template: Template, named: str) -> str:
    if named.startswith("arn:"):
        return named
    return (
        f"arn:{estate.partition(template)}:lambda:{estate.region(template)}:{estate.account(template)}:function:{named}"
    )


def _permission(properties: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """The statement that AddPermission writes: https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""
    principal = str(properties.get("Principal", ""))
    conditions: dict[str, dict[str, Any]] = {}
    if "SourceArn" in properties:
        conditions["ArnLike"] = {"AWS:SourceArn": properties["SourceArn"]}
    for key, condition in (
        ("SourceAccount", "AWS:SourceAccount"),
        ("PrincipalOrgID", "aws:PrincipalOrgID"),
        ("FunctionUrlAuthType", "lambda:FunctionUrlAuthType"),
        ("EventSourceToken", "lambda:EventSourceToken"),
    ):
        if key in properties:
            conditions.setdefault("StringEquals", {})[condition] = properties[key]
    statement = {
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"Service" if ".amazonaws.com" in principal else "AWS": principal},
        "Action": properties.get("Action", "lambda:InvokeFunction"),
        "Resource": arn,
    }
    return {"Version": "2012-10-17", "Statement": [statement | ({"Condition": conditions} if conditions else {})]}
