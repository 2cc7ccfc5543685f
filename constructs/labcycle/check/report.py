"""Show a report: as text, grouped by template and resource, or as plain data."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Any

from .finding import Finding, Report
from .selection import NOT_HELD


def as_text(report: Report) -> str:
    """The report for people."""
    lines: list[str] = []
    for template, of_template in groupby(report.findings, key=lambda finding: finding.template):
        lines += ["", template]
        for logical_id, found in groupby(of_template, key=lambda finding: finding.logical_id):
            one_by_one = list(found)
            path = next((finding.construct_path for finding in one_by_one if finding.construct_path), "")
            lines.append(f"  {logical_id or '(template)'}" + (f"  {path}" if path else ""))
            lines += [f"    {_line(finding)}" for finding in one_by_one]
    if report.acknowledged:
        lines += ["", "acknowledged"]
        for known in report.acknowledged:
            finding = known.finding
            lines.append(f"  {finding.template}  {finding.logical_id}  {finding.rule}: {known.reason}")
    if report.not_held:
        lines += ["", "not held against synthesized templates"]
        lines += [f"  {rule} ({count} times): {NOT_HELD[rule]}" for rule, count in report.not_held.items()]
    checked = f"{len(report.templates)} distinct templates" + (
        f" (and {len(report.same)} equal to one of them)" if report.same else ""
    )
    lines += ["", f"checked {checked} with {' and '.join(report.checkers)}"]
    lines.append(
        f"{len(report.findings)} findings, {len(report.acknowledged)} acknowledged"
        if report.findings
        else _clean(report)
    )
    return "\n".join(lines).lstrip("\n")


def as_document(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "clean": not report.findings,
        "checkers": list(report.checkers),
        "templates": list(report.templates),
        "same": dict(report.same),
        "findings": [asdict(finding) for finding in report.findings],
        "not_held": [{"rule": rule, "times": n, "reason": NOT_HELD[rule]} for rule, n in report.not_held.items()],
        "acknowledged": [{**asdict(known.finding), "reason": known.reason} for known in report.acknowledged],
    }


def _line(finding: Finding) -> str:
    place = f"{finding.property_path}: " if finding.property_path else ""
    return f"{finding.severity} {finding.rule} [{finding.checker}] {place}{finding.message}"


def _clean(report: Report) -> str:
    return f"clean, {len(report.acknowledged)} acknowledged" if report.acknowledged else "clean"
