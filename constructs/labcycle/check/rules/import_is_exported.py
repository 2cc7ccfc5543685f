"""What is imported from a stack that is deployed with it, that stack exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "An import of a name that nobody exports fails in the middle of a deployment; no checker of one template can see it."
MEND = "Import the name of an output's Export in that stack, or add the output there."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, resource in template.resources():
        for path, argument in _imports(resource.get("Properties"), ("Properties",)):
            name = estate.text(template, argument)
            exporting = _exporting(name, template, estate)
            if exporting and name not in _exports(exporting, estate):
                yield Violation(
                    logical_id, f"got an import of {name}, which {exporting.name} does not export", ".".join(path)
                )


def _imports(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _imports(one, (*path, str(number)))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key == "Fn::ImportValue":
                yield path, one
            else:
                yield from _imports(one, (*path, str(key)))


def _exporting(name: str, template: Template, estate: Estate) -> Template | None:
    """The stack whose name the export begins with, as the CDK calls exports; other names may come from anywhere."""
    stack, colon, _ = name.partition(":")
    for other in estate.templates if colon else ():
        if other.name == stack and (other.account, other.region) == (template.account, template.region):
            return other
    return None


def _exports(template: Template, estate: Estate) -> set[str]:
    outputs = template.body.get("Outputs")
    return {
        estate.text(template, output["Export"].get("Name"))
        for output in (outputs.values() if isinstance(outputs, Mapping) else ())
        if isinstance(output, Mapping) and isinstance(output.get("Export"), Mapping)
    }
