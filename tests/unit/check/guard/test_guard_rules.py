"""Every Guard rule against its cases: `cases/NAME.yaml` has for each kind resources, each of which the rule finds or not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudformation_validate import (
    CompositeEngine,
    CompositeEngineConfig,
    ExternalRuleSource,
    ReportStatus,
    TemplateContent,
    ValidateConfig,
)

from labcycle.check.guard import GuardRule, load

CASES = Path(__file__).parent / "cases"
KINDS = ("compliant", "non-compliant", "not-applicable")
RULES = load()


@pytest.fixture(scope="module")
def engine() -> Any:
    return CompositeEngine(
        CompositeEngineConfig(guard_rules=[ExternalRuleSource(name=rule.id, content=rule.text) for rule in RULES])
    )


def cases_of(rule: GuardRule) -> dict[str, dict[str, Any]]:
    """For each kind the resources, by logical id."""
    cases: dict[str, dict[str, Any]] = yaml.safe_load((CASES / f"{rule.name}.yaml").read_text(encoding="utf-8"))
    return cases


def found(engine: Any, rule: GuardRule, resources: dict[str, Any]) -> dict[str, list[str]]:
    """The resources that the rule finds, with what it says of each."""
    template = TemplateContent(json.dumps({"Resources": resources}), rule.id)
    report = engine.validate_template(template, ValidateConfig(disable_builtin_rules=True))
    assert report.status == ReportStatus.OK
    messages: dict[str, list[str]] = {}
    for one in report.diagnostics:
        if one.rule_id == rule.name:
            messages.setdefault(one.entity.logical_id, []).append(one.message)
    return messages


def test_every_rule_has_cases_and_every_case_a_rule() -> None:
    assert [f"{rule.name}.yaml" for rule in RULES] == sorted(file.name for file in CASES.iterdir())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
@pytest.mark.parametrize("kind", KINDS)
def test_rule_finds_exactly_what_breaks_it(engine: Any, rule: GuardRule, kind: str) -> None:
    cases = cases_of(rule)
    assert tuple(cases) == KINDS and all(cases.values())
    assert set(found(engine, rule, cases[kind])) == (set(cases[kind]) if kind == "non-compliant" else set())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_no_resource_hides_another_from_a_rule(engine: Any, rule: GuardRule) -> None:
    cases = cases_of(rule)
    assert set(found(engine, rule, {**cases["compliant"], **cases["not-applicable"], **cases["non-compliant"]})) == set(
        cases["non-compliant"]
    )
    assert sum(map(len, cases.values())) == len({logical_id for kind in cases.values() for logical_id in kind})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_speaks_for_itself(engine: Any, rule: GuardRule) -> None:
    assert re.findall(r"^rule (\w+)", rule.text, re.MULTILINE) == [rule.name]
    for sentence in (rule.sentence, rule.why, rule.mend):
        assert re.fullmatch(r"[A-Z].{15,140}\.", sentence), sentence
    said = {
        message for messages in found(engine, rule, cases_of(rule)["non-compliant"]).values() for message in messages
    }
    assert said == set(re.findall(r"<<(.+)>>", rule.text)), "each clause has a message, and a case that breaks it"


def test_a_rule_without_its_reasons_is_refused() -> None:
    with pytest.raises(ValueError, match=r"silent\.guard: the file must begin"):
        GuardRule.read("silent", "# Every bucket is blue.\n# mend: Paint it.\nrule silent { Resources exists }\n")


def test_rules_pass_over_what_is_not_a_resource(engine: Any) -> None:
    loop = {"Fn::ForEach::Buckets": ["Name", ["A", "B"], {"Bucket${Name}": {"Type": "AWS::S3::Bucket"}}]}
    report = engine.validate_template(
        TemplateContent(json.dumps({"Resources": loop}), "loop"), ValidateConfig(disable_builtin_rules=True)
    )
    assert (report.status, report.diagnostics) == (ReportStatus.OK, [])
