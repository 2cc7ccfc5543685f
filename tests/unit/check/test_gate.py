"""The gate: planted faults are found, nothing is passed silently, acknowledgements are exact."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from labcycle.check import CheckError, Finding, Report, check, gate
from labcycle.check.checkers import CfnLint, Checker, CloudFormationValidate, all_checkers
from labcycle.check.estate import Estate
from labcycle.check.report import as_document, as_text
from labcycle.check.selection import NOT_HELD
from labcycle.check.shape import distinct
from labcycle.check.template import Template
from labcycle.cli import app

GOOD: dict[str, Any] = {
    "Resources": {
        "Setting": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": "x"},
            "Metadata": {"aws:cdk:path": "S/Setting/Resource"},
        }
    }
}
BAD: dict[str, Any] = {
    "Resources": {
        **GOOD["Resources"],
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BuckettName": "misspelt"},
            "Metadata": {"aws:cdk:path": "S/Bucket/Resource"},
        },
    }
}


@pytest.fixture(autouse=True)
def two_checkers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two that start at once; what all of them find is for one test here, and for those of each."""
    monkeypatch.setattr(gate, "all_checkers", lambda: [CloudFormationValidate(), CfnLint()])


def file(folder: Path, template: object, name: str = "stack.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(template), encoding="utf-8")
    return path


def assembly(
    folder: Path, stacks: dict[str, dict[str, Any]], region: str = "eu-west-1", nested: tuple[str, ...] = ()
) -> Path:
    artifacts: dict[str, Any] = {
        name: {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://123456789012/{region}",
            "properties": {"templateFile": f"{name}.template.json", "stackName": name},
        }
        for name in stacks
    }
    artifacts |= {name: {"type": "cdk:cloud-assembly", "properties": {"directoryName": name}} for name in nested}
    file(folder, {"version": "48.0.0", "artifacts": artifacts}, "manifest.json")
    for name, template in stacks.items():
        file(folder, template, f"{name}.template.json")
    return folder


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


class Telling:
    """Checker that says the same of every resource, and notes what it was given."""

    name, by_shape = "telling 1", True

    def __init__(self, *rules: str) -> None:
        self.rules = rules
        self.seen: list[Template] = []

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        self.seen += templates
        for template in templates:
            for logical_id in template.body["Resources"]:
                for rule in self.rules:
                    yield template.finding(logical_id, rule, "telling", "error", "told")


class Crashing:
    name, by_shape = "crashing 1", True

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        raise self._error


def rules(report: Report, checker: str) -> set[tuple[str, str]]:
    return {(finding.logical_id, finding.rule) for finding in report.findings if finding.checker == checker}


def test_a_good_template_is_clean_by_all_checkers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "all_checkers", all_checkers)
    result = call(file(tmp_path, GOOD))
    assert result.exit_code == 0, result.output
    ran = (
        "cloudformation-validate 1.",
        "cfn-lint 1.",
        "cdk-nag 3.",
        "rules of labcycle",
        "parliament 1.",
        "statelint 3.",
    )
    assert [
        name for name in (*ran, "detect-secrets 1.") if f"\n  {name}" not in result.stdout and name not in result.stdout
    ] == []
    assert result.stdout.endswith("clean, 0 acknowledged\n")


def test_a_planted_fault_is_found_by_both_checkers_with_its_construct(tmp_path: Path) -> None:
    report = check([file(tmp_path, BAD)])
    assert ("Bucket", "F3002") in rules(report, "cloudformation-validate")
    assert ("Bucket", "E3002") in rules(report, "cfn-lint")
    assert {finding.construct_path for finding in report.findings} == {"S/Bucket/Resource"}
    result = call(file(tmp_path, BAD))
    assert result.exit_code == 1
    assert f"stack.json\n  Bucket  S/Bucket/Resource  {tmp_path}/stack.json:1\n" in result.stdout


def test_a_fault_outside_of_the_resources_is_found(tmp_path: Path) -> None:
    report = check([file(tmp_path, GOOD | {"Outputs": {"Setting": {"Value": {"Ref": "Nowhere"}}}})])
    assert {finding.logical_id for finding in report.findings} == {""}
    assert {finding.property_path for finding in report.findings} == {"Outputs.Setting.Value.Ref"}


def test_a_template_cannot_switch_rules_off_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = {"cfn-lint": {"config": {"ignore_checks": ["E3002"]}}}
    silenced = json.loads(json.dumps(BAD)) | {"Metadata": off}
    silenced["Resources"]["Bucket"]["Metadata"] |= off
    (tmp_path / ".cfnlintrc").write_text("ignore_checks: [E3002]\n")
    monkeypatch.chdir(tmp_path)
    assert ("Bucket", "E3002") in rules(check([file(tmp_path, silenced)]), "cfn-lint")


