"""Findings where code hosts and editors show them."""

from __future__ import annotations

import json
from pathlib import Path

from labcycle.check.finding import Acknowledged, Finding, Report
from labcycle.check.place import placed
from labcycle.check.sarif import as_sarif
from labcycle.check.template import Template

FINDING = Finding(
    "stack",
    "Bucket",
    "bucket-encrypted",
    "guard",
    "warn",
    "it is not",
    "S/Bucket",
    "Properties",
    "why",
    "mend",
    "",
    "a.json",
    7,
)


def report(*findings: Finding, acknowledged: tuple[Acknowledged, ...] = ()) -> Report:
    return Report(("stack",), 1, (), ("guard 1",), findings, acknowledged)


def test_a_finding_is_a_result_with_its_place_and_its_rule() -> None:
    (run,) = as_sarif(report(FINDING))["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert (rule["id"], rule["fullDescription"]["text"], rule["help"]["text"]) == ("bucket-encrypted", "why", "mend")
    (result,) = run["results"]
    assert (result["ruleId"], result["level"], result["message"]["text"]) == (
        "bucket-encrypted",
        "warning",
        "Properties: it is not",
    )
    (location,) = result["locations"]
    assert location["physicalLocation"] == {"artifactLocation": {"uri": "a.json"}, "region": {"startLine": 7}}
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "S/Bucket"


def test_what_is_acknowledged_is_suppressed_with_its_reason() -> None:
    (run,) = as_sarif(report(acknowledged=(Acknowledged(FINDING, "for a good reason"),)))["runs"]
    assert run["results"][0]["suppressions"] == [{"kind": "inSource", "justification": "for a good reason"}]


def test_a_clean_report_has_no_results() -> None:
    document = as_sarif(report())
    assert document["version"] == "2.1.0"
    assert document["runs"][0]["results"] == []


def test_a_finding_is_placed_in_the_template_and_at_the_code_that_made_it(tmp_path: Path) -> None:
    body = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, "Bucket": {"Type": "AWS::S3::Bucket"}}}
    file = tmp_path / "cdk.out" / "stack.template.json"
    file.parent.mkdir()
    file.write_text(json.dumps(body, indent=1), encoding="utf-8")
    notes = {
        "/S/Bucket": [
            {"type": "aws:cdk:logicalId", "data": "Bucket"},
            {
                "type": "aws:cdk:creationStack",
                "data": [
                    "new Bucket (/x/node_modules/aws-cdk-lib/s3.js:1:2)",
                    "at Object.<anonymous> (/app/lib/stack.ts:12:5)",
                ],
            },
        ]
    }
    (file.parent / "stack.metadata.json").write_text(json.dumps(notes), encoding="utf-8")
    template = Template("stack", json.dumps(body), file=file)
    (found,) = placed([FINDING], template, tmp_path)
    assert (found.file, found.line, found.source) == ("cdk.out/stack.template.json", 6, "/app/lib/stack.ts:12")
