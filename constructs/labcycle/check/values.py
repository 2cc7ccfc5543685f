"""Values of templates and policies, read whatever stands there: one or a list of them, or something else altogether."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def listed(value: Any) -> list[Any]:
    """The list that a value is, or the one value; none of None."""
    return value if isinstance(value, list) else [] if value is None else [value]


def texts(value: Any) -> tuple[str, ...]:
    """A text or a list of texts, as texts: booleans as JSON writes them, lists and objects left out."""
    return tuple(
        str(one).lower() if isinstance(one, bool) else str(one)
        for one in listed(value)
        if isinstance(one, str | int | float)
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """The object that a value is; empty where it is something else."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none where it is something else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
