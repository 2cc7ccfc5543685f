"""Names and stateful resources of templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labcycle.check.estate import Estate
from labcycle.check.template import Template

from .replacement import schema_of
from .stateful import holding_of


def given_name(estate: Estate, template: Template, logical_id: str) -> str:
    """The name that the template gives a resource, and no other one can have; empty if CloudFormation makes one."""
    schema = schema_of(str(template.resource(logical_id).get("Type", "")), template.region)
    value = template.properties(logical_id).get(schema.name) if schema and schema.name else None
    return "" if value is None else estate.text(template, value)


def stateful_resources(templates: Iterable[Template]) -> Iterator[tuple[Template, str, str]]:
    """Template, logical id and type of every resource that holds something."""
    estate = Estate(templates)
    for template, logical_id, resource in estate.resources():
        kind = str(resource.get("Type", ""))
        if holding_of(kind, template.properties(logical_id), given_name(estate, template, logical_id)):
            yield template, logical_id, kind
