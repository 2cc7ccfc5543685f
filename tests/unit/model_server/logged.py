"""A bucket that keeps the last object under each key, and what stands in the objects."""

from __future__ import annotations

import gzip
import json
from typing import Any

from labcycle_lambdas.model_server.prediction_log import PredictionLog


class Bucket:
    """As far as `PredictionLog` uses it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0
        self.broken = False

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:
        if self.broken:
            raise RuntimeError("broken")
        self.puts += 1
        self.objects[Key] = Body

    def log(self, model: str, **more: Any) -> PredictionLog:
        client: Any = self
        return PredictionLog(lambda: client, "b", model, **more)

    def lines(self) -> dict[str, list[dict[str, Any]]]:
        """The lines of each object, by its name without its suffix."""
        return {key.removesuffix(".jsonl.gz"): lines_in(body) for key, body in self.objects.items()}

    def find(self, prediction_id: str, model: str = "m") -> dict[str, Any] | None:
        """The line that an id points to; None where there is none."""
        version, _, rest = prediction_id.partition("-")
        window, _, row = rest.rpartition("-")
        body = self.objects.get(f"predictions/{model}/{version}/{window}.jsonl.gz")
        lines = lines_in(body) if body else []
        return lines[int(row)] if int(row) < len(lines) else None


def lines_in(body: bytes) -> list[dict[str, Any]]:
    """As strict JSON: NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return [json.loads(line, parse_constant=refuse) for line in gzip.decompress(body).splitlines()]
