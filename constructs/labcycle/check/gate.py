"""Run every checker on every distinct template."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from .acknowledgement import sort_out
from .checkers import Checker, all_checkers
from .finding import CheckError, Finding, Report
from .selection import held
from .synthesis import synthesize
from .template import Template, distinct, templates_at


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
    if paths:
        return _checked([template for path in paths for template in templates_at(path)], checkers)
    with tempfile.TemporaryDirectory(prefix="labcycle-check-") as folder:
        out = Path(folder) / "cdk.out"
        synthesize(Path.cwd(), out)
        return _checked(templates_at(out), checkers)


def _checked(templates: Iterable[Template], checkers: Sequence[Checker]) -> Report:
    different, same = distinct(templates)
    findings: list[Finding] = []
    acknowledged = []
    not_held: Counter[str] = Counter()
    for template in different:
        found = [finding for checker in checkers for finding in _run(checker, template)]
        counting, left_out = held(dict.fromkeys(found))
        not_held += left_out
        standing, known = sort_out(template, counting)
        findings += standing
        acknowledged += known
    return Report(
        templates=tuple(template.name for template in different),
        same=same,
        checkers=tuple(checker.name for checker in checkers),
        findings=tuple(sorted(findings)),
        acknowledged=tuple(sorted(acknowledged, key=lambda one: one.finding)),
        not_held=dict(sorted(not_held.items())),
    )


def _run(checker: Checker, template: Template) -> list[Finding]:
    try:
        return list(checker.check(template))
    except (Exception, SystemExit) as error:  # whatever it is, it is not a pass
        kind = "" if isinstance(error, CheckError) else f"{type(error).__name__}: "
        raise CheckError(f"{checker.name} could not check {template.name}: {kind}{error}") from error
