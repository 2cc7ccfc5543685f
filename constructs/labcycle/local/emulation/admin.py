"""The local cloud's own API, below `/_labcycle/`: status, clock, notices, refused deliveries, vendored
wheels, issuers of tokens, interruptions of jobs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ministack.core.responses import request_scope

from labcycle.local.emulation import alarms, clock, deliveries, issuers, jobs, lambda_runtime, notices, schedules
from labcycle.local.settings import Settings

PREFIX = "/_labcycle/"


class Admin:
    """ASGI application for the paths below `PREFIX`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routes: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "status"): self._status,
            ("POST", "advance"): self._advance,
            ("GET", "notices"): lambda asked: notices.inbox(),
            ("GET", "refusals"): lambda asked: deliveries.refused(),
            ("GET", "vendored"): lambda asked: lambda_runtime.swaps(),
            ("POST", "interrupt"): lambda asked: jobs.interrupt(asked["job"]),
            ("POST", "issuer"): lambda asked: issuers.play(asked["url"], asked["address"]),
        }

    async def __call__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Any
    ) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = bool(message.get("more_body", False))
        handler = self._routes.get((scope["method"], scope["path"].removeprefix(PREFIX)))
        if handler is None:
            await _answer(send, 404, {"message": "Not Found"})
            return
        with request_scope(self._settings.account, self._settings.region):
            try:
                found = await asyncio.to_thread(handler, json.loads(body or b"{}"))
            except ValueError as error:
                await _answer(send, 400, {"message": str(error)})
                return
        await _answer(send, 200, found)

    def _status(self, asked: dict[str, Any]) -> dict[str, Any]:
        settings = self._settings
        return {
            "start_id": settings.start_id,
            "pid": os.getpid(),
            "account": settings.account,
            "region": settings.region,
            "endpoint": settings.endpoint,
            "now": clock.now(),
            "clock_ahead_seconds": clock.offset(),
        }

    def _advance(self, asked: dict[str, Any]) -> dict[str, Any]:
        now = clock.advance(float(asked["seconds"]))
        schedules.fire_due()
        alarms.evaluate_all()
        return {"now": now}


async def _answer(send: Any, status: int, content: Any) -> None:
    body = json.dumps(content, default=str).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
