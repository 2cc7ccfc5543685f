"""The two ways in which the ledger writes a time, and how one is read that others wrote."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime


def milliseconds(now: Callable[[], datetime]) -> int:
    """Milliseconds since 1970, as MLflow has it."""
    return int(now().timestamp() * 1000)


def stamp(at: datetime) -> str:
    """UTC in ISO 8601 with milliseconds: a fixed number of digits, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written(text: str) -> datetime | None:
    """The time that a text in ISO 8601 says, which is UTC where it names no zone; None where it says none."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
