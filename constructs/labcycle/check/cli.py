"""What `labcycle check` prints, and whether all is well."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import capacity, report, sarif
from .estate import Estate
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


def _capacity(estate: Estate) -> tuple[str, dict[str, Any], bool]:
    uses = capacity.capacity(estate)
    return capacity.as_text(uses), capacity.as_document(uses), not any(use.breaks for use in uses)


VIEWS: dict[str, Callable[[Estate], tuple[str, dict[str, Any], bool]]] = {"capacity": _capacity}
