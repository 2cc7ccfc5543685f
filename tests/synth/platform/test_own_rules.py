"""The app's own templates pass each of our own rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcycle.check.acknowledgement import sort_out
from labcycle.check.estate import Estate
from labcycle.check.rules import Rule, all_rules
from labcycle.check.template import templates_at


@pytest.fixture(scope="session")
def estate(assembly: Path) -> Estate:
    return Estate(templates_at(assembly))


def standing(rule: Rule, estate: Estate) -> list[str]:
    """What is against the rule and not acknowledged."""
    return [
        f"{finding.template}/{finding.logical_id} {finding.property_path}: {finding.message}"
        for template in estate.templates
        for finding in sort_out(template, rule.findings(template, estate))[0]
        if finding.rule == rule.id
    ]


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_the_app_is_clean(rule: Rule, estate: Estate) -> None:
    assert standing(rule, estate) == []
