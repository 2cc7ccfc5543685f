"""What the gate found, and what was acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field

from labcycle.errors import LabcycleError


class CheckError(LabcycleError):
    """Something could not be checked: a checker is missing or crashed, a template or assembly cannot be had.

    Never taken for a pass: the command line exits 2.
    """


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that a checker holds against a template.

    Parameters
    ----------
    template
        Name of the template.
    logical_id
        Of the resource; empty where the finding is about another part of the template.
    rule
        Exact id of the rule, by which it is acknowledged.
    checker
        Who found it.
    construct_path
        The CDK construct of the resource; empty where it is not known.
    property_path
        The property within the resource, or the place within the template, with dots.
    why
        Why it matters, in a sentence; empty where the checker does not say.
    mend
        How to mend it, in a sentence.
    source
        File and line of the construct, where the assembly tells it.
    file, line
        Where the resource stands in its template's file; in a report on the app's own assembly, relative to it.
    """

    template: str
    logical_id: str
    rule: str
    checker: str
    severity: str
    message: str
    construct_path: str = ""
    property_path: str = ""
    why: str = ""
    mend: str = ""
    source: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Acknowledged:
    """A finding that the resource's own metadata acknowledges, with the reason given there."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Report:
    """The outcome of a check that could be made.

    Parameters
    ----------
    templates
        Names of all templates.
    resources
        How many resources they have together.
    same
        Templates of the shape of another one, with the name of that one: what depends on the shape alone was checked there.
    checkers
        Name and version of each checker that ran.
    not_held
        How often a rule that is not held against synthesized templates would have found something.
    """

    templates: tuple[str, ...]
    resources: int
    same: tuple[tuple[str, str], ...]
    checkers: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    not_held: dict[str, int] = field(default_factory=dict)
