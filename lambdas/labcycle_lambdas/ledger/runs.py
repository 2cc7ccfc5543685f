"""Runs: everything that a search needs, of all runs of an experiment, stands in one partition; metric points do not.

Keys of the ledger's table (pk / sk)
------------------------------------
EXPERIMENTS / <experiment>/HEADER, /TAGS/<page>            one partition for all experiments
EXPERIMENT_NAME#<name> / HEADER                            -> experiment
RUNS#<experiment> / <run>/HEADER                           status, times, name, who: small, changed often
RUNS#<experiment> / <run>/METRICS|PARAMS|TAGS|INPUTS|OUTPUTS/<page>   packed mappings; METRICS: the latest points
RUN#<run> / HEADER                                         -> experiment; never changes
POINTS#<run> / <first timestamp>#<SHA-256 of the chunk>    metric points, a chunk a call
DATASETS#<experiment> / <SHA-256 of name and digest>[#<field>#<part>]
LOGGED_MODELS#<experiment> / <model>/HEADER, /METRICS|PARAMS|TAGS/<page>
LOGGED_MODEL#<model> / HEADER                              -> experiment; never changes
REGISTERED_MODELS / <name>                                 header of a registered model, with its uid
VERSIONS / <uid>/TAGS/<page>, <uid>/ALIAS/<alias>, <uid>.<version>/HEADER, /TAGS/<page>   all models in one partition
FILES#<uid>.<version> / <page>                             the pinned files of a version
REQUEST#<key> / HEADER                                     -> version made by the request of that idempotency key
CUSTODY#<subject> / HEAD, <sequence number>                the chain of custody
DEPLOYMENT#<model> / CURRENT, DETAIL#<content>             the deployment record, and what its versions bring along
PROFILE#<model>#<version> / <start>#<sandbox>#<number>     profiles of live traffic
DRIFT#<model> / STATE, EVALUATION#<time>                   drift evaluations
REACTION#<model> / LOCK, <execution>#<mark>                reactions

Every read is strongly consistent; there is no index. A mapping that may grow is packed in pages (pages.py).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from labcycle_lambdas.ledger.datasets import Dataset, Datasets, dataset_key
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.experiments import Experiment, Experiments, Stage
from labcycle_lambdas.ledger.points import Entry, Metric, history, rank, write_points
from labcycle_lambdas.ledger.records import HEADER, Record, read, read_all
from labcycle_lambdas.ledger.table import Create, Exists, Replace, Table, Write
from labcycle_lambdas.ledger.times import milliseconds

RUN_NAME_TAG = "mlflow.runName"
LOGGED_MODELS_TAG = "mlflow.loggedModels"
DATASET_CONTEXT_TAG = "mlflow.data.context"
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.ASCII)
_GROUP = 40  # entries of one transaction: each opens a page at most, and a transaction holds 100 items and 4 MB


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


class ParamChanged(Refused):
    """A parameter was logged before with another value. `conflicts`: (key, old value, new value)."""

    def __init__(self, run_id: str, conflicts: Sequence[tuple[str, str, str]]) -> None:
        self.run_id = run_id
        self.conflicts = conflicts
        shown = [{"key": key, "old_value": old, "new_value": new} for key, old, new in conflicts]
        super().__init__(
            f"Changing param values is not allowed. Params were already logged='{shown}' for run ID='{run_id}'."
        )


class Runs:
    """The runs of a ledger."""

    def __init__(
        self,
        table: Table,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        experiments: Experiments | None = None,
    ) -> None:
        self._table = table
        self._now = now
        self._experiments = experiments or Experiments(table, now=now)
        self._datasets = Datasets(table)
        self._experiment_of = lru_cache(maxsize=4096)(self._find)

    def create(
        self,
        *,
        experiment_id: str,
        user_id: str,
        run_name: str = "",
        start_time: int | None = None,
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> Run:
        """A new run in state RUNNING. With a `run_id` that is there already, that run is returned as it is.

        Raises
        ------
        NotFound
            If there is no such experiment.
        Refused
            If the experiment is deleted.
        """
        experiment = self._experiments.active(experiment_id)
        run_id = run_id or uuid.uuid4().hex
        name = run_name or (tags or {}).get(RUN_NAME_TAG, "") or run_id[:12]
        doc = {
            "name": name,
            "status": "RUNNING",
            "start_time": milliseconds(self._now) if start_time is None else start_time,
            "end_time": None,
            "user_id": user_id,
            "lifecycle_stage": "active",
            "epoch": experiment.epoch,
            "artifact_uri": f"{experiment.artifact_location}/{run_id}/artifacts",
        }
        record = Record(f"RUNS#{experiment_id}", run_id)
        all_tags = {**(tags or {}), RUN_NAME_TAG: name}
        with suppress(Exists):
            self._table.write(
                Create(f"RUN#{run_id}", HEADER, {"experiment_id": experiment_id}),
                Create(record.pk, f"{run_id}/{HEADER}", doc),
                *record.part("TAGS").writes(all_tags),
            )
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """Deleted ones too. Raises `NotFound`."""
        record = self._record(run_id)
        return _run(record, self._experiments.header(_experiment_id(record)))

    def of_experiment(self, experiment_id: str) -> Iterator[Run]:
        """All runs of an experiment, deleted ones too, in no useful order; none where there is no such experiment."""
        try:
            experiment = self._experiments.header(experiment_id)
        except NotFound:
            return
        for record in read_all(self._table, f"RUNS#{experiment_id}"):
            if record.header:
                yield _run(record, experiment)

    def update(
        self, run_id: str, *, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> Run:
        """Change what is given. Raises `NotFound`, `Refused` (deleted, unknown status)."""
        if status is not None and status not in STATUSES:
            raise Refused(f"Invalid run status '{status}'. Value must be one of {', '.join(STATUSES)}.")

        def work() -> None:
            record = self._active(run_id)
            assert record.header
            change: dict[str, Any] = {"status": status, "end_time": end_time, "name": run_name or None}
            writes: list[Write] = [
                Replace(record.header, record.header.doc | {k: v for k, v in change.items() if v is not None})
            ]
            if run_name:
                writes += record.part("TAGS").writes({RUN_NAME_TAG: run_name})
            self._table.write(*writes)

        self._table.until_unchanged(work)
        return self.get(run_id)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add metric points, parameters, tags, in this order. The same call again changes nothing.

        Raises
        ------
        NotFound
            If there is no such run.
        Refused
            If the run is deleted.
        ParamChanged
            If a parameter has another value already; nothing was written.
        """
        record = self._active(run_id)
        _check_params(run_id, record, params or {})
        if params:
            self._merge(run_id, record, "PARAMS", params)
        if metrics:
            write_points(self._table, run_id, metrics)
            self._merge(run_id, record, "METRICS", latest(metrics))
        if tags:
            self._merge(run_id, record, "TAGS", tags)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Raises `NotFound` where there is no such run or tag, `Refused` for a deleted run."""

        def work() -> None:
            record = self._active(run_id)
            if key not in record.entries("TAGS"):
                raise NotFound(f"No tag with name: {key} in run with id {run_id}")
            self._table.write(*record.part("TAGS").writes({}, [key]))

        self._table.until_unchanged(work)

    def log_inputs(self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()) -> None:
        """Record what a run used. What is recorded already stays, the tags of a data set included."""
        record = self._active(run_id)
        experiment_id = _experiment_id(record)
        changes: dict[str, Any] = {}
        for item in datasets:
            self._datasets.put(experiment_id, item.dataset)
            changes.setdefault("dataset:" + dataset_key(item.dataset.name, item.dataset.digest), item.tags)
        changes |= {f"model:{model_id}": {} for model_id in models}
        self._merge(run_id, record, "INPUTS", changes)

    def log_model(self, run_id: str, model: Mapping[str, Any], *, longest: int) -> None:
        """Add a model to the list in the tag `mlflow.loggedModels`, unless it is there; as clients before MLflow 3 log one.

        Raises
        ------
        NotFound
            If there is no such run.
        Refused
            If the run is deleted, the tag holds no list, or the list would have more than `longest` characters.
        """

        def work() -> None:
            record = self._active(run_id)
            models = _models_in(record.entries("TAGS").get(LOGGED_MODELS_TAG, "[]"))
            if model in models:
                return
            value = json.dumps([*models, model])
            if len(value) > longest:
                raise Refused(f"The tag '{LOGGED_MODELS_TAG}' would exceed the maximum length of {longest} characters.")
            self._table.write(*record.part("TAGS").writes({LOGGED_MODELS_TAG: value}))

        self._table.until_unchanged(work)

    def dataset_uses(self, experiment_id: str) -> list[tuple[str, str, str | None]]:
        """Name, digest and context of the data sets that runs of an experiment used, deleted ones too, each once."""
        uses = {
            (key, tags.get(DATASET_CONTEXT_TAG))
            for run in self.of_experiment(experiment_id)
            for key, tags in run.dataset_keys.items()
        }
        found = {key: self._datasets.identity(experiment_id, key) for key, _ in uses}
        return sorted(((*found[key], context) for key, context in uses), key=lambda use: (*use[:2], use[2] or ""))

    def log_outputs(self, run_id: str, models: Sequence[tuple[str, int]]) -> None:
        """Record the models (id, step) that a run made."""
        self._merge(run_id, self._active(run_id), "OUTPUTS", {f"{model}@{step}": {} for model, step in models})

    def datasets(self, run: Run, seen: dict[str, Dataset] | None = None) -> list[DatasetInput]:
        """The data sets that a run used; `seen` keeps what was read before."""
        seen = {} if seen is None else seen
        for key in run.dataset_keys:
            if (cached := f"{run.experiment_id}/{key}") not in seen:
                seen[cached] = self._datasets.get(run.experiment_id, key)
        return [DatasetInput(seen[f"{run.experiment_id}/{key}"], tags) for key, tags in run.dataset_keys.items()]

    def delete(self, run_id: str) -> None:
        """Hide the run; nothing is erased. Raises `NotFound`."""
        self._move(run_id, "deleted")

    def restore(self, run_id: str) -> None:
        """Show the run again. Raises `NotFound`."""
        self._move(run_id, "active")

    def history(self, run_id: str, key: str) -> list[Metric]:
        """All points of a metric in MLflow's order (timestamp, step, value); none where run or metric are unknown."""
        return history(self._table, run_id, key)

    def _move(self, run_id: str, stage: Stage) -> None:
        def work() -> None:
            record = self._record(run_id)
            assert record.header
            epoch = self._experiments.header(_experiment_id(record)).epoch
            self._table.write(Replace(record.header, record.header.doc | {"lifecycle_stage": stage, "epoch": epoch}))

        self._table.until_unchanged(work)

    def _merge(self, run_id: str, record: Record, part: str, changes: Mapping[str, Any]) -> None:
        """Merge `changes` into a packed mapping; `record` is what was read last."""
        entries = list(changes.items())
        for start in range(0, len(entries), _GROUP):
            group = dict(entries[start : start + _GROUP])
            fresh: Record | None = record if start == 0 else None

            def work(group: dict[str, Any] = group) -> None:
                nonlocal fresh
                current, fresh = fresh or self._active(run_id), None
                assert current.header
                known = current.entries(part)
                wanted = group
                if part == "PARAMS":
                    _check_params(run_id, current, group)
                elif part == "METRICS":
                    wanted = {k: v for k, v in group.items() if k not in known or rank(v) > rank(known[k])}
                elif part in ("INPUTS", "OUTPUTS"):
                    wanted = {k: v for k, v in group.items() if k not in known}
                writes = current.part(part).writes(wanted)
                if part == "TAGS" and (name := group.get(RUN_NAME_TAG)):
                    writes.append(Replace(current.header, current.header.doc | {"name": name}))
                self._table.write(*writes)

            self._table.until_unchanged(work)

    def _active(self, run_id: str) -> Record:
        record = self._record(run_id)
        experiment = self._experiments.header(_experiment_id(record))
        if _stage(record, experiment) != "active":
            raise Refused(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
        return record

    def _record(self, run_id: str) -> Record:
        record = read(self._table, f"RUNS#{self._experiment_of(run_id)}", run_id)
        if record.header is None:
            raise NotFound(f"Run with id={run_id} not found")
        return record

    def _find(self, run_id: str) -> str:
        item = self._table.get(f"RUN#{run_id}", HEADER) if _RUN_ID.fullmatch(run_id) else None
        if item is None:
            raise NotFound(f"Run with id={run_id} not found")
        return str(item.doc["experiment_id"])


def latest(metrics: Iterable[Metric]) -> dict[str, Entry]:
    """The latest point of each metric."""
    found: dict[str, Entry] = {}
    for metric in metrics:
        if metric.key not in found or rank(metric.entry()) > rank(found[metric.key]):
            found[metric.key] = metric.entry()
    return found


def _models_in(value: str) -> list[Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Refused(f"The tag '{LOGGED_MODELS_TAG}' holds no list of models: set it to [], then log the model again.")
    return found


def _check_params(run_id: str, record: Record, params: Mapping[str, str]) -> None:
    known = record.entries("PARAMS") if params else {}
    conflicts = [(k, known[k], v) for k, v in params.items() if k in known and known[k] != v]
    if conflicts:
        raise ParamChanged(run_id, conflicts)


def _experiment_id(record: Record) -> str:
    return record.pk.partition("#")[2]


def _stage(record: Record, experiment: Experiment) -> Stage:
    """The stage set last: the run's own, unless all runs of the experiment were moved after it was set."""
    assert record.header
    own: Stage = record.header.doc["lifecycle_stage"]
    return own if record.header.doc["epoch"] == experiment.epoch else experiment.lifecycle_stage


def _run(record: Record, experiment: Experiment) -> Run:
    assert record.header
    doc = record.header.doc
    points = {
        key: Metric(key, float(value), timestamp, step)
        for key, (value, timestamp, step) in record.entries("METRICS").items()
    }
    inputs = record.entries("INPUTS")
    outputs = [key.rpartition("@") for key in record.entries("OUTPUTS")]
    return Run(
        run_id=record.id,
        experiment_id=experiment.experiment_id,
        name=doc["name"],
        status=doc["status"],
        start_time=doc["start_time"],
        end_time=doc["end_time"],
        user_id=doc["user_id"],
        lifecycle_stage=_stage(record, experiment),
        artifact_uri=doc["artifact_uri"],
        params=record.entries("PARAMS"),
        metrics={key: metric.value for key, metric in points.items()},
        tags=record.entries("TAGS"),
        latest=points,
        dataset_keys={k.removeprefix("dataset:"): v for k, v in inputs.items() if k.startswith("dataset:")},
        model_inputs=[k.removeprefix("model:") for k in inputs if k.startswith("model:")],
        model_outputs=[(model, int(step)) for model, _, step in outputs],
    )
