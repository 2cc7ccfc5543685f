"""The two ways in which the ledger writes a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime


def milliseconds(now: Callable[[], datetime]) -> int:
    """Milliseconds since 1970, as MLflow has it."""
    return int(now().timestamp() * 1000)


def stamp(at: datetime) -> str:
    """UTC in ISO 8601 with milliseconds: a fixed number of digits, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
