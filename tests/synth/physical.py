"""Texts of template values as they will be in AWS, asked for by the names of stacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.template import Template


class Physical:
    """Resolves the values of all templates of an account and region.

    Parameters
    ----------
    templates
        By stack name.
    """

    def __init__(self, templates: Mapping[str, Mapping[str, Any]], account: str, region: str) -> None:
        self._templates = {
            stack: Template(stack, json.dumps(template), region, account) for stack, template in templates.items()
        }
        self._estate = Estate(self._templates.values())

    def name(self, stack: str, logical_id: str) -> str:
        """Name of a resource."""
        return self._estate.name(self._templates[stack], logical_id)

    def text(self, stack: str, value: Any) -> str:
        """`value`, which is a text or an intrinsic function."""
        return self._estate.text(self._templates[stack], value)
