"""The keys of issuers of tokens, found as API Gateway finds them, and kept for two hours as it keeps them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from labcycle.local.tokens import DISCOVERY, TokenRefused

KEPT_SECONDS = 7_200
TIME_OUT_SECONDS = 1.5
_played: dict[str, str] = {}
_kept: dict[str, tuple[dict[str, Any], float]] = {}


def play(url: str, address: str) -> None:
    """The issuer `url` is asked at `address` from now on: this cloud does not reach the internet."""
    _played[url] = address
    _kept.pop(url, None)


def keys(url: str) -> dict[str, Any]:
    """The key set of an issuer. Raises `TokenRefused` where it does not answer as one."""
    known, end = _kept.get(url, ({}, 0.0))
    if time.monotonic() < end:
        return known
    try:
        discovery = _ask(_played.get(url, url).rstrip("/") + DISCOVERY)
        if discovery["issuer"] != url:
            raise TokenRefused(f"the discovery of {url} calls it {discovery['issuer']}")
        found = _ask(str(discovery["jwks_uri"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TokenRefused(f"the issuer {url} does not answer: {error}") from None
    _kept[url] = (found, time.monotonic() + KEPT_SECONDS)
    return found


def _ask(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=TIME_OUT_SECONDS) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found
