"""Render the packaged Jinja2 templates; an undefined variable is an error."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=PackageLoader("labcycle_templates", ""),
    undefined=StrictUndefined,
    autoescape=False,
    keep_trailing_newline=True,
)


def render(name: str, **values: object) -> str:
    """The template `name` (a path below labcycle_templates) with these values."""
    return _ENVIRONMENT.get_template(name).render(**values)
