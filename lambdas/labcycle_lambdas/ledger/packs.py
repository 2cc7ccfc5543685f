"""Runs packed for searches: what a search looks at of thousands of runs is read as a few large items.

A pack is two compressed items: columns (times, states, latest values) in the partition that a search reads, and the whole of
the same runs (params, tags, inputs, outputs, latest points) beside it, for filters that ask for it and for the answer. A run that was
changed since it was packed, or never was, has a mark in the partition instead, and is read itself. A mark goes only in the
transaction that packs the run, and comes back with the next change, so that a search that reads the marks first misses
nothing and shows nothing that is out of date. A run that is packed again stands in the later pack; the former row is
passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labcycle_lambdas.ledger.experiments import Experiment, Stage
from labcycle_lambdas.ledger.records import HEADER
from labcycle_lambdas.ledger.run_record import (
    DIRTY,
    REST,
    Run,
    RunRecord,
    artifact_uri,
    partition,
    read,
    record_of,
    run_of,
    runs_partition,
    stage_of,
)
from labcycle_lambdas.ledger.table import Check, Create, Delete, Doc, Item, Replace, Table

PACK = "PACK/"
ENDED = ("FINISHED", "FAILED", "KILLED")
QUIET_MS = 3_600_000  # a run that nobody wrote to for an hour is packed, whatever its status says
RUNS_A_PACK = 32
_ITEMS = 98  # of a transaction's 100, two are the pack's own
_PACK_BYTES = 350_000
_LOOKED_AT = 96
_ATTRIBUTES = ("start_time", "end_time", "status", "user_id", "stage", "epoch")
Value = str | float | int | None


@dataclass(frozen=True)
class Block:
    """Some runs of an experiment, as columns: `ids[row]`, `attribute("status")[row]`, ...

    `whole` holds what the columns leave out; None where it was not asked for. `pack` is 0 for the runs that are not packed.
    """

    experiment: Experiment
    ids: Sequence[str]
    columns: Doc
    whole: Sequence[Doc] | None
    pack: int = 0

    def attribute(self, name: str) -> Sequence[Value]:
        if name == "artifact_uri":
            return [artifact_uri(self.experiment, run_id) for run_id in self.ids]
        found: Sequence[Value] = self.ids if name == "run_id" else self.columns[name]
        return found

    def stages(self) -> list[Stage]:
        return [
            stage_of({"stage": stage, "epoch": epoch}, self.experiment)
            for stage, epoch in zip(self.columns["stage"], self.columns["epoch"], strict=True)
        ]

    def metric(self, key: str) -> Sequence[Value]:
        found: Sequence[Value] = self.columns["metrics"].get(key) or [None] * len(self.ids)
        return found

    def rest(self, key: str) -> Sequence[Value]:
        """Of params, tags and the like; `key` with its kind before it."""
        assert self.whole is not None
        return [row["rest"].get(key) for row in self.whole]

    def run(self, row: int, whole: Doc) -> Run:
        header = {"name": whole["name"], **{name: self.columns[name][row] for name in _ATTRIBUTES}}
        return run_of(self.ids[row], header, whole["latest"], whole["rest"], self.experiment)


Place = tuple[Block, int]


def blocks(table: Table, experiment: Experiment, *, whole: bool) -> list[Block]:
    """All runs of an experiment, deleted ones too. Of a run that stands in several blocks, the first one is right."""
    marks: list[str] = []
    packs: list[Item] = []
    for item in table.query(runs_partition(experiment.experiment_id)):  # marks come before packs
        if item.sk.startswith(DIRTY):
            marks.append(item.sk[len(DIRTY) :])
        else:
            packs.append(item)
    rows = _whole(table, experiment.experiment_id, map(_number, packs)) if whole else {}
    return [
        *([_unpacked(experiment, records_of(table, marks, whole=whole), whole=whole)] if marks else []),
        *(
            Block(experiment, item.doc["ids"], item.doc, rows.get(_number(item)), _number(item))
            for item in reversed(packs)
        ),
    ]


def runs_at(table: Table, places: Sequence[Place]) -> list[Run]:
    """The runs at these places, in this order."""
    missing = [(block, row) for block, row in places if block.whole is None]
    rows: dict[tuple[str, int], Sequence[Doc]] = {}
    for experiment_id in {block.experiment.experiment_id for block, _ in missing}:
        numbers = {b.pack for b, _ in missing if b.experiment.experiment_id == experiment_id and b.pack}
        found = _whole(table, experiment_id, numbers)
        rows |= {(experiment_id, number): whole for number, whole in found.items()}
    unpacked = [block.ids[row] for block, row in missing if not block.pack]
    records = {record.run_id: record for record in records_of(table, unpacked, whole=True)}

    def run(block: Block, row: int) -> Run:
        if block.whole is not None:
            return block.run(row, block.whole[row])
        if block.pack:
            return block.run(row, rows[block.experiment.experiment_id, block.pack][row])
        record = records[block.ids[row]]
        return run_of(record.run_id, record.header.doc, record.latest(), record.rest.entries(), block.experiment)

    return [run(block, row) for block, row in places]


def records_of(table: Table, run_ids: Sequence[str], *, whole: bool) -> list[RunRecord]:
    """Many records. Not `whole`: without the rest, and without latest points that the header has no room for."""
    names = (
        [HEADER, f"{REST}0000", f"{REST}0001"] if whole else [HEADER]
    )  # where there is a second page, there may be more
    items = table.get_many((partition(run_id), name) for run_id in run_ids for name in names)
    found = []
    for run_id in run_ids:
        record = record_of(run_id, [items[key] for name in names if (key := (partition(run_id), name)) in items])
        if record and (record.header.doc["overflow"] or len(record.rest.items) > 1):
            record = read(table, run_id)
        if record:
            found.append(record)
    return found


def pack(table: Table, experiment_id: str, now_ms: int, *, near: str = "") -> bool:
    """Pack runs that ended, or are quiet, where there are enough of them. Whether it did.

    `near`: where to begin to look, in the order of ids, so that runs that cannot be packed yet never stand in the way.

    Raises
    ------
    Exists, Changed, Throttled
        If somebody else packs, or a run was changed meanwhile: nothing was done.
    """
    marks = {item.sk[len(DIRTY) :]: item for item in table.query(runs_partition(experiment_id), DIRTY)}
    if len(marks) < RUNS_A_PACK:
        return False
    order = sorted(marks, key=lambda run_id: (run_id < near, run_id))[:_LOOKED_AT]
    ready = [
        record
        for record in records_of(table, order, whole=False)
        if record.header.doc["status"] in ENDED or record.header.doc["changed"] < now_ms - QUIET_MS
    ]
    if len(ready) < RUNS_A_PACK:
        return False
    chosen = _fitting(records_of(table, [record.run_id for record in ready[:RUNS_A_PACK]], whole=True))
    last = next(table.query(runs_partition(experiment_id), PACK, last_first=True), None)
    number = _number(last) + 1 if last else 1
    rows = [_row(record) for record in chosen]
    table.write(
        Create(runs_partition(experiment_id), f"{PACK}{number:08d}", _columns(chosen), compressed=True),
        Create(_packed(experiment_id), f"{number:08d}", {"rows": rows}, compressed=True),
        *(Replace(record.header, record.header.doc | {"pack": number}) for record in chosen),
        *(Check(page) for record in chosen for page in record.rest.items),
        *(Delete(marks[record.run_id]) for record in chosen),
    )
    return True


def _fitting(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those that one transaction, and one item, can take together; a run that is larger than others is left as it is."""
    chosen: list[RunRecord] = []
    items = size = 0
    for record in records:
        more = 2 + len(record.rest.items)
        length = len(json.dumps(_row(record)))
        if items + more <= _ITEMS and size + length <= _PACK_BYTES:
            chosen.append(record)
            items, size = items + more, size + length
    return chosen


def _row(record: RunRecord) -> Doc:
    return {"name": record.header.doc["name"], "latest": record.latest(), "rest": record.rest.entries()}


def _columns(records: Sequence[RunRecord]) -> Doc:
    docs = [record.header.doc for record in records]
    latest = [record.latest() for record in records]
    keys = sorted({key for points in latest for key in points})
    return {
        "ids": [record.run_id for record in records],
        **{name: [doc[name] for doc in docs] for name in _ATTRIBUTES},
        "metrics": {key: [points[key][0] if key in points else None for points in latest] for key in keys},
    }


def _unpacked(experiment: Experiment, records: Sequence[RunRecord], *, whole: bool) -> Block:
    rows = [_row(record) for record in records] if whole else None
    return Block(experiment, [record.run_id for record in records], _columns(records), rows)


def _whole(table: Table, experiment_id: str, numbers: Iterable[int]) -> dict[int, Sequence[Doc]]:
    items = table.get_many((_packed(experiment_id), f"{number:08d}") for number in numbers)
    return {int(item.sk): item.doc["rows"] for item in items.values()}


def _packed(experiment_id: str) -> str:
    return f"PACKED#{experiment_id}"


def _number(item: Item) -> int:
    return int(item.sk.rpartition("/")[2])
