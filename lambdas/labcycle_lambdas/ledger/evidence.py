"""What a registered version rests on, fixed at its registration: the record of its run, and the list of its files.

Both are named in the event by the SHA-256 of their canonical JSON. The record of a run may grow afterwards (metrics of
a later evaluation, its end), so that its digest alone could not be computed again: what it was is kept beside the event,
under its digest.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from labcycle_lambdas.ledger.custody import canonical
from labcycle_lambdas.ledger.errors import NotFound
from labcycle_lambdas.ledger.points import rank
from labcycle_lambdas.ledger.runs import Runs
from labcycle_lambdas.ledger.table import Doc, Put, Table

# Tags by which MLflow's client and ours say what code ran, and where.
FIXED_TAGS = ("mlflow.source.", "mlflow.project.", "mlflow.docker.", "mlflow.git", "lineage.", "labcycle.")
_PIECE_CHARACTERS = 250_000


def sha256(document: object) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()


class Evidence:
    """The evidence that a ledger keeps."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._runs = Runs(table)

    def of_run(self, run_id: str) -> Doc | None:
        """The record of a run as it is now, in the form that is fixed; None where there is no such run.

        A metric is its latest point: the value as Python writes a float, timestamp, step. An input holds the SHA-256 of all
        that is known of the data set.
        """
        try:
            run = self._runs.get(run_id)
        except NotFound:
            return None
        return {
            "schema_version": 1,
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "user_id": run.user_id,
            "start_time": run.start_time,
            "params": run.params,
            "metrics": {key: _point(m.value, m.timestamp, m.step) for key, m in run.latest.items()},
            "tags": {key: value for key, value in run.tags.items() if key.startswith(FIXED_TAGS)},
            "inputs": {
                f"{entry.dataset.name}@{entry.dataset.digest}": {
                    "tags": entry.tags,
                    "sha256": sha256(asdict(entry.dataset)),
                }
                for entry in self._runs.datasets(run)
            },
            "model_inputs": {model_id: {} for model_id in run.model_inputs},
        }

    def fix(self, record: Doc) -> str:
        """Keep a record of a run, and tell its digest. The same record again changes nothing."""
        text = canonical(record).decode()
        digest = sha256(record)
        for number, start in enumerate(range(0, len(text), _PIECE_CHARACTERS)):
            piece = {"text": text[start : start + _PIECE_CHARACTERS]}
            self._table.write(Put(_partition(digest), f"{number:04d}", piece, compressed=True))
        return digest

    def fixed(self, digest: str) -> str:
        """The text that is kept under a digest, whatever it is now; empty where it is gone or cannot be read."""
        try:
            return "".join(str(item.doc.get("text")) for item in self._table.query(_partition(digest)))
        except (ValueError, zlib.error):
            return ""

    def superseded(self, run_id: str, points: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """By metric, the latest of all logged points, for those of `points` that were logged."""
        found: dict[str, list[Any]] = {}
        for key, point in points.items():
            history = [
                _point(metric.value, metric.timestamp, metric.step) for metric in self._runs.history(run_id, key)
            ]
            if list(point) in history:
                found[key] = max(history, key=lambda p: rank([float(p[0]), p[1], p[2]]))
        return found


def _point(value: float, timestamp: int, step: int) -> list[Any]:
    return [repr(float(value)), timestamp, step]


def _partition(digest: str) -> str:
    return f"EVIDENCE#{digest}"
