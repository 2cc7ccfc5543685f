"""Templates for the checkers, and what these find in them."""

from __future__ import annotations

import json
from typing import Any

from labcycle.check import Finding
from labcycle.check.checkers import Checker
from labcycle.check.estate import Estate
from labcycle.check.template import Template

ACCOUNT, REGION = "123456789012", "eu-west-1"


def template(resources: dict[str, Any], name: str = "stack", **sections: Any) -> Template:
    """A template for `eu-west-1` with these resources and sections."""
    return Template(name, json.dumps({"Resources": resources, **sections}), REGION, ACCOUNT)


def findings(checker: Checker, *templates: Template) -> list[Finding]:
    """Everything that the checker finds in templates that are deployed together."""
    return list(checker.check(templates, Estate(templates)))


def rules(checker: Checker, *templates: Template) -> set[tuple[str, str]]:
    """Logical id and rule of everything that it finds."""
    return {(finding.logical_id, finding.rule) for finding in findings(checker, *templates)}
