"""What neither server may choose by itself: time, ids and random names are the same for both, request by request."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import patch

from labcycle_lambdas.tracking.run_names import readable_name

_START = 1_772_323_200  # seconds since 1970


class Seams:
    """The n-th request of a scenario happens n seconds after its start, and its ids follow from n."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new scenario."""
        self._requests: Counter[str] = Counter()
        self._request = 0
        self._made = 0
        self._last = uuid.UUID(int=0)

    def next_request(self, server: str) -> None:
        self._requests[server] += 1
        self._request = self._requests[server]
        self._made = 0

    def seconds(self) -> float:
        return float(_START + self._request)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def uuid4(self) -> uuid.UUID:
        self._made += 1
        digest = hashlib.sha256(f"{self._request}/{self._made}".encode()).digest()
        self._last = uuid.UUID(bytes=digest[:16])
        return self._last

    def name(self) -> str:
        """A name for a run or model that was given none: MLflow's server draws one, ours makes it from the id."""
        return readable_name(self._last.hex)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The clock of MLflow (server and client), all ids of this process, and random names are taken from here."""
        clock = SimpleNamespace(**{name: getattr(time, name) for name in dir(time)} | {"time": self.seconds})
        with (
            patch("mlflow.utils.time.time", clock),
            patch("uuid.uuid4", self.uuid4),
            patch("mlflow.store.tracking.sqlalchemy_store._generate_random_name", self.name),
        ):
            yield
