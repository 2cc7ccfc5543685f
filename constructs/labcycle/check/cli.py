"""What `labcycle check` prints, and whether all is well."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import capacity, failures, isolation, report, sarif
from .estate import Estate
from .finding import CheckError
from .gate import check, estates


def findings(paths: Sequence[Path], form: str) -> tuple[str, bool]:
    """The report as `text`, `json` or `sarif`; well is what has no finding.

    Raises
    ------
    CheckError
        If something could not be checked.
    """
    found = check(paths)
    if form == "text":
        return report.as_text(found), not found.findings
    document = sarif.as_sarif(found) if form == "sarif" else report.as_document(found)
    return json.dumps(document, indent=2), not found.findings


def view(name: str, paths: Sequence[Path], form: str) -> tuple[str, bool]:
    """Another look at the same templates, by its name in `VIEWS`, as `text` or `json`.

    What lies at all paths is looked at together: teams share an account, whatever assembly they come from.

    Raises
    ------
    CheckError
        If there is nothing to look at.
    """
    with estates(paths) as found:
        estate = Estate(template for one, _ in found for template in one.templates)
    text, document, well = VIEWS[name](estate)
    return (text if form == "text" else json.dumps(document, indent=2)), well


def _capacity(estate: Estate) -> View:
    uses = capacity.capacity(estate)
    unknown = capacity.unknown_codes(estate)
    return (
        capacity.as_text(uses, unknown),
        capacity.as_document(uses, unknown),
        not any(use.breaks for use in uses),
    )


def _failures(estate: Estate) -> View:
    rows = failures.failures(estate)
    unheard = sum(not row.heard for row in rows)
    document = [
        {"stack": row.template.name, "resource": row.logical_id, "fails": row.failure, "heard_by": list(row.heard)}
        for row in rows
    ]
    text = f"{failures.as_table(rows)}\n\n{len(rows)} ways to fail, {unheard} of which nobody hears"
    return text, {"unheard": unheard, "failures": document}, not unheard


def _isolation(estate: Estate) -> View:
    report = isolation.isolation(estate)
    if len(report.teams) < 2:
        raise CheckError(
            f"isolation: got {len(report.teams)} teams; allowed are two or more in one assembly, told by the tag labcycle:team. "
            "Synthesize several teams together"
        )
    document = {
        "holds": report.holds,
        "teams": list(report.teams),
        "checks": [{"of": a, "on": b, "services": dict(counted)} for (a, b), counted in sorted(report.checks.items())],
        "breaks": [asdict(one) for one in report.breaks],
        "takes_no_resource": [asdict(one) for one in report.exempt],
        "ways_out": [asdict(one) for one in report.ways_out],
        "not_covered": list(report.uncovered),
    }
    return f"{report.as_table()}\n{'isolated' if report.holds else 'NOT ISOLATED'}", document, report.holds


View = tuple[str, dict[str, Any], bool]
VIEWS: dict[str, Callable[[Estate], View]] = {"capacity": _capacity, "failures": _failures, "isolation": _isolation}
