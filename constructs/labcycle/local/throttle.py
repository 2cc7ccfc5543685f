"""API Gateway's throttle: a token bucket that holds `burst` tokens and gains `rate` tokens a second.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """Steady requests a second, and how many may come at once."""

    rate: float
    burst: float


class Throttle:
    """Token buckets by key (an API's stage, or one of its routes). Safe to use from several threads.

    Parameters
    ----------
    clock
        Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[Limit, float, float]] = {}  # limit, tokens, moment

    def admits(self, key: str, limit: Limit) -> bool:
        """Take one token; False where there is none. A changed limit starts with a full bucket."""
        with self._lock:
            now = self._clock()
            known, tokens, moment = self._buckets.get(key, (limit, limit.burst, now))
            if known != limit:
                tokens, moment = limit.burst, now
            tokens = min(limit.burst, tokens + (now - moment) * limit.rate)
            admitted = tokens >= 1
            self._buckets[key] = (limit, tokens - 1 if admitted else tokens, now)
            return admitted
