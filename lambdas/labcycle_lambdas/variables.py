"""A function's settings: environment variables that its stack sets."""

from __future__ import annotations

from collections.abc import Mapping


def required(names: tuple[str, ...], variables: Mapping[str, str], function: str) -> list[str]:
    """The values of `names`, in that order. Raises `RuntimeError`, which names each variable that is missing or empty."""
    missing = [name for name in names if not variables.get(name)]
    if missing:
        raise RuntimeError(f"the {function} needs the environment variables {', '.join(missing)}")
    return [variables[name] for name in names]
