"""What a worker process has: the model server, the timer that writes what it counts, and the thread of its shadow."""

from __future__ import annotations

import sys

from labcycle_lambdas.http import Request, Response
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.model_server.beside import Beside
from labcycle_lambdas.model_server.container import as_container
from labcycle_lambdas.model_server.environment import Environment
from labcycle_lambdas.model_server.flushing import Flushing
from labcycle_lambdas.model_server.live import CannotServe, NothingLive
from labcycle_lambdas.model_server.loading import import_at_start
from labcycle_lambdas.model_server.making import make_server
from labcycle_lambdas.model_server.wsgi import application


class Worker:
    """Loads the live version at once, so that the first request need not wait; without one it begins all the same. `container`: it
    answers as a container of SageMaker."""

    def __init__(self, *, container: bool = False) -> None:
        import_at_start()
        server = make_server(by_timer=True, write=_log)
        try:
            server.live.current()
        except (NothingLive, CannotServe, Throttled) as error:
            server.journal.error("nothing is served yet", why=f"{type(error).__name__}: {error}"[:500])
        self._beside = server.offering if isinstance(server.offering, Beside) else None
        self._flushing = Flushing(server)
        self._server = server
        answer = self._answer_and_write if Environment.read().suspended else server.answer
        self.application = application(as_container(answer) if container else answer)

    def _answer_and_write(self, request: Request) -> Response:
        response = self._server.answer(request)
        if request.path == "/invocations":  # the others count nothing
            self._flushing.write_in_request()
        return response

    def begin(self) -> None:
        self._flushing.start()
        if self._beside:
            self._beside.start()

    def end(self) -> None:
        """Write what is left."""
        if self._beside:
            self._beside.stop()
        self._flushing.stop()


def _log(line: str) -> None:
    """In one piece: many threads write."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
