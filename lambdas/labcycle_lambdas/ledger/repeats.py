"""Requests that come again: done once, and answered as often as they are asked.

A client repeats a call whose answer was lost. Where doing it again would make a second object, or fail because it is done,
the write that completes the request carries a mark with the request's key: all of it or nothing is written, so that
neither a function that dies nor two repeats at once do the same thing twice. The mark is there for a day at least, and
then DynamoDB's time to live takes it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.records import HEADER
from labcycle_lambdas.ledger.table import Mark, Table, Write

KEPT = timedelta(days=1)  # the client gives up after some minutes


@dataclass(frozen=True)
class Request:
    """`key`: of the caller and of the call. `content`: what is asked, as a hash: another content is another request."""

    key: str
    content: str


_current: ContextVar[tuple[Request, int] | None] = ContextVar("request", default=None)


def marks(**result: str | int) -> list[Write]:
    """To be written with what completes a request: nothing where the request has no key.

    `result` is what the answer to a repeat is made from.
    """
    current = _current.get()
    if current is None:
        return []
    request, expires = current
    return [Mark(_pk(request.key), HEADER, {"content": request.content, "result": result}, expires=expires)]


class Repeats:
    """The marks of a ledger."""

    def __init__(self, table: Table, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._now = now

    @contextmanager
    def marking(self, request: Request) -> Iterator[None]:
        """What completes `request` is written in here."""
        token = _current.set((request, int((self._now() + KEPT).timestamp())))
        try:
            yield
        finally:
            _current.reset(token)

    def done(self, request: Request) -> dict[str, Any] | None:
        """The result of a request that was done before, or None. Raises `OtherContent`, `Throttled`."""
        item = self._table.get(_pk(request.key), HEADER)
        if item is None:
            return None
        if item.doc["content"] != request.content:
            raise OtherContent
        result: dict[str, Any] = item.doc["result"]
        return result


class OtherContent(Exception):
    """The key belongs to a request that asked for something else."""


def _pk(key: str) -> str:
    return f"REQUEST#{key}"
