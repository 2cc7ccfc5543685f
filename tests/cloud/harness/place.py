"""An account and region, and clients that speak to it. The access key names the account."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

_KEY = re.compile(r"TEST0000(\d{12})")  # moto takes only what has 20 characters for an access key


@dataclass(frozen=True)
class Place:
    account: str
    region: str

    @classmethod
    def of_arn(cls, arn: str, region: str = "") -> Place:
        """Where an ARN lives; `region` for services whose ARNs name none."""
        parts = arn.split(":")
        return cls(parts[4], parts[3] or region)

    def client(self, service: str) -> Any:
        """A boto3 client of this account and region."""
        return _client(self, service)


def access_key(account: str) -> str:
    """The access key with which a client speaks to `account`."""
    return f"TEST0000{account}"


@functools.cache
def _client(place: Place, service: str) -> Any:
    return boto3.Session(access_key(place.account), "testing", region_name=place.region).client(service)  # type: ignore[call-overload]


def account_from_access_key(original: Callable[[str], str]) -> Callable[[str], str]:
    """Replaces moto's look-up, so that several accounts live in one process."""

    def account(key: str) -> str:
        match = _KEY.fullmatch(key)
        return match.group(1) if match else original(key)

    return account
