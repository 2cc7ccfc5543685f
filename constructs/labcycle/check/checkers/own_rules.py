"""Our own rules on what resources are together, in `check/rules/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError, Finding
from labcycle.check.rules import all_rules
from labcycle.check.template import Template


class OwnRules:
    """Looks at every template, since names and the account's other stacks matter to it."""

    by_shape = False

    def __init__(self) -> None:
        self._rules = all_rules()
        self.name = f"{len(self._rules)} rules of labcycle"

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        """Findings of all rules.

        Raises
        ------
        CheckError
            If a rule fails, with its id.
        """
        for rule in self._rules:
            for template in templates:
                try:
                    yield from rule.findings(template, estate)
                except Exception as error:  # whatever it is, it is not a pass
                    kind = type(error).__name__
                    raise CheckError(f"{template.name}: the rule {rule.id} failed: {kind}: {error}") from error