def test_the_region_of_the_stack_is_that_of_the_check(tmp_path: Path) -> None:
    template = {
        "Resources": {"Service": {"Type": "AWS::AppRunner::Service", "Properties": {"SourceConfiguration": {}}}}
    }
    there = check([assembly(tmp_path / "there", {"s": template}, region="eu-west-1")])
    elsewhere = check([assembly(tmp_path / "elsewhere", {"s": template}, region="eu-south-2")])
    assert not {rule for _, rule in rules(there, "cfn-lint") | rules(there, "cloudformation-validate")} & {
        "E3006",
        "F3006",
    }
    assert ("Service", "E3006") in rules(elsewhere, "cfn-lint")
    assert ("Service", "F3006") in rules(elsewhere, "cloudformation-validate")


def test_a_template_of_an_assembly_keeps_its_region_when_it_is_checked_alone(tmp_path: Path) -> None:
    telling = Telling()
    check([assembly(tmp_path, {"s": GOOD}, region="eu-central-1") / "s.template.json"], [telling])
    assert [(template.name, template.region) for template in telling.seen] == [("s", "eu-central-1")]


def test_nested_assemblies_and_nested_stacks_are_checked_each_distinct_one_once(tmp_path: Path) -> None:
    other_path = json.loads(json.dumps(GOOD).replace("S/Setting", "T/Setting"))
    assembly(tmp_path, {"one": GOOD, "two": other_path}, nested=("stage",))
    assembly(tmp_path / "stage", {"three": GOOD, "four": BAD})
    file(tmp_path / "stage", {"Resources": {"N": {"Type": "AWS::SQS::Queue"}}}, "inner.nested.template.json")
    telling = Telling()
    report = check([tmp_path], [telling])
    assert [template.name for template in telling.seen] == ["one", "four", "inner"]
    assert sorted(report.same) == [("three", "one"), ("two", "one")]
    assert {template.region for template in telling.seen} == {"eu-west-1"}


def test_the_same_template_in_another_region_is_another_one() -> None:
    text = json.dumps(GOOD)
    different, same = distinct([Template("a", text, "eu-west-1"), Template("b", text, "eu-west-2")])
    assert len(different) == 2 and not same


@pytest.mark.parametrize("other", ["222222222222/eu-west-1", "111111111111/eu-west-2"])
def test_stacks_of_one_name_in_two_places_are_told_apart(tmp_path: Path, other: str) -> None:
    body = acknowledging([{"id": "R1", "reason": "meant to be so, for a test"}])
    there = json.loads(json.dumps(body).replace("S/Setting", "T/Setting"))
    there["Resources"]["More"] = {"Type": "AWS::SNS::Topic"}
    for name, template in (("here", body), ("again", body), ("there", there)):
        file(tmp_path, template, f"{name}.template.json")
    artifacts = {
        name: {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{place}",
            "properties": {"templateFile": f"{name}.template.json", "stackName": "app"},
        }
        for name, place in (("here", "111111111111/eu-west-1"), ("again", other), ("there", other.replace("2", "3")))
    }
    file(tmp_path, {"version": "48.0.0", "artifacts": artifacts}, "manifest.json")
    report = check([tmp_path], [Telling("R1")])
    assert sorted((Path(finding.file).stem, finding.logical_id) for finding in report.findings) == [
        ("again.template", "Other"),
        ("here.template", "Other"),
        ("there.template", "More"),
        ("there.template", "Other"),
    ]
    assert sorted((Path(known.finding.file).stem, known.finding.construct_path) for known in report.acknowledged) == [
        ("again.template", "S/Setting/Resource"),
        ("here.template", "S/Setting/Resource"),
        ("there.template", "T/Setting/Resource"),
    ]
    assert {finding.rule for finding in report.findings} == {"R1"}
    assert as_text(report).splitlines().count("app") == 3


@pytest.mark.parametrize("error", [RuntimeError("engine broke"), SystemExit(0), MemoryError()])
def test_a_crashed_checker_is_exit_2_never_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    checkers: list[Checker] = [Telling(), Crashing(error)]
    monkeypatch.setattr(gate, "all_checkers", lambda: checkers)
    result = call(file(tmp_path, GOOD))
    assert result.exit_code == 2
    assert f"crashing 1 could not check everything: {type(error).__name__}" in result.stderr
    assert result.stdout == ""


