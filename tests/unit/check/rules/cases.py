"""Short ways to hold templates against one rule."""

from __future__ import annotations

import json
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.rules import rule
from labcycle.check.template import Template

ACCOUNT, REGION = "123456789012", "eu-west-1"


def stack(
    name: str = "stack", *, after: frozenset[str] = frozenset(), team: str = "", **resources: dict[str, Any]
) -> Template:
    """A template with these resources, by logical id."""
    tags = {"labcycle:team": team} if team else {}
    return Template(name, json.dumps({"Resources": resources}), REGION, ACCOUNT, tags=tags, after=after)


def stack_of(resources: dict[str, dict[str, Any]]) -> Template:
    """A template with the resources of a table of cases."""
    return stack(**resources)  # type: ignore[arg-type]  # none is called name or after


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource, for instance `resource("AWS::S3::Bucket", BucketName="x")`."""
    return {"Type": kind, "Properties": properties}


def offenders(rule_id: str, *templates: Template) -> list[str]:
    """Logical ids of what is against the rule in templates that are deployed together."""
    estate = Estate(templates)
    held = rule(rule_id.replace("-", "_"))
    return [finding.logical_id for template in templates for finding in held.findings(template, estate)]
