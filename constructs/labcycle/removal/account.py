"""The account and region that a command works on, as the environment names them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

_PATIENCE = Config(retries={"mode": "standard", "max_attempts": 8})  # deletions in a row are throttled


@dataclass(frozen=True)
class Account:
    """An account and region, by the usual variables and profiles of AWS.

    Parameters
    ----------
    client
        Makes the client of a service.
    sleep
        Waits some seconds.
    """

    client: Callable[[str], Any] = field(default_factory=lambda: _clients())
    sleep: Callable[[float], None] = time.sleep

    @cached_property
    def caller(self) -> dict[str, str]:
        """Who asks: `Account` and `Arn`."""
        found: dict[str, str] = self.client("sts").get_caller_identity()
        return found

    @property
    def region(self) -> str:
        """The region of all clients."""
        return str(self.client("cloudformation").meta.region_name)

    @property
    def sentence(self) -> str:
        """Where, and as whom."""
        return f"account {self.caller['Account']}, region {self.region}, as {self.caller['Arn']}"

    def pages(self, service: str, operation: str, key: str, **asked: Any) -> list[Any]:
        """What all pages of an answer hold under a key."""
        paginator = self.client(service).get_paginator(operation)
        return [one for page in paginator.paginate(**asked) for one in page.get(key, [])]


def _clients() -> Callable[[str], Any]:
    session: Any = boto3.session.Session()
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, config=_PATIENCE)
        return made[service]

    return client
