"""Metric points: packed a chunk a call, each chunk under a key made from its content, so that a repeated call changes nothing.

A point is identified by (run, metric, timestamp, step, value), a NaN being a value of its own. The latest point of a
metric is the greatest by (step, timestamp, value), where NaN takes part as 0: MLflow's rule.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.ledger.table import Put, Table

_CHUNK_BYTES = 200_000
Entry = list[Any]  # [value, timestamp, step]


@dataclass(frozen=True)
class Metric:
    """One point. `timestamp` in milliseconds since 1970. The model and the dataset it was measured on are not part of it."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""

    def entry(self) -> Entry:
        return [self.value, self.timestamp, self.step]


def rank(entry: Entry) -> tuple[int, int, float]:
    """What the latest point is chosen by."""
    value, timestamp, step = entry[:3]
    return (step, timestamp, 0.0 if math.isnan(value) else value)


def history_order(metric: Metric) -> tuple[int, int, float, bool]:
    """MLflow's order of a history: timestamp, step, value, NaN as 0."""
    nan = math.isnan(metric.value)
    return (metric.timestamp, metric.step, 0.0 if nan else metric.value, nan)


def partition(run_id: str) -> str:
    return f"POINTS#{run_id}"


def write_points(table: Table, run_id: str, metrics: Iterable[Metric]) -> None:
    """Write a chunk (several where one item cannot hold them)."""
    points = sorted({(m.key, m.timestamp, m.step, repr(float(m.value))): m for m in metrics}.items())
    chunk: dict[str, list[Entry]] = {}
    size = 0
    for _, metric in points:
        size += 60 + (0 if metric.key in chunk else len(metric.key.encode()))
        if size > _CHUNK_BYTES:
            _write_chunk(table, run_id, chunk)
            chunk, size = {}, 0
        chunk.setdefault(metric.key, []).append(metric.entry())
    if chunk:
        _write_chunk(table, run_id, chunk)


def _write_chunk(table: Table, run_id: str, chunk: dict[str, list[Entry]]) -> None:
    content = json.dumps(chunk, sort_keys=True, separators=(",", ":"))
    first = min(entry[1] for entries in chunk.values() for entry in entries)
    digest = hashlib.sha256(content.encode()).hexdigest()
    table.write(Put(partition(run_id), f"{first:020d}#{digest}", chunk))


def history(table: Table, run_id: str, key: str) -> list[Metric]:
    """All points of a metric, each once, in MLflow's order."""
    points = {
        (timestamp, step, repr(float(value))): Metric(key, float(value), timestamp, step)
        for chunk in _chunks(table, run_id)
        for value, timestamp, step in chunk.get(key, [])
    }
    return sorted(points.values(), key=history_order)


def sampled(points: Sequence[Metric], most: int) -> list[Metric]:
    """At most `most` points, evenly over all of them in the order of steps, the last one always among them.

    As MLflow's server samples: the first point of each of `most` buckets whose sizes differ by one at most, the larger ones
    first (SQL's NTILE); then the last point, instead of the last of these where there is no room for it.
    """
    ordered = sorted(points, key=_step_order)
    if len(ordered) <= most:
        return ordered
    size, larger = divmod(len(ordered), most)
    found = [ordered[number * size + min(number, larger)] for number in range(most)]
    return [*found[:-1], ordered[-1]]


def _step_order(metric: Metric) -> tuple[int, int, float, bool]:
    timestamp, step, value, nan = history_order(metric)
    return (step, timestamp, value, nan)


def _chunks(table: Table, run_id: str) -> Iterator[dict[str, list[Entry]]]:
    return (item.doc for item in table.query(partition(run_id)))