def test_a_rule_that_crashes_within_cfn_lint_is_exit_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cfnlint.graph import Graph

    def broken(*_: object) -> None:
        raise RuntimeError("rule broke")

    monkeypatch.setattr(Graph, "get_cycles", broken)
    result = call(file(tmp_path, GOOD))
    assert result.exit_code == 2
    assert "could not check everything: stack.json: a rule failed" in result.stderr and "rule broke" in result.stderr


def test_an_analysis_that_ended_early_is_exit_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cloudformation_validate as library

    class Incomplete:
        def __init__(self, *_: object) -> None: ...

        def validate_template(self, *_: object) -> object:
            class Result:
                status = library.ReportStatus.ANALYSIS_INCOMPLETE
                diagnostics: list[object] = []

            return Result()

    monkeypatch.setattr(library, "CompositeEngine", Incomplete)
    result = call(file(tmp_path, GOOD))
    assert result.exit_code == 2
    assert "it could not analyse the whole template" in result.stderr


def test_no_checker_at_all_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="there is no checker"):
        check([file(tmp_path, GOOD)], [])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "the file cannot be read"),
        ("[]", "not a template"),
        ("{}", "it has no Resources"),
        ('{"Resources": []}', "it has no Resources"),
    ],
)
def test_what_is_no_template_is_exit_2(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    result = call(path)
    assert result.exit_code == 2 and told in result.stderr


def test_what_is_no_assembly_is_exit_2(tmp_path: Path) -> None:
    assert call(tmp_path).exit_code == 2
    assert call(tmp_path / "none").exit_code == 2
    assert call(assembly(tmp_path, {})).exit_code == 2


def test_a_yaml_template_with_short_forms_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "Resources:\n  T: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: x}}\n"
        "Outputs:\n  A: {Value: !GetAtt T.Value}\n  B: {Value: !Ref Nowhere}\n"
    )
    report = check([path])
    assert {finding.property_path for finding in report.findings} == {"Outputs.B.Value.Ref"}


def acknowledging(entries: object) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(json.dumps(GOOD))
    template["Resources"]["Setting"]["Metadata"]["labcycle:acknowledge"] = entries
    template["Resources"]["Other"] = {"Type": "AWS::SNS::Topic"}
    return template


def test_an_acknowledgement_holds_for_its_rule_on_its_resource_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkers: list[Checker] = [Telling("R1", "R10")]
    monkeypatch.setattr(gate, "all_checkers", lambda: checkers)
    path = file(tmp_path, acknowledging([{"id": "R1", "reason": "meant to be so, for a test"}]))
    report = check([path])
    assert {(finding.logical_id, finding.rule) for finding in report.findings} == {
        ("Setting", "R10"),
        ("Other", "R1"),
        ("Other", "R10"),
    }
    assert [(known.finding.logical_id, known.finding.rule, known.reason) for known in report.acknowledged] == [
        ("Setting", "R1", "meant to be so, for a test")
    ]
    result = call(path)
    assert result.exit_code == 1
    assert "acknowledged\n  R1: meant to be so, for a test\n    stack.json/Setting\n" in result.stdout
    document = json.loads(call(path, "--json").stdout)
    assert document["clean"] is False and len(document["findings"]) == 3
    assert document["acknowledged"][0]["reason"] == "meant to be so, for a test"


def test_a_real_finding_can_be_acknowledged(tmp_path: Path) -> None:
    template = json.loads(json.dumps(BAD))
    reason = "planted by a test, on purpose"
    template["Resources"]["Bucket"]["Metadata"]["labcycle:acknowledge"] = [
        {"id": rule, "reason": reason} for rule in ("E3002", "F3002")
    ]
    result = call(file(tmp_path, template))
    assert "2 acknowledged" in result.stdout.splitlines()[-1]
    assert "E3002 [" not in result.stdout and "F3002 [" not in result.stdout


@pytest.mark.parametrize(
    "entries",
    [
        [{"id": "R1"}],
        [{"id": "R1", "reason": "  "}],
        [{"id": "*", "reason": "all"}],
        [{"id": "R", "reason": "a family"}],
        {"id": "R1", "reason": "no list"},
        ["R1"],
        [{"id": "R1", "reason": "x", "until": "later"}],
        [{"id": "R1", "reason": "nineteen characters"}],
    ],
)
def test_an_acknowledgement_that_is_not_exact_or_gives_no_reason_does_not_count(
    tmp_path: Path, entries: object
) -> None:
    report = check([file(tmp_path, acknowledging(entries))], [Telling("R1")])
    assert ("Setting", "R1") in {(finding.logical_id, finding.rule) for finding in report.findings}
    assert not report.acknowledged


