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


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_the_app_is_clean(rule: Rule, estate: Estate) -> None:
    standing = []
    for template in estate.templates:
        found, _ = sort_out(template, rule.findings(template, estate))
        standing += [
            f"{one.template}/{one.logical_id} {one.property_path}: {one.message}"
            for one in found
            if one.rule == rule.id
        ]
    assert standing == []
