"""Plants every fault, and runs all checkers on what comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from labcycle.check import guard
from labcycle.check.acknowledgement import sort_out
from labcycle.check.checkers import (
    CdkNag,
    CfnLint,
    Checker,
    CloudFormationValidate,
    OwnRules,
    Parliament,
    Secrets,
    StateLint,
)
from labcycle.check.estate import Estate
from labcycle.check.finding import Finding
from labcycle.check.selection import held
from labcycle.check.synthesis import synthesize
from labcycle.check.template import Template, templates_at

from .draft import Draft
from .faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
TOOLS = (
    "cloudformation-validate",
    "Guard rules",
    "cfn-lint",
    "cdk-nag",
    "parliament",
    "statelint",
    "rules in Python",
    "detect-secrets",
)
_GUARD_RULES = {rule.id for rule in guard.load()}


@dataclass(frozen=True)
class Caught:
    """What the gate says of a fault.

    Parameters
    ----------
    place
        Logical id of the resource where it is to be found.
    kind
        Type of that resource; empty where it is the template.
    rules
        By tool: ids of the rules that find there what was not there before.
    """

    fault: Fault
    place: str
    kind: str
    rules: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Case:
    """A template to be checked, and all that are deployed together."""

    template: Template
    estate: tuple[Template, ...]


def catch(folder: Path) -> list[Caught]:
    """Plant each fault by itself into a template of the app, and check it.

    Parameters
    ----------
    folder
        An empty folder, to synthesize to.
    """
    synthesize(ROOT, folder / "cdk.out")
    clean = templates_at(folder / "cdk.out")
    planted = [_plant(fault, clean, folder / fault.name) for fault in FAULTS]
    cases = list(dict.fromkeys(case for one in planted for case in (one.without, one.having)))
    found = dict(zip(cases, _check(cases), strict=True))
    return [_compared(one, found[one.without], found[one.having]) for one in planted]


@dataclass(frozen=True)
class _Planted:
    """A fault, the resource where it is to be found, and the case without it and with it."""

    fault: Fault
    place: str
    without: _Case
    having: _Case


def _plant(fault: Fault, clean: Sequence[Template], folder: Path) -> _Planted:
    ground = Draft(next(one for one in clean if one.name == fault.stack), clean, folder)
    if fault.onto:
        fault.onto(ground)
    draft = Draft(ground.template(), clean, folder) if fault.onto else ground
    own = ground.template()
    place = fault.plant(draft)
    return _Planted(fault, place, _case(fault, clean, own), _case(fault, clean, draft.template()))


def _case(fault: Fault, clean: Sequence[Template], own: Template) -> _Case:
    templates = {one.name: one for one in clean} | {own.name: own}
    return _Case(templates[fault.seen_in], tuple(templates.values()))


def _check(cases: Sequence[_Case]) -> list[list[tuple[str, Finding]]]:
    """By case: tool and finding, for those that stand."""
    with ThreadPoolExecutor() as threads:  # the first two have processes of their own
        runs = [threads.submit(_at_once, checker(), cases) for checker in (CdkNag, CfnLint)]
        runs.append(threads.submit(_one_by_one, cases))
        found = list(zip(*(run.result() for run in runs), strict=True))
    return [list(_standing(case, itertools.chain(*several))) for case, several in zip(cases, found, strict=True)]


def _at_once(checker: Checker, cases: Sequence[_Case]) -> list[list[Finding]]:
    """Findings by case; for checkers that start a program, and look at each template by itself."""
    names = [f"{number}" for number in range(len(cases))]
    templates = [replace(case.template, name=name) for name, case in zip(names, cases, strict=True)]
    by_case: dict[str, list[Finding]] = {name: [] for name in names}
    for finding in checker.check(templates, Estate(templates)):
        by_case[finding.template].append(finding)
    return [
        [replace(finding, template=case.template.name) for finding in by_case[name]]
        for name, case in zip(names, cases, strict=True)
    ]


def _one_by_one(cases: Sequence[_Case]) -> list[list[Finding]]:
    checkers: list[Checker] = [CloudFormationValidate(), OwnRules(), Parliament(), StateLint(), Secrets()]
    found = []
    for case in cases:
        estate = Estate(case.estate)
        found.append([finding for checker in checkers for finding in checker.check([case.template], estate)])
    return found


def _standing(case: _Case, findings: Iterable[Finding]) -> Iterator[tuple[str, Finding]]:
    counting, _ = held(dict.fromkeys(findings))
    for finding in sort_out(case.template, counting)[0]:
        yield _tool(finding), finding


def _tool(finding: Finding) -> str:
    if finding.checker != "labcycle":
        return finding.checker
    return "Guard rules" if finding.rule in _GUARD_RULES else "rules in Python"


def _compared(planted: _Planted, before: list[tuple[str, Finding]], after: list[tuple[str, Finding]]) -> Caught:
    known = {_said(finding) for _, finding in before}
    here = {
        (tool, finding.rule)
        for tool, finding in after
        if finding.logical_id == planted.place and _said(finding) not in known
    }
    return Caught(
        fault=planted.fault,
        place=planted.place,
        kind=str(planted.having.template.resource(planted.place).get("Type", "")),
        rules={tool: tuple(sorted(rule for by, rule in here if by == tool)) for tool in TOOLS},
    )


def _said(finding: Finding) -> tuple[str, str, str, str]:
    return finding.logical_id, finding.rule, finding.message, finding.property_path
