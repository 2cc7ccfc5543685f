"""What a model server keeps beside its profiles, as the variable CAPTURE tells."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Keeping:
    """`log`: each prediction. `sample_percent`: of the requests keep the features, too, but never those that are in `redact`.
    `cohorts`: features by whose values rows are told apart. `chances`: of the classes, also where they take a second computation."""

    log: bool = False
    sample_percent: float = 0.0
    redact: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    chances: bool = False

    @classmethod
    def of(cls, capture: str) -> Keeping:
        """As the variable has it; absent: profiles alone."""
        told = json.loads(capture) if capture else {}
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in told.items()}
        return cls(**values)

    @property
    def wanted_chances(self) -> Literal["no", "at hand", "always"]:
        """Which of the classes it can make use of."""
        if not self.log:
            return "no"
        return "always" if self.chances else "at hand"

    def told(self, error: Exception) -> str:
        """What a log may say of an error: where values are never kept, not its words, in which there may be some."""
        return type(error).__name__ if self.redact else f"{type(error).__name__}: {error}"[:500]

    def samples(self, request_id: str) -> bool:
        """Whether the features of this request are kept: always the same for an id, whoever answers it."""
        digest = hashlib.sha256(f"capture {request_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") * 100 < self.sample_percent * 2**64