def test_what_acknowledges_nothing_that_is_found_is_a_finding_itself(tmp_path: Path) -> None:
    entries = [{"id": "R1", "reason": "it was right when it was written"}]
    report = check([file(tmp_path, acknowledging(entries))], [Telling("R2")])
    stale = [finding for finding in report.findings if finding.rule == "labcycle-acknowledge"]
    assert [(finding.logical_id, "R1" in finding.message) for finding in stale] == [("Setting", True)]


def test_an_acknowledgement_without_a_reason_is_a_finding_itself(tmp_path: Path) -> None:
    report = check([file(tmp_path, acknowledging([{"id": "R1", "reason": ""}]))], [Telling()])
    (finding,) = report.findings
    assert (finding.logical_id, finding.rule) == ("Setting", "labcycle-acknowledge")


APP = """\
import json, os, pathlib
out = pathlib.Path(os.environ["CDK_OUTDIR"]); out.mkdir(parents=True)
context = json.loads(os.environ["CDK_CONTEXT_JSON"])
assert context["mine"] == 1 and context["looked-up"] == 2 and context["aws:cdk:enable-path-metadata"] is True
stack = {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region", "properties": {"templateFile": "s.json"}}
(out / "manifest.json").write_text(json.dumps({"artifacts": {"s": stack}}))
(out / "s.json").write_text(json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"Nmae": "x"}}}}))
"""


def test_without_a_path_the_app_of_the_folder_is_synthesized_with_its_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(APP)
    file(tmp_path, {"app": "python app.py", "context": {"mine": 1}}, "cdk.json")
    file(tmp_path, {"looked-up": 2}, "cdk.context.json")
    monkeypatch.chdir(tmp_path)
    result = call()
    assert result.exit_code == 1, result.output
    assert "Nmae" in result.stdout


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, "cdk.json: there is no such file"),
        ({}, "there is no app"),
        ({"app": "python -c 'import sys; sys.exit(\"teams/fraud.yaml:1:1: broken\")'"}, "teams/fraud.yaml:1:1: broken"),
        ({"app": "python -c pass"}, "wrote no assembly"),
    ],
)
def test_an_app_that_cannot_be_synthesized_is_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: object, told: str
) -> None:
    if settings is not None:
        file(tmp_path, settings, "cdk.json")
    monkeypatch.chdir(tmp_path)
    result = call()
    assert result.exit_code == 2 and told in result.stderr


def test_rules_about_handwritten_templates_are_left_out_and_counted(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD)
    report = check([path], [Telling("W3005", "W3010", "W9013", "W30050")])
    assert {finding.rule for finding in report.findings} == {"W30050"}
    assert report.not_held == {"W3005": 1, "W3010": 1, "W9013": 1}
    assert not report.acknowledged
    assert "W3010 (1 times): zones are named in the target file" in as_text(report)
    assert [one["rule"] for one in as_document(report)["not_held"]] == ["W3005", "W3010", "W9013"]


def test_the_rules_that_are_left_out_are_these_and_no_more() -> None:
    by_ours = {
        "AwsSolutions-IAM5",
        "AwsSolutions-SQS3",
        "RESOURCE_STAR",
        "Serverless-LambdaDLQ",
        "Serverless-SQSRedrivePolicy",
    }
    newest = {"AwsSolutions-L1", "Serverless-LambdaLatestVersion"}
    assert set(NOT_HELD) == {"W3005", "W3010", "W9013"} | by_ours | newest
    assert all(NOT_HELD.values())


def test_a_rule_that_tells_its_findings_apart_is_left_out_as_a_whole(tmp_path: Path) -> None:
    report = check([file(tmp_path, GOOD)], [Telling("AwsSolutions-IAM5[Resource::*]", "AwsSolutions-IAM4[Policy::x]")])
    assert {finding.rule for finding in report.findings} == {"AwsSolutions-IAM4[Policy::x]"}
    assert report.not_held == {"AwsSolutions-IAM5": 1}


@pytest.mark.parametrize("asked", [("--json", "--sarif"), ("--capacity", "--failures"), ("--capacity", "--sarif")])
def test_options_that_exclude_each_other_are_refused(tmp_path: Path, asked: tuple[str, ...]) -> None:
    result = call(file(tmp_path, GOOD), *asked)
    assert result.exit_code == 2 and "exclude each other" in result.stderr


def test_sarif_and_capacity_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkers: list[Checker] = [Telling("R1")]
    monkeypatch.setattr(gate, "all_checkers", lambda: checkers)
    (run,) = json.loads(call(file(tmp_path, GOOD), "--sarif").stdout)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["R1"]
    result = call(file(tmp_path, GOOD), "--capacity")
    assert result.exit_code == 0 and "SSM standard parameters" in result.stdout
    assert json.loads(call(file(tmp_path, GOOD), "--capacity", "--json").stdout)["breaks"] is False
