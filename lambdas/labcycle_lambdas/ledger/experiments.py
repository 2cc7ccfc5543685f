"""Experiments: the header and the tags of all of them in one partition, and one item a name for the look-up."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.errors import AlreadyExists, NotFound, Refused
from labcycle_lambdas.ledger.records import HEADER, Record, read, read_all
from labcycle_lambdas.ledger.repeats import marks
from labcycle_lambdas.ledger.table import Create, Delete, Exists, Item, Replace, Table, Write
from labcycle_lambdas.ledger.times import milliseconds
from labcycle_lambdas.ledger.who import LEDGER, Who

EXPERIMENTS = "EXPERIMENTS"
DEFAULT_ID = "0"
DEFAULT_NAME = "Default"
TAGS = "TAGS"
Stage = Literal["active", "deleted"]


@dataclass(frozen=True)
class Experiment:
    """Times in milliseconds since 1970. `epoch` counts how often all runs were deleted or restored at once."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: Stage
    creation_time: int
    last_update_time: int
    epoch: int = 0
    tags: dict[str, str] = field(default_factory=dict)


class Experiments:
    """The experiments of a ledger.

    Parameters
    ----------
    artifact_root
        `s3://<bucket>/experiments`: an experiment's artifacts go to `<artifact_root>/<experiment_id>`. Needed to create
        experiments, the default experiment included; not to read them.
    """

    def __init__(
        self, table: Table, artifact_root: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._table = table
        self._root = artifact_root
        self._now = now
        self._custody = Custody(table, now)
        self.moves = 0  # deletions and restorations that were tried here

    def create(
        self, name: str, artifact_location: str = "", tags: Mapping[str, str] | None = None, who: Who = LEDGER
    ) -> Experiment:
        """Raises `AlreadyExists`, also where a deleted experiment has that name."""
        self._keep_default_name(name)
        # Ids are ordered by time and never reused: MLflow wants strings that parse as an integer.
        experiment_id = f"{milliseconds(self._now)}{secrets.randbelow(10**5):05d}"
        return self._create(
            experiment_id, name, artifact_location, tags or {}, who, *marks(experiment_id=experiment_id)
        )

    def _create(
        self, experiment_id: str, name: str, location: str, tags: Mapping[str, str], who: Who, *also: Write
    ) -> Experiment:
        time = milliseconds(self._now)
        doc = {
            "name": name,
            "artifact_location": location or f"{self._root}/{experiment_id}",
            "lifecycle_stage": "active",
            "creation_time": time,
            "last_update_time": time,
            "epoch": 0,
        }
        record = Record(EXPERIMENTS, experiment_id)
        try:
            self._custody.append(
                f"experiment/{experiment_id}",
                "created",
                who,
                {"name": name, "artifact_location": doc["artifact_location"]},
                Create(_name_key(name), HEADER, {"experiment_id": experiment_id}),
                Create(EXPERIMENTS, f"{experiment_id}/{HEADER}", doc),
                *record.part(TAGS).writes(tags),
                *also,
            )
        except Exists:
            raise AlreadyExists(f"Experiment(name={name}) already exists.") from None
        return _experiment(experiment_id, doc, dict(tags))

    def get(self, experiment_id: str) -> Experiment:
        """Deleted ones too. The default experiment comes to be when it is first asked for. Raises `NotFound`."""
        record = self._record(experiment_id)
        assert record.header
        return _experiment(record.id, record.header.doc, record.entries(TAGS))

    def header(self, experiment_id: str) -> Experiment:
        """As `get`, without the tags: one item read."""
        item = self._table.get(EXPERIMENTS, f"{experiment_id}/{HEADER}")
        return _experiment(experiment_id, item.doc, {}) if item else self.get(experiment_id)

    def active(self, experiment_id: str) -> Experiment:
        """As `header`. Raises `NotFound`, and `Refused` where it is deleted."""
        experiment = self.header(experiment_id)
        if experiment.lifecycle_stage != "active":
            raise _deleted(experiment_id)
        return experiment

    def get_by_name(self, name: str) -> Experiment:
        """Deleted ones too. Raises `NotFound`."""
        item = self._table.get(_name_key(name), HEADER)
        if item is None and name == DEFAULT_NAME and self._root:
            return self.get(DEFAULT_ID)
        if item is None:
            raise NotFound(f"Could not find experiment with name '{name}'")
        return self.get(item.doc["experiment_id"])

    def all(self) -> Iterator[Experiment]:
        """Every experiment, deleted ones too, oldest first."""
        if self._root:
            self.header(DEFAULT_ID)
        for record in read_all(self._table, EXPERIMENTS):
            if record.header:
                yield _experiment(record.id, record.header.doc, record.entries(TAGS))

    def rename(self, experiment_id: str, name: str, who: Who = LEDGER) -> None:
        """Raises `NotFound`, `AlreadyExists`, `Refused` (deleted)."""

        self._keep_default_name(name)

        def work() -> None:
            header = self._header_item(experiment_id)
            if header.doc["lifecycle_stage"] != "active":
                raise Refused("Cannot rename a non-active experiment.")
            if header.doc["name"] == name:
                time = {"last_update_time": milliseconds(self._now)}
                return self._table.write(Replace(header, header.doc | time))
            if self._table.get(_name_key(name), HEADER):
                raise AlreadyExists(f"Experiment(name={name}) already exists.")
            old = self._table.get(_name_key(header.doc["name"]), HEADER)
            doc = header.doc | {"name": name, "last_update_time": milliseconds(self._now)}
            gone = [Delete(old)] if old else []
            self._custody.append(
                f"experiment/{experiment_id}",
                "renamed",
                who,
                {"new_name": name, "before": header.doc["name"]},
                Replace(header, doc),
                Create(_name_key(name), HEADER, {"experiment_id": experiment_id}),
                *gone,
            )

        self._table.until_unchanged(work)

    def delete(self, experiment_id: str, who: Who = LEDGER) -> None:
        """Hide the experiment and all its runs. Raises `NotFound`, also where it is deleted already."""
        self._move(experiment_id, "active", "deleted", "deleted", who)

    def restore(self, experiment_id: str, who: Who = LEDGER) -> None:
        """Show the experiment again, and all its runs. Raises `NotFound`, also where it is active."""
        self._move(experiment_id, "deleted", "active", "restored", who)

    def _move(self, experiment_id: str, before: Stage, after: Stage, action: str, who: Who) -> None:
        def work() -> None:
            header = self._header_item(experiment_id)
            if header.doc["lifecycle_stage"] != before:
                raise NotFound(f"No Experiment with id={experiment_id} exists")
            change = {"lifecycle_stage": after, "last_update_time": milliseconds(self._now)}
            # Runs are not touched one by one: a run's own stage counts only within the epoch it was set in.
            epoch = header.doc["epoch"] + 1
            write = Replace(header, header.doc | change | {"epoch": epoch})
            self._custody.append(f"experiment/{experiment_id}", action, who, {"epoch": epoch}, write, *marks())

        try:
            self._table.until_unchanged(work)
        finally:
            self.moves += 1

    def set_tag(self, experiment_id: str, key: str, value: str) -> None:
        self._change_tags(experiment_id, {key: value})

    def delete_tag(self, experiment_id: str, key: str) -> None:
        """Raises `NotFound` where there is no such tag."""
        self._change_tags(experiment_id, {}, key)

    def _change_tags(self, experiment_id: str, tags: Mapping[str, str], remove: str | None = None) -> None:
        def work() -> None:
            record = self._record(experiment_id)
            assert record.header
            if record.header.doc["lifecycle_stage"] != "active":
                raise _deleted(experiment_id)
            if remove is not None and remove not in record.entries(TAGS):
                raise NotFound(f"No tag with name: {remove} in experiment with id {experiment_id}")
            self._table.write(*record.part(TAGS).writes(tags, [remove] if remove is not None else []), *marks())

        self._table.until_unchanged(work)

    def _record(self, experiment_id: str) -> Record:
        record = read(self._table, EXPERIMENTS, experiment_id) if "/" not in experiment_id else Record("", "")
        if record.header is None and experiment_id == DEFAULT_ID and self._root:
            with suppress(AlreadyExists):  # another caller was faster
                self._create(DEFAULT_ID, DEFAULT_NAME, "", {}, LEDGER)
            record = read(self._table, EXPERIMENTS, experiment_id)
        if record.header is None:
            raise NotFound(f"No Experiment with id={experiment_id} exists")
        return record

    def _keep_default_name(self, name: str) -> None:
        """Let the default experiment come to be before another takes its name."""
        if name == DEFAULT_NAME and self._root:
            self.header(DEFAULT_ID)

    def _header_item(self, experiment_id: str) -> Item:
        header = self._record(experiment_id).header
        assert header
        return header


def _deleted(experiment_id: str) -> Refused:
    return Refused(f"The experiment {experiment_id} must be in the 'active' state. Current state is deleted.")


def _name_key(name: str) -> str:
    return f"EXPERIMENT_NAME#{name}"


def header_key(experiment_id: str) -> tuple[str, str]:
    """Where the header of an experiment is kept."""
    return EXPERIMENTS, f"{experiment_id}/{HEADER}"


def of_header(item: Item) -> Experiment:
    """An experiment from its header, without its tags."""
    return _experiment(item.sk.partition("/")[0], item.doc, {})


def _experiment(experiment_id: str, doc: Mapping[str, Any], tags: dict[str, str]) -> Experiment:
    return Experiment(experiment_id=experiment_id, tags=tags, **doc)
