"""Runs: what is logged of one is read and written by its own key; a search reads packs of them (packs.py)."""

from __future__ import annotations

import json
import re
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from labcycle_lambdas.ledger import packs, points, run_record
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.datasets import Dataset, Datasets, dataset_key
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.experiments import Experiment, Experiments, header_key, of_header
from labcycle_lambdas.ledger.last_written import LastWritten
from labcycle_lambdas.ledger.pages import Pages
from labcycle_lambdas.ledger.points import Metric, Position, added, history, latest, samples
from labcycle_lambdas.ledger.records import HEADER
from labcycle_lambdas.ledger.repeats import marks
from labcycle_lambdas.ledger.run_record import (
    DATASET,
    DIRTY,
    INPUT,
    OUTPUT,
    PARAM,
    REST,
    TAG,
    DatasetInput,
    Erasable,
    Run,
    RunRecord,
    partition,
    runs_partition,
    stage_of,
)
from labcycle_lambdas.ledger.table import Changed, Create, Exists, Table, Throttled, Write
from labcycle_lambdas.ledger.times import milliseconds, stamp
from labcycle_lambdas.ledger.who import LEDGER, Who

RUN_NAME_TAG = "mlflow.runName"
ERASED_TAG = "labcycle.erased"
LOGGED_MODELS_TAG = "mlflow.log-model.history"
DATASET_CONTEXT_TAG = "mlflow.data.context"
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.ASCII)
_AT_ONCE_BYTES = 400_000
_GROUP = 40  # entries of one transaction: each opens a page at most, and a transaction holds 100 items and 4 MB


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
        self._last = LastWritten(now, lambda: self._experiments.moves)

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
        now = milliseconds(self._now)
        header = {
            "experiment_id": experiment_id,
            "name": name,
            "status": "RUNNING",
            "start_time": now if start_time is None else start_time,
            "end_time": None,
            "user_id": user_id,
            "stage": "active",
            "epoch": experiment.epoch,
            "changed": now,
            "latest": {},
            "overflow": False,
            "tail": {},
            "chunks": [],
            "spilled": 0,
            "pack": None,
            "erasure": None,
        }
        entries = {TAG + key: value for key, value in {**(tags or {}), RUN_NAME_TAG: name}.items()}
        try:
            self._table.write(
                Create(partition(run_id), HEADER, header),
                *Pages(partition(run_id), REST).writes(entries),
                Create(runs_partition(experiment_id), DIRTY + run_id, {}),
                *marks(run_id=run_id),
            )
        except Exists:
            return self.get(run_id)
        return run_record.run_of(run_id, header, {}, entries, experiment)

    def get(self, run_id: str) -> Run:
        """Deleted ones too. Raises `NotFound`."""
        record = self._record(run_id)
        experiment = self._experiments.header(record.experiment_id)
        return run_record.run_of(run_id, record.header.doc, record.latest(), record.rest.entries(), experiment)

    def blocks(self, experiment_id: str, *, whole: bool) -> list[packs.Block]:
        """What a search looks at: all runs of an experiment as columns; none where there is no such experiment."""
        try:
            experiment = self._experiments.header(experiment_id)
        except NotFound:
            return []
        return packs.blocks(self._table, experiment, whole=whole)

    def at(self, places: Sequence[packs.Place]) -> list[Run]:
        """The runs at these places of blocks."""
        return packs.runs_at(self._table, places)

    def of_experiment(self, experiment_id: str) -> Iterator[Run]:
        """All runs of an experiment, deleted ones too, in no useful order; none where there is no such experiment."""
        seen: set[str] = set()
        for block in self.blocks(experiment_id, whole=True):
            fresh = [(block, row) for row, run_id in enumerate(block.ids) if run_id not in seen]
            seen.update(block.ids)
            yield from self.at(fresh)

    def keep_pace(self, new: Run) -> None:
        """Pack, at every tenth new run, so that packing keeps pace with what comes to be."""
        if zlib.crc32(new.run_id.encode()) % 10 == 0:
            self.pack(new.experiment_id, near=new.run_id)

    def pack(self, experiment_id: str, *, near: str) -> None:
        """Pack some runs for searches, where there is enough to pack; at the next occasion where somebody is in the way.

        `near`: the runs with the next higher ids are looked at.
        """
        with suppress(Exists, Changed, Throttled):
            packs.pack(self._table, experiment_id, milliseconds(self._now), near=near)

    def update(
        self,
        run_id: str,
        *,
        status: str | None = None,
        end_time: int | None = None,
        run_name: str | None = None,
        who: Who = LEDGER,
    ) -> Run:
        """Change what is given; ending a run, and going on with it, are events. Raises `NotFound`, `Refused` (deleted, unknown
        status)."""
        if status is not None and status not in STATUSES:
            raise Refused(f"Invalid run status '{status}'. Value must be one of {', '.join(STATUSES)}.")
        given: dict[str, Any] = {"status": status, "end_time": end_time, "name": run_name or None}
        change = {key: value for key, value in given.items() if value is not None}

        def work() -> None:
            record, _ = self._active(run_id, whole=bool(run_name))
            before, after = record.header.doc["status"], status or record.header.doc["status"]
            action = None
            if after != before and (after in packs.ENDED or before in packs.ENDED):
                action = "finished" if after in packs.ENDED else "resumed"
            writes = self._writes(record, change, {TAG + RUN_NAME_TAG: run_name} if run_name else {})
            self._record_event(record, action, who, {"status": after}, writes)

        self._table.until_unchanged(work)
        return self.get(run_id)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        also: Callable[[], Sequence[Write]] = tuple,
    ) -> None:
        """Add metric points, parameters, tags: all or nothing, unless they are too large to be written at once. The same
        call again changes nothing. `also` gives what is to be written with the points.

        Raises
        ------
        NotFound
            If there is no such run.
        Refused
            If the run is deleted.
        ParamChanged
            If a parameter has another value already; nothing was written.
        """
        params, tags = params or {}, tags or {}
        of_params = {PARAM + key: value for key, value in params.items()}
        of_tags = {TAG + key: value for key, value in tags.items()}
        if sum(len(key) + len(value) for part in (params, tags) for key, value in part.items()) * 4 < _AT_ONCE_BYTES:
            self._log(run_id, metrics, {**of_params, **of_tags}, also)
            return
        record, _ = self._active(run_id, whole=True)
        _check_params(record, of_params)
        for entries in (*_groups(of_params), *_groups(of_tags)):
            self._log(run_id, (), entries)
        self._log(run_id, metrics, {}, also)

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric],
        entries: Mapping[str, str],
        also: Callable[[], Sequence[Write]] = tuple,
    ) -> None:
        newest = latest(metrics)

        def work() -> None:
            last = None if entries else self._last.take(partition(run_id))
            moment = last.moment if last else self._last.moment()
            record = run_record.of_header(run_id, last.header) if last else self._active(run_id, whole=bool(entries))[0]
            if not record.knows(newest):
                record, _ = self._active(run_id, whole=True)
            _check_params(record, entries)
            change: dict[str, Any] = {}
            more: list[Write] = []
            if metrics:
                change, more = record.with_latest(newest)
                doc, chunks, manifests = added(run_id, record.header.doc, metrics)
                change |= {key: doc[key] for key in ("tail", "chunks", "spilled")}
                more += [*manifests, *also()]
                for chunk in chunks:
                    self._table.write(chunk)
            if name := entries.get(TAG + RUN_NAME_TAG):
                change["name"] = name
            writes = self._writes(record, change, entries, *more)
            if last and not writes:
                return work()  # nothing is written that would fail where the run was changed: read it
            self._table.write(*writes)
            self._last.leave(record.header_after(writes), moment)

        self._table.until_unchanged(work)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Raises `NotFound` where there is no such run or tag, `Refused` for a deleted run."""

        def work() -> None:
            record, _ = self._active(run_id, whole=True)
            if key not in record.entries(TAG):
                raise NotFound(f"No tag with name: {key} in run with id {run_id}")
            self._table.write(*record.writes({}, {}, [TAG + key]), *marks())

        self._table.until_unchanged(work)

    def log_inputs(self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()) -> None:
        """Record what a run used. What is recorded already stays, the tags of a data set included."""
        record, _ = self._active(run_id)
        entries: dict[str, Any] = {}
        for item in datasets:
            self._datasets.put(record.experiment_id, item.dataset)
            entries.setdefault(DATASET + dataset_key(item.dataset.name, item.dataset.digest), item.tags)
        self._keep(run_id, entries | {INPUT + model_id: {} for model_id in models})

    def log_outputs(self, run_id: str, models: Sequence[tuple[str, int]]) -> None:
        """Record the models (id, step) that a run made."""
        self._keep(run_id, {f"{OUTPUT}{model}@{step}": {} for model, step in models})

    def log_model(self, run_id: str, model: Mapping[str, Any], *, longest: int) -> None:
        """Add a model to the list in the tag `mlflow.log-model.history`, unless it is there; as clients before MLflow 3 log one.

        Raises
        ------
        NotFound
            If there is no such run.
        Refused
            If the run is deleted, the tag holds no list, or the list would have more than `longest` characters.
        """

        def work() -> None:
            record, _ = self._active(run_id, whole=True)
            models = _models_in(record.entries(TAG).get(LOGGED_MODELS_TAG, "[]"))
            if model in models:
                return
            value = json.dumps([*models, model])
            if len(value) > longest:
                raise Refused(f"The tag '{LOGGED_MODELS_TAG}' would exceed the maximum length of {longest} characters.")
            self._table.write(*record.writes({}, {TAG + LOGGED_MODELS_TAG: value}))

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

    def datasets(self, run: Run, seen: dict[str, Dataset] | None = None) -> list[DatasetInput]:
        """The data sets that a run used; `seen` keeps what was read before."""
        seen = {} if seen is None else seen
        for key in run.dataset_keys:
            if (cached := f"{run.experiment_id}/{key}") not in seen:
                seen[cached] = self._datasets.get(run.experiment_id, key)
        return [DatasetInput(seen[f"{run.experiment_id}/{key}"], tags) for key, tags in run.dataset_keys.items()]

    def delete(self, run_id: str, who: Who = LEDGER) -> None:
        """Hide the run; nothing is erased. Raises `NotFound`."""
        self._move(run_id, "deleted", "deleted", who)

    def restore(self, run_id: str, who: Who = LEDGER) -> None:
        """Show the run again. Raises `NotFound`."""
        self._move(run_id, "active", "restored", who)

    def history(self, run_id: str, key: str, after: Position | None = None) -> Iterator[Metric]:
        """The points of a metric in MLflow's order (timestamp, step, value), each once, read as they are asked for; none
        where run or metric are unknown. `after`: only those behind this position."""
        item = self._table.get(partition(run_id), HEADER)
        return history(self._table, run_id, item.doc, key, after) if item else iter(())

    def samples(self, run_id: str, key: str, steps: range | None, most: int) -> list[Metric]:
        """At most `most` points of a metric, evenly over its steps, those outside of `steps` left out."""
        item = self._table.get(partition(run_id), HEADER)
        return samples(self._table, run_id, item.doc, key, steps, most) if item else []

    def erasable(
        self, experiment_id: str, may_go: Callable[[str, str], bool], after: str, most: int
    ) -> tuple[list[Erasable], str]:
        """The first `most` runs of an experiment behind the id `after` whose status and stage may go, and the id of the
        last one, "" where there are no more."""
        ids: set[str] = set()
        met: set[str] = set()
        for block in self.blocks(experiment_id, whole=False):
            for run_id, status, stage in zip(block.ids, block.attribute("status"), block.stages(), strict=True):
                if run_id not in met and run_id > after and may_go(str(status), stage):
                    ids.add(run_id)
                met.add(run_id)
        chosen = sorted(ids)[:most]
        if not chosen:
            return [], ""
        experiment = self._experiments.header(experiment_id)
        records = packs.records_of(self._table, chosen, whole=False)
        return [run_record.erasable(record, experiment) for record in records], chosen[-1] if len(ids) > most else ""

    def erasable_one(self, run_id: str) -> Erasable:
        """Raises `NotFound`."""
        return run_record.erasable(*self._open(run_id))

    def begin_erasure(self, run_id: str, who: Who, rule: Mapping[str, Any]) -> None:
        """Forget where the points of a run are, and say so in its record and its chain of custody; the rest stays."""

        def work() -> None:
            record, _ = self._open(run_id, whole=True)
            at = self._now()
            change = {"tail": {}, "chunks": [], "spilled": 0, "erasure": run_record.BEGUN}
            writes = record.writes(change, {TAG + ERASED_TAG: stamp(at)})
            Custody(self._table, self._now).append(f"run/{run_id}", "erased", who, {"rule": dict(rule)}, *writes)

        self._table.until_unchanged(work)

    def erase_points(self, run_id: str, has_time: Callable[[], bool]) -> bool:
        """Delete all points of a run whose erasure was begun; False where the time was over before."""
        return self._table.delete_partition(points.partition(run_id), has_time)

    def end_erasure(self, run_id: str) -> None:
        def work() -> None:
            record, _ = self._open(run_id)
            self._table.write(*record.writes({"erasure": run_record.ENDED}))

        self._table.until_unchanged(work)

    def _move(self, run_id: str, stage: str, action: str, who: Who) -> None:
        def work() -> None:
            record, experiment = self._open(run_id)
            moved = stage_of(record.header.doc, experiment) != stage
            writes = self._writes(record, {"stage": stage, "epoch": experiment.epoch})
            self._record_event(record, action if moved else None, who, {}, writes)

        self._table.until_unchanged(work)

    def _record_event(
        self, record: RunRecord, action: str | None, who: Who, detail: Mapping[str, Any], writes: Sequence[Write]
    ) -> None:
        """Write these, and the event with them where they are one."""
        if action and writes:
            Custody(self._table, self._now).append(f"run/{record.run_id}", action, who, detail, *writes)
        else:
            self._table.write(*writes)

    def _keep(self, run_id: str, entries: Mapping[str, Any]) -> None:
        """Add those entries that are not there yet."""
        for group in _groups(entries):

            def work(group: Mapping[str, Any] = group) -> None:
                record, _ = self._active(run_id, whole=True)
                known = record.rest.entries()
                new = {key: value for key, value in group.items() if key not in known}
                self._table.write(*self._writes(record, {}, new))

            self._table.until_unchanged(work)
        if not entries:
            self._active(run_id)

    def _writes(
        self, record: RunRecord, change: Mapping[str, Any], entries: Mapping[str, Any] | None = None, *also: Write
    ) -> list[Write]:
        """What is to be written for these changes, with the time where they change the header; nothing for no change."""
        if also or any(record.header.doc[key] != value for key, value in change.items()):
            change = {**change, "changed": milliseconds(self._now)}
        else:
            change = {}
        return [*record.writes(change, entries), *also]

    def _active(self, run_id: str, *, whole: bool = False) -> tuple[RunRecord, Experiment]:
        """As `_open`. Raises `Refused` where the run is deleted."""
        record, experiment = self._open(run_id, whole=whole)
        if stage_of(record.header.doc, experiment) != "active":
            raise Refused(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
        if record.header.doc["erasure"] == run_record.BEGUN:
            raise Refused(f"The run {run_id} is being erased: it takes nothing until that is finished.")
        return record, experiment

    def _open(self, run_id: str, *, whole: bool = False) -> tuple[RunRecord, Experiment]:
        """The record (not `whole`: its header alone) and its experiment. Raises `NotFound`."""
        experiment_id = self._experiment_of(run_id)
        if whole:
            return self._record(run_id), self._experiments.header(experiment_id)
        items = self._table.get_many([(partition(run_id), HEADER), header_key(experiment_id)])
        record = run_record.of_header(run_id, items[partition(run_id), HEADER])
        return record, of_header(items[header_key(experiment_id)])

    def _record(self, run_id: str) -> RunRecord:
        record = run_record.read(self._table, run_id) if _RUN_ID.fullmatch(run_id) else None
        if record is None:
            raise _missing(run_id)
        return record

    def _find(self, run_id: str) -> str:
        item = self._table.get(partition(run_id), HEADER) if _RUN_ID.fullmatch(run_id) else None
        if item is None:
            raise _missing(run_id)
        return str(item.doc["experiment_id"])


def _missing(run_id: str) -> NotFound:
    return NotFound(f"Run with id={run_id} not found")


def _groups(entries: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    listed = list(entries.items())
    return (dict(listed[start : start + _GROUP]) for start in range(0, len(listed), _GROUP))


def _models_in(value: str) -> list[Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Refused(f"The tag '{LOGGED_MODELS_TAG}' holds no list of models: set it to [], then log the model again.")
    return found


def _check_params(record: RunRecord, entries: Mapping[str, str]) -> None:
    known = record.rest.entries() if entries else {}
    conflicts = [
        (key[len(PARAM) :], known[key], value)
        for key, value in entries.items()
        if key.startswith(PARAM) and known.get(key, value) != value
    ]
    if conflicts:
        raise ParamChanged(record.run_id, conflicts)
