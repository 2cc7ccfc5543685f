"""Tokens (JWT) for the addresses of the tracking API that take them, in place of a signature.

`MLFLOW_TRACKING_TOKEN` holds one token, which the stock client sends as it is. Tokens expire: with LABCYCLE_TOKEN_COMMAND,
a command that prints one (`cat /run/token` for a file that somebody keeps fresh), it is run again before the last one ends.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from labcycle.errors import LabcycleError

TOKEN = "MLFLOW_TRACKING_TOKEN"
COMMAND = "LABCYCLE_TOKEN_COMMAND"
_AHEAD_SECONDS = 60.0  # a token is replaced so long before its end: a call and its retries take some time
_TIMEOUT_SECONDS = 60


class NoToken(LabcycleError):
    """The command gave no token; the message says what it did."""


def bearer_token() -> str | None:
    """The token to send now; None where the variables name none.

    Raises
    ------
    NoToken
        If the command fails, or prints nothing that can be a token.
    """
    command = os.environ.get(COMMAND)
    return _fresh(command).get() if command else os.environ.get(TOKEN) or None


class FreshToken:
    """What a command prints, kept until shortly before the token ends; one that does not say when is not kept."""

    def __init__(self, command: str, clock: Callable[[], float] = time.time) -> None:
        self._command = command
        self._clock = clock
        self._lock = threading.Lock()
        self._kept, self._end = "", 0.0

    def get(self) -> str:
        """Raises `NoToken`. Safe to use from several threads, of which one runs the command."""
        with self._lock:
            if self._clock() >= self._end - _AHEAD_SECONDS:
                self._kept = self._run()
                self._end = _end_of(self._kept)
            return self._kept

    def _run(self) -> str:
        try:
            run = subprocess.run(
                shlex.split(self._command), capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise NoToken(
                f"{COMMAND} ({self._command}) cannot be run: {error}. Name a command that prints a token"
            ) from None
        found = run.stdout.strip()
        if run.returncode:
            raise NoToken(f"{COMMAND} ({self._command}) ended with {run.returncode}: {run.stderr.strip()[-300:]}")
        if not found or len(found.split()) != 1 or not found.isascii():
            raise NoToken(
                f"{COMMAND} ({self._command}) printed {len(found.split())} words; allowed a token, and nothing else"
            )
        return found


@cache
def _fresh(command: str) -> FreshToken:
    return FreshToken(command)


def _end_of(token: str) -> float:
    """When a JWT ends, in seconds since 1970; 0 where it does not say. https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4"""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return 0.0


class TokenRequest:
    """An auth object of `requests` that sends the token of the moment."""

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {bearer_token()}"
        request.register_hook("response", _forget_token)
        return request


def _forget_token(response: Any, *args: object, **kwargs: object) -> None:
    """A redirect leads to S3, by an address that is signed itself."""
    if response.is_redirect:
        response.request.headers.pop("Authorization", None)
