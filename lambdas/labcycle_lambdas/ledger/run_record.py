"""What is stored of one run, beside its metric points: a small header that changes often, and pages of the rest.

The header holds the status, the latest point of each metric and the newest points (points.py). Params, tags, inputs and
outputs are one packed mapping, since DynamoDB charges a change on the whole item that it is made in. Latest points for
which the header has no room are packed in pages of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labcycle_lambdas.ledger.datasets import Dataset
from labcycle_lambdas.ledger.experiments import Experiment, Stage
from labcycle_lambdas.ledger.pages import Pages
from labcycle_lambdas.ledger.points import Entry, Metric, rank
from labcycle_lambdas.ledger.records import HEADER
from labcycle_lambdas.ledger.table import Create, Doc, Item, Replace, Table, Write

REST, LATEST = "REST/", "LATEST/"
# What an entry of the rest is, before its own key.
PARAM, TAG, DATASET, INPUT, OUTPUT = KINDS = ("p/", "t/", "d/", "i/", "o/")
DIRTY = "DIRTY/"
BEGUN, ENDED = "begun", "ended"  # of an erasure, in the header
_LATEST_BYTES = 6_000  # in the header


@dataclass(frozen=True)
class DatasetInput:
    """A data set that a run used; `tags` hold its context (`mlflow.data.context`)."""

    dataset: Dataset
    tags: dict[str, str]


@dataclass(frozen=True)
class Run:
    """Times in milliseconds since 1970; `end_time` is None while it runs. `metrics` holds the latest values."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    start_time: int
    end_time: int | None
    user_id: str
    lifecycle_stage: Stage
    artifact_uri: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    latest: dict[str, Metric] = field(default_factory=dict)
    dataset_keys: dict[str, dict[str, str]] = field(default_factory=dict)
    model_inputs: list[str] = field(default_factory=list)
    model_outputs: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Erasable:
    """What decides whether a run is let go. `changed_ms`: when it was written to last. `begun`, `ended`: its erasure."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    stage: Stage
    artifact_uri: str
    changed_ms: int
    begun: bool
    ended: bool


@dataclass
class RunRecord:
    """A run as it was read. Without `rest` and `overflow` where the header alone was asked for."""

    run_id: str
    header: Item
    rest: Pages
    overflow: Pages

    @property
    def experiment_id(self) -> str:
        return str(self.header.doc["experiment_id"])

    def entries(self, kind: str) -> dict[str, Any]:
        """What the rest has of a kind, by its own keys."""
        return {key[len(kind) :]: value for key, value in self.rest.entries().items() if key.startswith(kind)}

    def latest(self) -> dict[str, Entry]:
        return {**self.header.doc["latest"], **self.overflow.entries()}

    def writes(
        self, change: Mapping[str, Any], entries: Mapping[str, Any] | None = None, remove: Iterable[str] = ()
    ) -> list[Write]:
        """What changes the header, and entries of the rest (with their kinds before their keys); nothing for no change.

        The first change after the run was packed tells searches to look at the run itself again.
        """
        doc = self.header.doc | dict(change)
        writes = self.rest.writes(entries or {}, remove)
        if doc["pack"] is not None and (writes or doc != self.header.doc):
            doc["pack"] = None
            writes.append(Create(runs_partition(self.experiment_id), DIRTY + self.run_id, {}))
        return [*writes, Replace(self.header, doc)] if doc != self.header.doc else writes

    def header_after(self, writes: Iterable[Write]) -> Item:
        """The header as these leave it."""
        item = self.header
        docs = (write.doc for write in writes if isinstance(write, Replace) and write.item is item)
        return next((Item(item.pk, item.sk, doc, item.rev + 1) for doc in docs), item)

    def with_latest(self, points: Mapping[str, Entry]) -> tuple[dict[str, Any], list[Write]]:
        """What changes in the header for these points, and what is to be written of those for which it has no room."""
        held, beyond = dict(self.header.doc["latest"]), self.overflow.entries()
        size = sum(map(_entry_bytes, held))
        more: dict[str, Entry] = {}
        for key, entry in points.items():
            known = held.get(key) or beyond.get(key)
            if known and rank(entry) <= rank(known):
                continue
            if key not in held:
                if key in beyond or size + _entry_bytes(key) > _LATEST_BYTES:
                    more[key] = entry
                    continue
                size += _entry_bytes(key)
            held[key] = entry
        overflow = self.header.doc["overflow"] or bool(more)  # which may not have been read
        return {"latest": held, "overflow": overflow}, self.overflow.writes(more)

    def knows(self, keys: Iterable[str]) -> bool:
        """Whether the header alone tells what the latest points of these metrics are."""
        return not self.header.doc["overflow"] or all(key in self.header.doc["latest"] for key in keys)


def _entry_bytes(key: str) -> int:
    return len(key.encode()) + 45


def partition(run_id: str) -> str:
    return f"RUN#{run_id}"


def runs_partition(experiment_id: str) -> str:
    return f"RUNS#{experiment_id}"


def record_of(run_id: str, items: Iterable[Item]) -> RunRecord | None:
    """The record that consists of `items`; None where the header is not among them."""
    rest, overflow = Pages(partition(run_id), REST), Pages(partition(run_id), LATEST)
    header = None
    for item in items:
        if item.sk == HEADER:
            header = item
        else:
            (rest if item.sk.startswith(REST) else overflow).items.append(item)
    return RunRecord(run_id, header, rest, overflow) if header else None


def of_header(run_id: str, header: Item) -> RunRecord:
    """The record of which the header alone was read."""
    return RunRecord(run_id, header, Pages(partition(run_id), REST), Pages(partition(run_id), LATEST))


def read(table: Table, run_id: str) -> RunRecord | None:
    """The whole record, without points."""
    return record_of(run_id, table.query(partition(run_id)))


def times(table: Table, run_id: str) -> tuple[int | None, int | None]:
    """When a run began and ended, in milliseconds since 1970, by its header alone; None where there is no such run, and for an
    end that did not come yet. Raises `Throttled`."""
    header = table.get(partition(run_id), HEADER)
    return (header.doc["start_time"], header.doc["end_time"]) if header else (None, None)


def stage_of(header: Doc, experiment: Experiment) -> Stage:
    """The stage set last: the run's own, unless all runs of the experiment were moved after it was set."""
    own: Stage = header["stage"]
    return own if header["epoch"] == experiment.epoch else experiment.lifecycle_stage


