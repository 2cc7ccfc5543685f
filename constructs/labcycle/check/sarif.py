"""A report as SARIF, which code hosts and editors show beside the code.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

from typing import Any

from .finding import Finding, Report

_LEVELS = {"error": "error", "fatal": "error", "warning": "warning", "warn": "warning"}


def as_sarif(report: Report) -> dict[str, Any]:
    """One run with a result a finding; what is acknowledged is there too, as suppressed, with its reason."""
    acknowledged = {known.finding: known.reason for known in report.acknowledged}
    everything = sorted([*report.findings, *acknowledged])
    rules = {finding.rule: finding for finding in everything}
    driver = {
        "name": "labcycle check",
        "informationUri": "https://pypi.org/project/labcycle/",
        "rules": [_rule(rules[rule_id]) for rule_id in sorted(rules)],
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "results": [_result(finding, acknowledged.get(finding)) for finding in everything],
            }
        ],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": finding.rule, "properties": {"checker": finding.checker}}
    if finding.why:
        rule["fullDescription"] = {"text": finding.why}
    if finding.mend:
        rule["help"] = {"text": finding.mend}
    return rule


def _result(finding: Finding, reason: str | None) -> dict[str, Any]:
    place = f"{finding.template}/{finding.logical_id}" if finding.logical_id else finding.template
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": finding.file or finding.template},
            "region": {"startLine": max(finding.line, 1)},
        },
        "logicalLocations": [{"fullyQualifiedName": finding.construct_path or place, "kind": "resource"}],
    }
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS.get(finding.severity.lower(), "note"),
        "message": {
            "text": f"{finding.property_path}: {finding.message}" if finding.property_path else finding.message
        },
        "locations": [location],
    }
    if reason is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": reason}]
    return result
