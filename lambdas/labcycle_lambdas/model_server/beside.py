"""The shadow in the process of the model server: one thread, which takes what waits in a queue and gives way to the answers.

Both use the same processors. The thread is the least urgent one, and so are those with which ONNX Runtime computes for it, since it
loads the version; only Python's lock is shared, as among requests.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextlib import suppress

from labcycle_lambdas.ledger.shadows import Offered
from labcycle_lambdas.model_server.comparing import Sums
from labcycle_lambdas.model_server.shadow import Shadow
from labcycle_lambdas.model_server.shown import Shown

QUEUED = 100
QUEUED_BYTES = 16_000_000  # labcycle_lambdas/lifecycle/preflight.py counts on it
_NICE = 10  # of 19
_END_SECONDS = 5.0


class Beside:
    """`offer` is called by any number of threads. What comes while the queue is full is counted, and forgotten."""

    def __init__(self, shadow: Shadow, offered: Sums[Offered]) -> None:
        self.shadow = shadow
        self._offered = offered
        self._queue: deque[Shown] = deque()
        self._bytes = 0
        self._ends = False
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def offer(self, shown: Shown) -> None:
        with self._something:
            taken = len(self._queue) < QUEUED and self._bytes + len(shown.body) <= QUEUED_BYTES and not self._ends
            if taken:
                self._queue.append(shown)
                self._bytes += len(shown.body)
                self._something.notify()
        self._offered.add(shown.comparison, Offered(1, not_taken=int(not taken)))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it finish what it scores; what waits is not seen."""
        with self._something:
            self._ends = True
            left = list(self._queue)
            self._queue.clear()
            self._something.notify()
        for shown in left:
            self._offered.add(shown.comparison, Offered(not_taken=1))
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def write(self) -> None:
        """What came since the last time. Raises what the write raises; nothing is lost by that."""
        self._offered.write()
        self.shadow.seen.write()

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own, which those that it begins have too
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            with self._something:
                self._something.wait_for(lambda: self._queue or self._ends)
                if self._ends:
                    return
                shown = self._queue.popleft()
                self._bytes -= len(shown.body)
            self.see(shown)

    def see(self, shown: Shown) -> None:
        """Nobody else hears what goes wrong here."""
        try:
            self.shadow.see(shown)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one may do
            self._offered.add(shown.comparison, Offered(not_taken=1))
            self.shadow.journal.error(
                "the shadow did not see a request",
                request_id=shown.request_id,
                version=shown.comparison.version,
                why=f"{type(error).__name__}: {error}"[:500],
            )
