"""Which resources a value of a template refers to, and what a template takes from others and gives to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .template import Template
from .values import listed, mapping, mappings

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
                yield from (str(name).split(".", 1)[0] for name in listed(one)[:1])
            elif key == "Fn::Sub":
                text, given = one if isinstance(one, list) and len(one) == 2 else (one, {})
                names = set(_PLACEHOLDER.findall(str(text))).difference(mapping(given))
                yield from (name.split(".", 1)[0] for name in names)
                yield from _referenced(given)
            else:
                yield from _referenced(one)


def exports(template: Template) -> Iterator[tuple[Any, Any]]:
    """Name and value of every export of a stack."""
    for output in mappings([*mapping(template.body.get("Outputs")).values()]):
        if isinstance(output.get("Export"), Mapping):
            yield output["Export"].get("Name"), output.get("Value")


def imports(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every import in a value: where it stands, below `path`, and the name of the export."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from imports(one, (*path, str(number)))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key == "Fn::ImportValue":
                yield path, one
            else:
                yield from imports(one, (*path, str(key)))