def erasable(record: RunRecord, experiment: Experiment) -> Erasable:
    doc = record.header.doc
    erasure = doc["erasure"]
    return Erasable(
        record.run_id,
        record.experiment_id,
        doc["name"],
        doc["status"],
        stage_of(doc, experiment),
        artifact_uri(experiment, record.run_id),
        doc["changed"],
        begun=erasure == BEGUN,
        ended=erasure == ENDED,
    )


def artifact_uri(experiment: Experiment, run_id: str) -> str:
    return f"{experiment.artifact_location}/{run_id}/artifacts"


def run_of(
    run_id: str, header: Doc, latest: Mapping[str, Entry], rest: Mapping[str, Any], experiment: Experiment
) -> Run:
    """A run, from what is stored of it."""
    points = {key: Metric(key, float(value), timestamp, step) for key, (value, timestamp, step) in latest.items()}
    kinds: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for key, value in rest.items():  # once: a search makes thousands of runs
        kinds[key[:2]][key[2:]] = value
    outputs = [key.rpartition("@") for key in kinds[OUTPUT]]
    return Run(
        run_id=run_id,
        experiment_id=experiment.experiment_id,
        name=header["name"],
        status=header["status"],
        start_time=header["start_time"],
        end_time=header["end_time"],
        user_id=header["user_id"],
        lifecycle_stage=stage_of(header, experiment),
        artifact_uri=artifact_uri(experiment, run_id),
        params=kinds[PARAM],
        metrics={key: metric.value for key, metric in points.items()},
        tags=kinds[TAG],
        latest=points,
        dataset_keys=kinds[DATASET],
        model_inputs=list(kinds[INPUT]),
        model_outputs=[(model, int(step)) for model, _, step in outputs],
    )
