"""Write what a model server has counted, every second, and when it ends; where it may stand still between requests, with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from labcycle_lambdas.model_server.beside import Beside
from labcycle_lambdas.model_server.journal import PROFILE_WRITE_FAILURES
from labcycle_lambdas.model_server.server import Server

EVERY_SECONDS = 1.0  # who watches a roll-out waits for tallies
PROFILES_EVERY = 15  # of these; drift is a matter of hours, and a profile is written whole


class Flushing:
    """`wait` is told how long, and answers whether this is the end."""

    def __init__(
        self,
        server: Server,
        wait: Callable[[float], bool] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._monotonic = monotonic
        self._one_at_a_time = threading.Lock()
        self._written_at = float("-inf")
        self._beside = server.offering if isinstance(server.offering, Beside) else None
        self._end = threading.Event()
        self._wait = wait or self._end.wait
        self._thread = threading.Thread(target=self._run, name="flushing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the timer, and write what is left."""
        self._end.set()
        self._thread.join()
        self.write(profiles=True)
        if metering := self._server.metering:
            self._try("what the server uses", lambda: metering.flush(all_of_it=True))

    def write_in_request(self) -> None:
        """Write all, unless a request did so less than a second ago, or it is being done; a timer may have stood still since."""
        if self._monotonic() - self._written_at >= EVERY_SECONDS and self._one_at_a_time.acquire(blocking=False):
            self._written_at = self._monotonic()
            try:
                self._write(profiles=True)
            finally:
                self._one_at_a_time.release()

    def write(self, *, profiles: bool) -> None:
        """What cannot be written is told, kept and tried again."""
        with self._one_at_a_time:
            self._write(profiles=profiles)

    def _write(self, *, profiles: bool) -> None:
        self._try("the tally of the answers", self._server.counting.flush)
        if self._server.metering:
            self._try("what the server uses", self._server.metering.flush)
        if self._beside:
            self._try("what the shadow saw", self._beside.write)
        if profiles:
            self._try("the profile of the traffic", self._server.capture.flush)
            self._try("the profile of the traffic", self._server.canary_capture.flush)
            if self._beside:
                self._try("the profile of the shadow", self._beside.shadow.capture.flush)

    def _run(self) -> None:
        turn = 0
        while not self._wait(EVERY_SECONDS):
            turn += 1
            self.write(profiles=turn % PROFILES_EVERY == 0)

    def _try(self, what: str, flush: Callable[[], None]) -> None:
        try:
            flush()
        except Exception as error:  # noqa: BLE001 - whatever it is: the next turn tries again
            self._server.journal.count(
                PROFILE_WRITE_FAILURES,
                f"{what} could not be written; it is kept and tried again",
                error=f"{type(error).__name__}: {error}"[:500],
            )
