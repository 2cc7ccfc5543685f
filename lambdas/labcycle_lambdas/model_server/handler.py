"""The model server of one model."""

from __future__ import annotations

from functools import cache
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.model_server.loading import import_at_start
from labcycle_lambdas.model_server.making import make_server
from labcycle_lambdas.model_server.server import Server
from labcycle_lambdas.responding import settle

import_at_start()


@cache
def server() -> Server:
    """Made once a sandbox."""
    made = make_server()
    settle()
    return made


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return server().answer(Request.from_event(event)).to_event()
