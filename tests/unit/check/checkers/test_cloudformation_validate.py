"""cloudformation-validate with our Guard rules."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check import CheckError
from labcycle.check.checkers import CloudFormationValidate

from .given import findings, rules, template

TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": "alias/team", "DisplayName": "x"}}


def test_a_clean_template_has_no_findings() -> None:
    assert findings(CloudFormationValidate(), template({"T": TOPIC})) == []


def test_a_misspelt_property_is_found_at_its_resource() -> None:
    bad = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": "alias/team", "DisplayNmae": "x"}}
    assert rules(CloudFormationValidate(), template({"T": TOPIC, "Bad": bad})) == {("Bad", "F3002")}


def test_a_guard_rule_has_the_name_of_its_file_and_says_why_and_how_to_mend() -> None:
    (finding,) = findings(CloudFormationValidate(), template({"T": TOPIC, "Open": {"Type": "AWS::SNS::Topic"}}))
    assert (finding.logical_id, finding.rule, finding.checker) == ("Open", "topic-encrypted", "labcycle")
    assert finding.why and finding.mend and finding.message


def test_an_analysis_that_ended_early_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import cloudformation_validate as library

    class Incomplete:
        status = library.ReportStatus.ANALYSIS_INCOMPLETE
        diagnostics: list[object] = []

    class Engine:
        def __init__(self, *_: object) -> None: ...

        def validate_template(self, *_: object) -> Any:
            return Incomplete()

    monkeypatch.setattr(library, "CompositeEngine", Engine)
    with pytest.raises(CheckError, match="stack: it could not analyse the whole template"):
        findings(CloudFormationValidate(), template({"T": TOPIC}))
