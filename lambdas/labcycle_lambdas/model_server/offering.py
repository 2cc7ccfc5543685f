"""Show the shadow what the live version answered, without making anybody wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from botocore.config import Config

from labcycle_lambdas.ledger.shadows import Offered
from labcycle_lambdas.model_server.comparing import Sums
from labcycle_lambdas.model_server.journal import Journal
from labcycle_lambdas.model_server.shown import Shown

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# Of an asynchronous call; Lambda takes 1 MB by now, not everywhere and not for the same price.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_BYTES = 256 * 1024
# What the live answer waits for at most; there is no second try.
INVOKE = Config(connect_timeout=0.25, read_timeout=0.5, retries={"total_max_attempts": 1}, parameter_validation=False)
COUNTED_EVERY_SECONDS = 10.0
FAILURES_IN_A_ROW = 3
REST_SECONDS = 10.0
Sent = Literal["sent", "too large", "not taken"]


class Offering(Protocol):
    """Raises nothing that the live answer would have to fail for, and costs it as little as can be."""

    def offer(self, shown: Shown) -> None: ...


class ToFunction:
    """On Lambda: an asynchronous call of another function. It is counted inside the request, every ten seconds at most."""

    def __init__(
        self,
        client: Callable[[], LambdaClient],
        function: str,
        offered: Sums[Offered],
        journal: Journal,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client` is asked for with the first request: most sandboxes never need one."""
        self._client = client
        self._function = function
        self._offered = offered
        self._journal = journal
        self._monotonic = monotonic
        self._made: LambdaClient | None = None
        self._failures = 0
        self._rests_until = float("-inf")

    def offer(self, shown: Shown) -> None:
        sent = self._send(shown)
        self._offered.add(shown.comparison, Offered(1, int(sent == "too large"), int(sent == "not taken")))
        self._offered.write(every_seconds=COUNTED_EVERY_SECONDS)

    def _send(self, shown: Shown) -> Sent:
        if len(shown.body) > EVENT_BYTES:
            return "too large"
        if self._monotonic() < self._rests_until:
            return "not taken"
        payload = shown.to_json()
        if len(payload) > EVENT_BYTES:
            return "too large"
        try:
            self._made = self._made or self._client()
            self._made.invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
        except Exception as error:  # noqa: BLE001 - whatever it is: the answer is there
            self._failures += 1
            self._journal.error(
                "the shadow was not shown a request",
                request_id=shown.request_id,
                version=shown.comparison.version,
                why=f"{type(error).__name__}: {error}"[:500],
            )
            if self._failures >= FAILURES_IN_A_ROW:
                self._failures, self._rests_until = 0, self._monotonic() + REST_SECONDS
            return "not taken"
        self._failures = 0
        return "sent"
