"""Show a report: as text, grouped by template and resource, or as plain data."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Any

from .finding import Acknowledged, Finding, Report
from .selection import NOT_HELD


def as_text(report: Report) -> str:
    """The report for people. Why a rule is and how to mend it is said where it comes up first."""
    lines: list[str] = []
    explained: set[str] = set()
    for (template, _), of_template in groupby(sorted(report.findings, key=_template), key=_template):
        lines += ["", template]
        for logical_id, found in groupby(of_template, key=lambda finding: finding.logical_id):
            one_by_one = list(found)
            lines.append("  " + "  ".join((logical_id or "(template)", *_where(one_by_one))))
            for finding in one_by_one:
                lines.append(f"    {_line(finding)}")
                if finding.rule not in explained:
                    explained.add(finding.rule)
                    lines += [
                        f"      {word}: {text}" for word, text in (("why", finding.why), ("mend", finding.mend)) if text
                    ]
    if report.acknowledged:
        lines += ["", "acknowledged"]
        for (rule, reason), known in _by_reason(report):
            places = sorted({f"{one.finding.template}/{one.finding.logical_id}" for one in known})
            lines.append(f"  {rule}: {reason}")
            lines += [f"    {place}" for place in places]
    if report.not_held:
        lines += ["", "not held against synthesized templates"]
        lines += [f"  {rule} ({count} times): {NOT_HELD[rule]}" for rule, count in report.not_held.items()]
    lines += ["", f"checked {_amount(report)} with", *(f"  {checker}" for checker in report.checkers)]
    lines.append(_outcome(report))
    return "\n".join(lines).lstrip("\n")


def as_document(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "clean": not report.findings,
        "checkers": list(report.checkers),
        "templates": list(report.templates),
        "resources": report.resources,
        "same": [{"template": name, "as": first} for name, first in report.same],
        "findings": [asdict(finding) for finding in report.findings],
        "not_held": [{"rule": rule, "times": n, "reason": NOT_HELD[rule]} for rule, n in report.not_held.items()],
        "acknowledged": [{**asdict(known.finding), "reason": known.reason} for known in report.acknowledged],
    }


def _template(finding: Finding) -> tuple[str, str]:
    """Stacks in two places may have one name, but not one file."""
    return finding.template, finding.file


def _where(findings: list[Finding]) -> list[str]:
    """The construct of a resource, and where it is made; else where it stands in the template."""
    finding = findings[0]
    place = finding.source or f"{finding.file}:{finding.line}"
    return [part for part in (finding.construct_path, place) if part]


def _line(finding: Finding) -> str:
    place = f"{finding.property_path}: " if finding.property_path else ""
    return f"{finding.severity} {finding.rule} [{finding.checker}] {place}{finding.message}"


def _by_reason(report: Report) -> list[tuple[tuple[str, str], list[Acknowledged]]]:
    def key(known: Acknowledged) -> tuple[str, str]:
        return known.finding.rule, known.reason

    return [(of, list(known)) for of, known in groupby(sorted(report.acknowledged, key=key), key)]


def _amount(report: Report) -> str:
    shapes = len(report.templates) - len(report.same)
    alike = f" of {shapes} shapes" if report.same else ""
    return f"{len(report.templates)} templates{alike} with {report.resources} resources"


def _outcome(report: Report) -> str:
    """The last line: how many findings are open, and how many acknowledged, which is told for each resource too."""
    share = f" ({len(report.acknowledged) / max(report.resources, 1):.3f} a resource)" if report.acknowledged else ""
    found = f"{len(report.findings)} findings" if report.findings else "clean"
    return f"{found}, {len(report.acknowledged)} acknowledged{share}"
