"""Logged models: what a run produced, before anybody registers it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.experiments import Experiments
from labcycle_lambdas.ledger.points import Metric, rank
from labcycle_lambdas.ledger.records import HEADER, Record, read, read_all
from labcycle_lambdas.ledger.repeats import marks
from labcycle_lambdas.ledger.table import Create, Replace, Table, Write
from labcycle_lambdas.ledger.times import milliseconds

VERSIONS_TAG = "mlflow.modelVersions"
STATUSES = ("LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_GROUP = 40


@dataclass(frozen=True)
class LoggedModel:
    """Times in milliseconds since 1970. `metrics`: the latest point for each metric, run and data set; with run ids."""

    model_id: str
    experiment_id: str
    name: str
    model_type: str
    source_run_id: str
    status: str
    artifact_uri: str
    creation_timestamp: int
    last_updated_timestamp: int
    lifecycle_stage: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[tuple[str, Metric]]


class LoggedModels:
    """The logged models of a ledger."""

    def __init__(
        self,
        table: Table,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        experiments: Experiments | None = None,
    ) -> None:
        self._table = table
        self._now = now
        self._experiments = experiments or Experiments(table, now=now)
        self._experiment_of = lru_cache(maxsize=4096)(self._find)

    def create(
        self,
        *,
        experiment_id: str,
        name: str,
        model_type: str = "",
        source_run_id: str = "",
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        model_id: str | None = None,
    ) -> LoggedModel:
        """A new logged model, pending; with a new `model_id`, unless the caller made one.

        Raises
        ------
        NotFound
            If there is no such experiment.
        Refused
            If the experiment is deleted, or there are more params and tags than one write holds.
        """
        experiment = self._experiments.active(experiment_id)
        model_id = model_id or f"m-{uuid.uuid4().hex}"
        time = milliseconds(self._now)
        doc = {
            "name": name,
            "model_type": model_type,
            "source_run_id": source_run_id,
            "status": "LOGGED_MODEL_PENDING",
            "artifact_uri": f"{experiment.artifact_location}/models/{model_id}/artifacts",
            "creation_timestamp": time,
            "last_updated_timestamp": time,
            "lifecycle_stage": "active",
        }
        record = Record(f"LOGGED_MODELS#{experiment_id}", model_id)
        self._table.write(
            Create(f"LOGGED_MODEL#{model_id}", HEADER, {"experiment_id": experiment_id}),
            Create(record.pk, f"{model_id}/{HEADER}", doc),
            *record.part("PARAMS").writes(params or {}),
            *record.part("TAGS").writes(tags or {}),
            *marks(model_id=model_id),
        )
        return self.get(model_id)

    def get(self, model_id: str, *, deleted: bool = False) -> LoggedModel:
        """Raises `NotFound`, also for a deleted one unless `deleted`."""
        model = _model(self._record(model_id))
        if model.lifecycle_stage != "active" and not deleted:
            raise _missing(model_id)
        return model

    def of_experiment(self, experiment_id: str, *, deleted: bool = False) -> Iterator[LoggedModel]:
        """The logged models of an experiment, the deleted ones only where they are asked for."""
        for record in read_all(self._table, f"LOGGED_MODELS#{experiment_id}"):
            if record.header and (deleted or record.header.doc["lifecycle_stage"] == "active"):
                yield _model(record)

    def finalize(self, model_id: str, status: str) -> LoggedModel:
        """Raises `NotFound`, `Refused` (not a status)."""
        if status not in STATUSES[1:]:
            raise Refused(f"Invalid model status: {status}. Expected statuses: {', '.join(STATUSES[1:])}")
        self._change_header(model_id, {"status": status})
        return self.get(model_id, deleted=True)

    def delete(self, model_id: str) -> None:
        """Hide it; nothing is erased. Deleting it again is no error. Raises `NotFound`."""
        if self.get(model_id, deleted=True).lifecycle_stage != "active":
            return
        self._change_header(model_id, {"lifecycle_stage": "deleted"})

    def set_tags(self, model_id: str, tags: Mapping[str, str]) -> LoggedModel:
        self.get(model_id)
        self._merge(model_id, "TAGS", tags)
        return self.get(model_id)

    def delete_tag(self, model_id: str, key: str) -> None:
        """Raises `NotFound`."""

        def work() -> None:
            record = self._record(model_id)
            if key not in record.entries("TAGS"):
                raise NotFound(f"No tag with key {key!r} found for logged model with ID '{model_id}'.")
            self._table.write(*record.part("TAGS").writes({}, [key]), *marks())

        self._table.until_unchanged(work)

    def log_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Raises `NotFound`, `Refused` where a parameter has another value already."""
        self.get(model_id, deleted=True)
        self._merge(model_id, "PARAMS", params)

    def metric_writes(self, run_id: str, metrics: Sequence[Metric]) -> list[Write]:
        """What keeps the latest of those points that name a model: to be written with the run's. Raises `NotFound`."""
        writes: list[Write] = []
        for model_id in sorted({metric.model_id for metric in metrics if metric.model_id}):
            record = self._record(model_id)
            known = record.entries("METRICS")
            found: dict[str, list[Any]] = {}
            for metric in metrics:
                if metric.model_id == model_id:
                    key = json.dumps([metric.key, run_id, metric.dataset_name, metric.dataset_digest])
                    best = found.get(key) or known.get(key)
                    if best is None or rank(metric.entry()) > rank(best):
                        found[key] = metric.entry()
            writes += record.part("METRICS").writes(found)
        return writes

    def registered_writes(self, model_id: str, name: str, version: int) -> list[Write]:
        """What notes on the model that it became a registered version: to be written with that version."""
        record = self._record(model_id)
        try:
            known = json.loads(record.entries("TAGS").get(VERSIONS_TAG, "[]"))
        except ValueError:
            known = []
        known = known if isinstance(known, list) else []
        entry = {"name": name, "version": version}
        return record.part("TAGS").writes({VERSIONS_TAG: json.dumps([*known, entry])}) if entry not in known else []

    def _change_header(self, model_id: str, change: Mapping[str, str]) -> None:
        def work() -> None:
            header = self._record(model_id).header
            assert header
            stamp = {"last_updated_timestamp": milliseconds(self._now)}
            self._table.write(Replace(header, header.doc | stamp | dict(change)), *marks())

        self._table.until_unchanged(work)

    def _merge(self, model_id: str, part: str, changes: Mapping[str, object]) -> None:
        entries = list(changes.items())
        for start in range(0, len(entries), _GROUP):
            group = dict(entries[start : start + _GROUP])

            def work(group: dict[str, object] = group) -> None:
                record = self._record(model_id)
                known = record.entries(part)
                if part == "PARAMS":
                    for key, value in group.items():
                        if known.get(key, value) != value:
                            raise Refused(
                                f"Changing param values is not allowed. Param with key='{key}' was already logged."
                            )
                self._table.write(*record.part(part).writes(group))

            self._table.until_unchanged(work)

    def _record(self, model_id: str) -> Record:
        record = read(self._table, f"LOGGED_MODELS#{self._experiment_of(model_id)}", model_id)
        if record.header is None:
            raise _missing(model_id)
        return record

    def _find(self, model_id: str) -> str:
        item = self._table.get(f"LOGGED_MODEL#{model_id}", HEADER) if _MODEL_ID.fullmatch(model_id) else None
        if item is None:
            raise _missing(model_id)
        return str(item.doc["experiment_id"])


def _missing(model_id: str) -> NotFound:
    return NotFound(f"Logged model with ID '{model_id}' not found.")


def _model(record: Record) -> LoggedModel:
    assert record.header
    metrics = []
    for key, (value, timestamp, step) in record.entries("METRICS").items():
        name, run_id, dataset_name, dataset_digest = json.loads(key)
        metric = Metric(name, float(value), timestamp, step, record.id, dataset_name, dataset_digest)
        metrics.append((run_id, metric))
    return LoggedModel(
        model_id=record.id,
        experiment_id=record.pk.partition("#")[2],
        params=record.entries("PARAMS"),
        tags=record.entries("TAGS"),
        metrics=metrics,
        **record.header.doc,
    )
