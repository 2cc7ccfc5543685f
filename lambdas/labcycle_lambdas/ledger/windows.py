"""Keys of what the sandboxes of a model server write, each in windows of its own: by time, sandbox and number."""

from __future__ import annotations

from datetime import UTC, datetime

from labcycle_lambdas.ledger.times import stamp


def window_key(start: datetime, sandbox_id: str, number: int) -> str:
    """The sort key of a window: it keeps its number and its start until its write has been answered."""
    return f"{beginning(start)}#{sandbox_id}#{number:08d}"


def beginning(at: datetime) -> str:
    """Behind this stand the windows that started at `at` or later. A time without a zone is UTC."""
    return stamp(at if at.tzinfo else at.replace(tzinfo=UTC))


def window_id(start: datetime, sandbox_id: str, number: int) -> str:
    """The same window in names of objects and predictions. `sandbox_id`: lower-case letters and digits."""
    return f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sandbox_id}-{number}"


def log_key(model: str, version: int, window: str) -> str:
    """The object with the predictions of the window with this id, in the team's artifact bucket."""
    return f"predictions/{model}/{version}/{window}.jsonl.gz"


def prediction_id(version: int, window: str, row: int) -> str:
    """Names a row of the window with this id: a pointer to the line, which is never searched for."""
    return f"{version}-{window}-{row}"
