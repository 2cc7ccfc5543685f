"""A function's settings: environment variables that its stack sets."""

from __future__ import annotations

from collections.abc import Mapping

_CREDENTIALS = ("AWS_ACCESS_KEY", "AWS_SECRET", "AWS_SESSION", "AWS_CONTAINER", "AWS_PROFILE")


def required(names: tuple[str, ...], variables: Mapping[str, str], function: str) -> list[str]:
    """The values of `names`, in that order. Raises `RuntimeError`, which names each variable that is missing or empty."""
    missing = [name for name in names if not variables.get(name)]
    if missing:
        raise RuntimeError(f"the {function} needs the environment variables {', '.join(missing)}")
    return [variables[name] for name in names]


def without_credentials(variables: Mapping[str, str]) -> dict[str, str]:
    """What a process gets that runs code of models: all but what tells of credentials."""
    return {name: value for name, value in variables.items() if not name.startswith(_CREDENTIALS)}
