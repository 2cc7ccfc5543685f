"""Every template, policy, name and definition is within the fixed quotas of AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labcycle.check import quotas
from labcycle.check.estate import Estate
from labcycle.check.roles import roles
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "AWS refuses what is larger in the middle of a deployment, and nobody can raise these quotas."
MEND = "Divide the template, policy or team, or shorten the name."
_POLICIES = {
    "AWS::IAM::ManagedPolicy": ("PolicyDocument", quotas.MANAGED_POLICY),
    "AWS::KMS::Key": ("KeyPolicy", quotas.KEY_POLICY),
    "AWS::Logs::ResourcePolicy": ("PolicyDocument", quotas.LOGS_POLICY),
    "AWS::S3::BucketPolicy": ("PolicyDocument", quotas.BUCKET_POLICY),
    "AWS::SQS::QueuePolicy": ("PolicyDocument", quotas.QUEUE_POLICY),
}
_DEFINITIONS = ("DefinitionString", "Definition")
_UNKNOWN = "unknown-"  # how the estate begins what only AWS can tell


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    yield from _of_template(template)
    for logical_id, resource in template.resources():
        yield from _of_resource(template, estate, logical_id, str(resource.get("Type", "")))
    yield from _of_roles(template, estate)


def _of_template(template: Template) -> Iterator[Violation]:
    counts = (("Resources", quotas.RESOURCES), ("Outputs", quotas.OUTPUTS), ("Parameters", quotas.PARAMETERS))
    for section, quota in (*counts, ("Mappings", quotas.MAPPINGS)):
        found = template.body.get(section)
        if broken := quota.broken_by(len(found) if isinstance(found, Mapping) else 0):
            yield Violation("", broken, section)
    size = template.file.stat().st_size if template.file.is_file() else len(template.text.encode())
    if broken := quotas.TEMPLATE_SIZE.broken_by(size):
        yield Violation("", broken)


def _of_resource(template: Template, estate: Estate, logical_id: str, kind: str) -> Iterator[Violation]:
    properties = template.properties(logical_id)
    named, quota = quotas.NAMES.get(kind, ("", None))
    if quota is not None and named in properties:
        name = estate.text(template, properties[named])
        if _UNKNOWN not in name and (broken := quota.broken_by(len(name))):
            yield Violation(logical_id, f"{broken}; it is {name}", f"Properties.{named}")
    if kind in _POLICIES:
        key, quota = _POLICIES[kind]
        if broken := quota.broken_by(_length(estate.value(template, properties.get(key)))):
            yield Violation(logical_id, broken, f"Properties.{key}")
    if kind == "AWS::StepFunctions::StateMachine":
        key = next((key for key in _DEFINITIONS if key in properties), "")
        if key and (broken := quotas.DEFINITION.broken_by(_length(estate.value(template, properties[key])))):
            yield Violation(logical_id, broken, f"Properties.{key}")
    if kind == "AWS::Lambda::Function":
        environment = properties.get("Environment")
        variables = estate.value(template, environment.get("Variables") if isinstance(environment, Mapping) else None)
        size = (
            sum(len(f"{key}{value}".encode()) for key, value in variables.items()) if isinstance(variables, dict) else 0
        )
        if broken := quotas.ENVIRONMENT.broken_by(size):
            yield Violation(logical_id, broken, "Properties.Environment.Variables")


def _of_roles(template: Template, estate: Estate) -> Iterator[Violation]:
    for role in roles(estate):
        if role.template == template:
            inline = [
                policy.document
                for policy in role.policies
                if policy.template.resource(policy.logical_id).get("Type") != "AWS::IAM::ManagedPolicy"
            ]
            if broken := quotas.INLINE_POLICIES.broken_by(sum(map(_length, inline))):
                yield Violation(role.logical_id, broken, "Properties.Policies")


def _length(document: Any) -> int:
    """Length of a document as it is sent, without white space."""
    if document is None:
        return 0
    text = document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))
    return len("".join(text.split()).encode())
