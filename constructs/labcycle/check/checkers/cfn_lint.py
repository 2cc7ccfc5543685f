"""cfn-lint: errors and warnings of its rules for the region."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError, Finding
from labcycle.check.template import Template

from .checker import DEFAULT_REGION, OneByOne
from .program import answer_of

_NO_FILE = ["--config-file", os.devnull]  # cfn-lint would read .cfnlintrc
# A resource takes about 20 ms, nearly all of it in the library's walk through the schemas; a program 1.5 s to start. The
# other checkers run meanwhile, so that a second program pays only where this one would end last.
_WORTH_A_PROGRAM, _WORTH_ANOTHER = 60, 300


class CfnLint(OneByOne):
    """Its rules are loaded once a process; where there is much to do, it is done by as many programs as there are processors."""

    def __init__(self) -> None:
        if importlib.util.find_spec("cfnlint") is None:
            raise ImportError("there is no cfnlint", name="cfnlint")
        self.name = f"cfn-lint {importlib.metadata.version('cfn-lint')}"

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        """Findings of the levels error and warning; none can be switched off by a template or a .cfnlintrc."""
        shares = _shares(templates)
        if not shares:
            yield from super().check(templates, estate)
            return
        requests = [
            [{"name": one.name, "text": one.text, "region": one.region, "file": str(one.file)} for one in share]
            for share in shares
        ]
        with ThreadPoolExecutor(len(requests)) as programs:
            for found in programs.map(lambda request: answer_of(f"{__name__}_program", request), requests):
                yield from (Finding(**one) for one in found)

    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """Findings in a template, in this process.

        Raises
        ------
        CheckError
            If a rule of the library fails.
        """
        from cfnlint.config import ConfigMixIn
        from cfnlint.decode.decode import decode_str
        from cfnlint.runner import run_template_by_data

        config: Any = ConfigMixIn(_NO_FILE, regions=[template.region or DEFAULT_REGION], mandatory_checks=["E", "W"])
        decoded, errors = decode_str(template.text)
        matches: list[Any] = (
            list(errors) if errors or decoded is None else list(run_template_by_data(decoded, config, self._rules))
        )
        for match in matches:
            if match.rule.id == "E0002":  # "unknown exception while processing a rule"
                raise CheckError(f"a rule failed: {match.message}")
            path = [str(part) for part in getattr(match, "path", None) or ()]
            on_resource = path[:1] == ["Resources"] and len(path) > 1
            logical_id = path[1] if on_resource else ""
            yield template.finding(
                logical_id,
                match.rule.id,
                "cfn-lint",
                str(match.rule.severity),
                match.message,
                property_path=".".join(path[2:] if on_resource else path),
            )

    @cached_property
    def _rules(self) -> Any:
        from cfnlint.config import ConfigMixIn
        from cfnlint.runner import Runner

        return Runner(ConfigMixIn(_NO_FILE)).rules


def _shares(templates: Sequence[Template]) -> list[list[Template]]:
    """The templates in parts of about the same size, one for each program; none where a program is not worth it."""
    resources = sum(map(_size, templates))
    programs = max(1, resources // _WORTH_ANOTHER) if resources >= _WORTH_A_PROGRAM else 0
    count = min(os.cpu_count() or 1, len(templates), programs)
    shares: list[list[Template]] = [[] for _ in range(count)]
    for template in sorted(templates, key=_size, reverse=True) if shares else ():
        min(shares, key=lambda share: sum(map(_size, share))).append(template)
    return shares


def _size(template: Template) -> int:
    return len(template.body["Resources"])
