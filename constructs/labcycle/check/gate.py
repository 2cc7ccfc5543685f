"""Run every checker on what is to be deployed."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .acknowledgement import sort_out
from .checkers import Checker, all_checkers
from .estate import Estate
from .finding import Acknowledged, CheckError, Finding, Report
from .place import placed
from .selection import held
from .shape import distinct, repeated
from .synthesis import synthesize
from .template import Template, templates_at


def check(paths: Sequence[Path] = (), checkers: Sequence[Checker] | None = None) -> Report:
    """Check assemblies and templates.

    Parameters
    ----------
    paths
        Folders made by `cdk synth`, or templates. None: the app of the working folder is synthesized and checked.
    checkers
        Absent: all that there are.

    Raises
    ------
    CheckError
        If anything could not be checked: no template, an app that fails, a checker that is missing or fails.
    """
    checkers = all_checkers() if checkers is None else checkers
    if not checkers:
        raise CheckError("there is no checker. Install them with: pip install 'labcycle[check]'")
    with estates(paths) as found:
        return _summed([_checked(estate, checkers, root) for estate, root in found], checkers)


@contextmanager
def estates(paths: Sequence[Path]) -> Iterator[list[tuple[Estate, Path | None]]]:
    """What lies at each path, or the app of the working folder, whose templates exist as long as the context does.

    Each comes with the folder that its files are told relative to, None for the working folder.
    """
    if paths:
        yield [(Estate(templates_at(path)), None) for path in paths]
        return
    with tempfile.TemporaryDirectory(prefix="labcycle-check-") as folder:
        out = Path(folder) / "cdk.out"
        synthesize(Path.cwd(), out)
        yield [(Estate(templates_at(out)), Path(folder))]


def _checked(estate: Estate, checkers: Sequence[Checker], root: Path | None) -> Report:
    different, same = distinct(estate.templates)
    with ThreadPoolExecutor(len(checkers)) as threads:  # those with much to do have processes of their own
        runs = [
            threads.submit(_run, checker, different if checker.by_shape else estate.templates, estate)
            for checker in checkers
        ]
        found = [
            finding
            for checker, run in zip(checkers, runs, strict=True)
            for finding in (repeated(run.result(), same) if checker.by_shape else run.result())
        ]
    counting, not_held = held(dict.fromkeys(found))
    by_template: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in counting:
        by_template[finding.template, finding.file].append(finding)
    findings: list[Finding] = []
    acknowledged: list[Acknowledged] = []
    for template in estate.templates:
        standing, known = sort_out(template, by_template.pop(template.identity, []))
        findings += placed(standing, template, root)
        acknowledged += known
    if by_template:  # whatever they are about, it is not a pass
        raise CheckError(f"something was found of templates that are not there: {sorted(by_template)}")
    return Report(
        templates=tuple(template.name for template in estate.templates),
        resources=sum(len(template.body["Resources"]) for template in estate.templates),
        same=tuple((template.name, first.name) for template, first in same),
        checkers=tuple(checker.name for checker in checkers),
        findings=tuple(findings),
        acknowledged=tuple(acknowledged),
        not_held=dict(not_held),
    )


def _run(checker: Checker, templates: Sequence[Template], estate: Estate) -> list[Finding]:
    try:
        return list(checker.check(templates, estate))
    except (Exception, SystemExit) as error:  # whatever it is, it is not a pass
        kind = "" if isinstance(error, CheckError) else f"{type(error).__name__}: "
        raise CheckError(f"{checker.name} could not check everything: {kind}{error}") from error


def _summed(reports: Sequence[Report], checkers: Sequence[Checker]) -> Report:
    not_held: Counter[str] = Counter()
    for report in reports:
        not_held.update(report.not_held)
    return Report(
        templates=tuple(name for report in reports for name in report.templates),
        resources=sum(report.resources for report in reports),
        same=tuple(pair for report in reports for pair in report.same),
        checkers=tuple(checker.name for checker in checkers),
        findings=tuple(sorted(finding for report in reports for finding in report.findings)),
        acknowledged=tuple(
            sorted((one for report in reports for one in report.acknowledged), key=lambda one: one.finding)
        ),
        not_held=dict(sorted(not_held.items())),
    )
