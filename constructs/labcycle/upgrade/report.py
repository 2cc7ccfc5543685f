"""Show a comparison: as text, grouped by stack, or as plain data."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Any

from .comparison import Change, Comparison

_DATA = {"lost": "LOST", "kept": "kept", "at risk": "AT RISK"}


def as_text(comparison: Comparison) -> str:
    """The comparison for people."""
    lines: list[str] = []
    for template, changes in groupby(comparison.stateful, key=lambda change: change.template):
        lines += ["", _heading(template, comparison)]
        for change in changes:
            lines += _stateful(change)
    if comparison.stateless:
        lines += ["", "without data, replaced or deleted"]
        for template, changes in groupby(comparison.stateless, key=lambda change: change.template):
            lines.append(f"  {template}")
            lines += [f"    {_stateless(change)}" for change in changes]
    if comparison.new:
        lines += ["", f"new stacks: {', '.join(comparison.new)}"]
    lines += ["", _summary(comparison)]
    return "\n".join(lines).lstrip("\n")


def as_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison for programs."""
    return {
        "safe": not comparison.stateful,
        "stateful": [_document(change) for change in comparison.stateful],
        "stateless": [_document(change) for change in comparison.stateless],
        "orphaned_stacks": list(comparison.orphaned),
        "new_stacks": list(comparison.new),
        "updated_in_place": comparison.updated,
        "added": comparison.added,
    }


def _document(change: Change) -> dict[str, Any]:
    known = asdict(change)
    fate = known.pop("fate")
    return {**known, "data": fate["outcome"] if fate else None, "what_happens": fate["sentence"] if fate else ""}


def _heading(template: str, comparison: Comparison) -> str:
    if template not in comparison.orphaned:
        return template
    return (
        f"{template}  (not in the new version: CDK deletes no stack by itself, so that it stays deployed and is paid for; "
        "this is what its deletion would do)"
    )


def _stateful(change: Change) -> list[str]:
    assert change.fate is not None
    lines = [
        f"  {_action(change).upper()}  {change.kind}  {change.logical_id}"
        + "".join(f"  {known}" for known in (change.name, change.construct_path) if known)
    ]
    lines += [f"    cause  {cause}" for cause in change.causes]
    lines.append(f"    holds  {change.holds}")
    if change.refusal:
        lines.append(f"    stops  {change.refusal}")
    past = "Nothing is lost by that. Once it is got past: " if change.refusal else ""
    lines.append(f"    data   {past}{_DATA[change.fate.outcome]}. {change.fate.sentence}")
    if change.avoid:
        lines.append(f"    avoid  {change.avoid}")
    return lines


def _stateless(change: Change) -> str:
    causes = "; ".join((*change.causes, *([change.refusal] if change.refusal else [])))
    return f"{_action(change)} {change.kind} {change.logical_id}: {causes}"


def _action(change: Change) -> str:
    return change.action if change.certain else f"possibly {change.action}"


def _summary(comparison: Comparison) -> str:
    outcomes = [change.fate.outcome for change in comparison.stateful if change.fate]
    counts = ", ".join(f"{outcomes.count(one)} {one}" for one in ("lost", "at risk", "kept") if one in outcomes)
    first = (
        f"{len(outcomes)} resource{'s' * (len(outcomes) > 1)} with data would be replaced or deleted ({counts})"
        if outcomes
        else "no resource with data would be replaced or deleted"
    )
    return (
        f"{first}; {len(comparison.stateless)} without data; {comparison.updated} updated in place, "
        f"{comparison.added} new, in {comparison.compared} stacks"
    )
