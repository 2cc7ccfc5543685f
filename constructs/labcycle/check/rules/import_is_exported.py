"""What is imported from a stack that is deployed with it, that stack exports."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.references import exports, imports
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "An import of a name that nobody exports fails in the middle of a deployment; no checker of one template can see it."
MEND = "Import the name of an output's Export in that stack, or add the output there."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, resource in template.resources():
        for path, argument in imports(resource.get("Properties"), ("Properties",)):
            name = estate.text(template, argument)
            exporting = _exporting(name, template, estate)
            if exporting and name not in {estate.text(exporting, one) for one, _ in exports(exporting)}:
                yield Violation(
                    logical_id, f"got an import of {name}, which {exporting.name} does not export", ".".join(path)
                )


def _exporting(name: str, template: Template, estate: Estate) -> Template | None:
    """The stack whose name the export begins with, as the CDK calls exports; other names may come from anywhere."""
    stack, colon, _ = name.partition(":")
    for other in estate.templates if colon else ():
        if other.name == stack and (other.account, other.region) == (template.account, template.region):
            return other
    return None
