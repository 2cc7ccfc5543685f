"""What a sandbox of Lambda keeps between requests, and what it does before the first one where Lambda starts it ahead of that.

A snapshot of a sandbox is begun from many times. What tells one sandbox from another is made anew each time, and so is what it
knows of the deployment record; the version that it has loaded stays at hand.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from labcycle_lambdas.model_server.making import Connections, make_server
from labcycle_lambdas.model_server.server import Server
from labcycle_lambdas.responding import settle

# The variable and its values: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
INITIALIZATION_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
PROVISIONED = "provisioned-concurrency"
SNAPSHOT = "snap-start"


class Sandbox:
    """`write` takes the lines of its log."""

    def __init__(self, write: Callable[[str], object] = print) -> None:
        self._write = write
        self._connections: Connections | None = None
        self._server: Server | None = None

    def server(self) -> Server:
        """Made once."""
        if self._server is None:
            self._connections = self._connections or Connections.open()
            self._server = make_server(write=self._write, connections=self._connections)
            settle()
        return self._server

    def start(self, initialization_type: str) -> None:
        """Load the live version, where Lambda starts the sandbox ahead of requests; elsewhere somebody waits already.

        What fails is told and is no failure of the start, with which a deployment would fail too: the first request tries again.
        """
        if initialization_type not in (PROVISIONED, SNAPSHOT):
            return
        try:
            if initialization_type == SNAPSHOT:
                # Of the runtime: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
                from snapshot_restore_py import register_after_restore  # type: ignore[import-not-found]

                register_after_restore(self.begin_anew)
            self.server().live.current()
        except Exception as error:  # noqa: BLE001 - whatever it is
            why = f"{type(error).__name__}: {error}"[:500]
            self._write(json.dumps({"level": "ERROR", "message": "no version is loaded ahead of requests", "why": why}))
        settle()
        if self._connections:
            self._connections.close()  # it may be hours until they are needed, and then they are of another sandbox, or cut

    def begin_anew(self) -> None:
        """After a snapshot was begun from."""
        random.seed()
        before, self._server = self._server, None
        if before:
            self.server().live.have_at_hand(before.live)
