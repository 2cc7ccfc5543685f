"""cfn-lint, in this process and in programs of its own."""

from __future__ import annotations

import pytest

from labcycle.check import CheckError, Finding
from labcycle.check.checkers import CfnLint, cfn_lint

from .given import findings, rules, template

TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "x"}}
BAD = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayNmae": "x"}}


def test_a_clean_template_has_no_findings() -> None:
    assert findings(CfnLint(), template({"T": TOPIC})) == []


def test_a_misspelt_property_is_found_at_its_resource() -> None:
    assert rules(CfnLint(), template({"T": TOPIC, "Bad": BAD})) == {("Bad", "E3002")}


def test_a_template_cannot_switch_a_rule_off() -> None:
    off = {"cfn-lint": {"config": {"ignore_checks": ["E3002"]}}}
    assert rules(CfnLint(), template({"Bad": {**BAD, "Metadata": off}}, Metadata=off)) == {("Bad", "E3002")}


def test_programs_find_what_this_process_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = [
        template({"T": TOPIC, "Bad": BAD}, "one"),
        template({"Worse": BAD}, "two"),
        template({"T": TOPIC}, "three"),
    ]
    here = findings(CfnLint(), *templates)
    monkeypatch.setattr(cfn_lint, "_WORTH_A_PROGRAM", 2)
    monkeypatch.setattr(CfnLint, "check_one", None)  # only programs are left
    there = findings(CfnLint(), *templates)

    def told(found: list[Finding]) -> set[tuple[str, str, str]]:
        return {(finding.template, finding.logical_id, finding.rule) for finding in found}

    assert told(there) == told(here) == {("one", "Bad", "E3002"), ("two", "Worse", "E3002")}


def test_a_rule_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cfnlint.graph import Graph

    def broken(*_: object) -> None:
        raise RuntimeError("rule broke")

    monkeypatch.setattr(Graph, "get_cycles", broken)
    with pytest.raises(CheckError, match=r"stack: a rule failed: .*rule broke"):
        findings(CfnLint(), template({"T": TOPIC}))


def test_a_program_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cfn_lint, "_WORTH_A_PROGRAM", 1)
    unknown = template({"T": TOPIC}).__class__("stack", '{"Resources": {"T": {}}}', "nowhere-1")
    with pytest.raises(CheckError, match=r"stack: .*nowhere-1"):
        findings(CfnLint(), unknown)
