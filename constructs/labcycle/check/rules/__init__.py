"""Our own rules on what several resources are together; what one resource must be stands in `guard/`.

One rule is one module. Its name, with dashes, is the rule's id, and the first line of its docstring what it asks for. It has:

- `WHY`: what goes wrong otherwise, in a sentence;
- `MEND`: how to mend it, in a sentence;
- `check(template, estate)`: yields what in `template` is against the rule.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from labcycle.check.estate import Estate
from labcycle.check.finding import Finding
from labcycle.check.template import Template


@dataclass(frozen=True)
class Violation:
    """One thing in a template that is against a rule.

    Parameters
    ----------
    logical_id
        Of the resource that is to be mended.
    message
        What was found and what is allowed.
    property_path
        Where in the resource, with dots.
    """

    logical_id: str
    message: str
    property_path: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule, as its module says it."""

    id: str
    sentence: str
    why: str
    mend: str
    check: Callable[[Template, Estate], Iterator[Violation]]

    def findings(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """What in the template is against the rule."""
        for violation in self.check(template, estate):
            yield template.finding(
                violation.logical_id,
                self.id,
                "labcycle",
                "error",
                violation.message,
                property_path=violation.property_path,
                why=self.why,
                mend=self.mend,
            )


def rule(module: str) -> Rule:
    """The rule of a module of this package."""
    found = importlib.import_module(f"{__name__}.{module}")
    sentence = str(found.__doc__).strip().splitlines()[0]
    return Rule(module.replace("_", "-"), sentence, found.WHY, found.MEND, found.check)


def all_rules() -> list[Rule]:
    """Every rule of this package, in the order of their ids."""
    return [rule(module.name) for module in pkgutil.iter_modules(__path__)]
