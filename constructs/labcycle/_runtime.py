"""What the server of a model is made from, where that is not ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from aws_cdk import Duration

from labcycle._assets import LAMBDA_PYTHON
from labcycle.config import Flavour, Lock

_ARCHITECTURE = "x86_64"
_MEMORY_MIB_A_CPU = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html


@dataclass(frozen=True)
class ModelRuntime:
    """A flavour of MLflow, and the lock of all packages that load and run versions of it.

    Versions that were logged with the same packages, or with those of the runtime that is `next` to it, are switched without a
    deployment; others are refused by a promotion.
    """

    flavour: Flavour
    lock: Lock
    next: ModelRuntime | None = None

    @property
    def digest(self) -> str:
        """Names what a version needs to find: flavour, Python, architecture and packages."""
        parts = [self.flavour, LAMBDA_PYTHON, _ARCHITECTURE, sorted(self.lock.pins.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def document(self) -> str:
        """As a promotion reads it, which holds versions against it."""
        told = self._told() | ({"next": self.next._told()} if self.next else {})
        return json.dumps(told, separators=(",", ":"))

    def _told(self) -> dict[str, object]:
        return {"flavour": self.flavour, "digest": self.digest, "python": LAMBDA_PYTHON, "pins": dict(self.lock.pins)}

    def environment(self, memory_mib: int | None = None) -> dict[str, str]:
        """Variables of what loads versions. Libraries begin a thread for each processor that they see; `memory_mib` of a function
        buys so many."""
        threads = 1 if memory_mib is None else max(1, memory_mib // _MEMORY_MIB_A_CPU)
        return {"FLAVOUR": self.flavour, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}

    def beside(self, folder: str, timeout: Duration, **archive: str) -> dict[str, str]:
        """The variable that tells where the packages of the next runtime lie, and that an answer may take `timeout`; none where there
        is no next one. `archive`: from where they are fetched first, by `bucket`, `key` and `sha256`."""
        if self.next is None:
            return {}
        told: dict[str, object] = {"digest": self.next.digest, "folder": f"{folder}/{self.next.digest}"}
        told |= {"seconds": timeout.to_seconds(), **archive}
        return {"NEXT_RUNTIME": json.dumps(told, separators=(",", ":"))}
