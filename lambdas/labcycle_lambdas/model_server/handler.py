"""The model server of one model."""

from __future__ import annotations

import os
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.model_server.loading import import_at_start
from labcycle_lambdas.model_server.sandbox import INITIALIZATION_TYPE, Sandbox

import_at_start()
sandbox = Sandbox()
sandbox.start(os.environ.get(INITIALIZATION_TYPE, ""))


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    return sandbox.server().answer(Request.from_event(event)).to_event()
