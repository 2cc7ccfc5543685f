"""Which resources a value of a template refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from labcycle.check.template import Template

_PLACEHOLDER = re.compile(r"\$\{([^!${}][^${}]*)\}")


def referenced(value: Any) -> set[str]:
    """Logical ids of all resources and parameters in a value, by `Ref`, `Fn::GetAtt` and `Fn::Sub`."""
    return set(_referenced(value))


def _referenced(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _referenced(one)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key == "Ref" and isinstance(one, str):
                yield one
            elif key == "Fn::GetAtt":
                yield str(one[0]) if isinstance(one, list) else str(one).split(".", 1)[0]
            elif key == "Fn::Sub":
                text, given = (one[0], one[1]) if isinstance(one, list) else (one, {})
                yield from (name.split(".", 1)[0] for name in _PLACEHOLDER.findall(str(text)) if name not in given)
                yield from _referenced(given)
            else:
                yield from _referenced(one)


def exports(template: Template) -> Iterator[tuple[Any, Any]]:
    """Name and value of every export of a stack."""
    for output in template.body.get("Outputs", {}).values():
        if isinstance(output, Mapping) and isinstance(output.get("Export"), Mapping):
            yield output["Export"].get("Name"), output.get("Value")


def imports(value: Any) -> Iterator[Any]:
    """Name of every export that a value reads."""
    if isinstance(value, list):
        for one in value:
            yield from imports(one)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key == "Fn::ImportValue":
                yield one
            else:
                yield from imports(one)
