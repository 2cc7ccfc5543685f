"""Load of one member that would starve the others is put off.

API Gateway throttles a door as a whole: at its limit it refuses whoever comes, and a sweep comes most often. So callers
are counted, in each sandbox and from time to time over all of them. Where the team is near its limit, who makes more than
an equal share of it is asked to come back in a second. A sandbox puts the same call off once alone, since a client gives up
after some repeats: a sweep becomes slower, and loses nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.load import Load
from labcycle_lambdas.ledger.table import Changed, Exists, Throttled
from labcycle_lambdas.members import Members
from labcycle_lambdas.mlflow_error import REQUEST_LIMIT_EXCEEDED, MlflowError

WINDOW_SECONDS = 5
REPORTED_CALLS = 20  # a sandbox tells the others of so many at once: one read and one write
NEAR = 0.7  # of the team's limit


class Shedding:
    """One sandbox's part.

    Parameters
    ----------
    requests_per_second
        At which API Gateway throttles a door; 0 where it does not, and nothing is put off.
    clock
        Seconds since 1970, the same for all sandboxes.
    """

    def __init__(
        self, load: Load, members: Members, requests_per_second: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._load, self._members, self._clock = load, members, clock
        self._limit = requests_per_second * WINDOW_SECONDS
        self._window = 0
        self._unreported: Counter[str] = Counter()
        self._known: tuple[int, Mapping[str, int]] = (0, {})
        self._put_off: dict[bytes, int] = {}

    def admit(self, request: Request) -> None:
        """Raises `MlflowError` (429) where the call is to come back."""
        if not self._limit:
            return
        who = self._members.who(request)
        caller = who.member or who.role  # whatever their sessions are called
        self._count(caller)
        if not self._takes_too_much(caller):
            return
        call = _digest(request)
        if self._put_off.pop(call, None) is None:
            self._put_off[call] = self._window
            raise MlflowError(
                REQUEST_LIMIT_EXCEEDED,
                f"The team {self._members.team} calls nearly as often as its API allows, and {caller} more often than an equal "
                f"share. The call is served when it comes again. Fewer calls are needed with log_batch, or asynchronous logging.",
            )

    def _count(self, caller: str) -> None:
        window = int(self._clock() // WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._unreported.clear()
            self._put_off = {call: at for call, at in self._put_off.items() if at >= window - 2}
        self._unreported[caller] += 1
        if self._unreported.total() % REPORTED_CALLS:
            return
        try:
            present, before = self._load.add(window, self._unreported)
        except (Exists, Changed, Throttled):
            return  # told with the next ones; who counts must not be in the way
        self._unreported.clear()
        busier = max(present, before, key=lambda calls: sum(calls.values()))
        self._known = (window, busier)

    def _takes_too_much(self, caller: str) -> bool:
        at, calls = self._known
        if at < self._window - 1 or sum(calls.values()) < NEAR * self._limit:
            return False
        return len(calls) > 1 and calls.get(caller, 0) > self._limit / len(calls)


def _digest(request: Request) -> bytes:
    """The same for a call and its repeats."""
    said = repr((request.caller, request.method, request.path, request.query, request.headers.get("idempotency-key")))
    return hashlib.sha256(said.encode() + request.body).digest()
