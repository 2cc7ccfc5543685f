"""What a checker is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError, Finding
from labcycle.check.template import Template

DEFAULT_REGION = "us-east-1"  # where a template does not say


class Checker(Protocol):
    """Holds templates against its rules. Any exception that it raises means that it could not.

    Attributes
    ----------
    name
        With the version.
    by_shape
        Whether it says the same of templates that differ in names alone, so that one of them is enough.
    """

    name: str
    by_shape: bool

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        """All that is wrong with the templates.

        Parameters
        ----------
        estate
            All templates that are deployed together, these among them.
        """
        ...


class OneByOne(ABC):
    """A checker that looks at one template after the other."""

    by_shape = True

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        """All that is wrong with the templates.

        Raises
        ------
        CheckError
            With the name of the template that could not be checked.
        """
        for template in templates:
            try:
                yield from self.check_one(template, estate)
            except (Exception, SystemExit) as error:  # whatever it is, it is not a pass
                kind = "" if isinstance(error, CheckError) else f"{type(error).__name__}: "
                raise CheckError(f"{template.name}: {kind}{error}") from error

    @abstractmethod
    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """All that is wrong with a template."""
