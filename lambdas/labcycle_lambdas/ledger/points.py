"""Metric points of a run: the newest in the run's header, the others packed in chunks that the header lists.

A point is identified by (run, metric, timestamp, step, value), a NaN being a value of its own. The latest point of a
metric is the greatest by (step, timestamp, value), where NaN takes part as 0: MLflow's rule.

A chunk is written before the header that lists it. One that is listed nowhere, since its writer was struck down or was not
the first, is no part of the run: so the header alone decides what was logged, at the price of one plain write. The
list itself is spilled, a dozen chunks at a time, into manifest items.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from math import isfinite, isnan
from operator import itemgetter
from typing import Any, NamedTuple

from labcycle_lambdas.ledger.table import Create, Doc, Item, Put, Table, to_json

TAIL_BYTES = 800  # of points in the header, which is charged in steps of 1 KB: the next one moves all to a chunk
LISTED = 12
MOST_SAMPLED = 500_000
_CHUNK_BYTES = 300_000  # of an item's 400 KB, even where compression gains nothing
_READ_AT_ONCE = 20
Entry = list[Any]  # [value, timestamp, step]


class Metric(NamedTuple):
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


class Chunk(NamedTuple):
    """A chunk as it is listed: its points lie between two timestamps, both included."""

    digest: str
    first: int
    span: int
    points: int

    @property
    def last(self) -> int:
        return self.first + self.span


def json_number(value: float) -> float | str:
    """A value as MLflow writes it: JSON has neither NaN nor infinities."""
    if isfinite(value):
        return value
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def rank(entry: Entry) -> tuple[int, int, float]:
    """What the latest point is chosen by."""
    value, timestamp, step = entry[:3]
    return (step, timestamp, 0.0 if isnan(value) else value)


Position = tuple[int, int, float, bool]


def history_order(metric: Metric) -> Position:
    """MLflow's order of a history: timestamp, step, value, NaN as 0."""
    nan = isnan(metric.value)
    return (metric.timestamp, metric.step, 0.0 if nan else metric.value, nan)


def latest(metrics: Iterable[Metric]) -> dict[str, Entry]:
    """The latest point of each metric."""
    found: dict[str, Entry] = {}
    ranks: dict[str, tuple[int, int, float]] = {}
    for key, value, timestamp, step, _, _, _ in metrics:
        # As `rank`: a call for each point would take as long as the rest.
        ranked = (step, timestamp, 0.0 if isnan(value) else value)
        if key not in ranks or ranked > ranks[key]:
            ranks[key] = ranked
            found[key] = [value, timestamp, step]
    return found


def added(run_id: str, header: Doc, metrics: Sequence[Metric]) -> tuple[Doc, list[Put], list[Create]]:
    """The header with these points, the chunks to write before it, and the manifest items to write with it.

    The header is the same where it has all the points already, as far as it can tell.
    """
    tail: dict[str, list[Entry]] = {key: list(entries) for key, entries in header["tail"].items()}
    there = {_mark(key, *entry) for key, entries in tail.items() for entry in entries}
    new: dict[str, list[Entry]] = {}
    for key, value, timestamp, step, _, _, _ in metrics:
        if (mark := _mark(key, value, timestamp, step)) not in there:
            there.add(mark)
            new.setdefault(key, []).append([value, timestamp, step])
    if not new:
        return header, [], []
    listed: list[list[Any]] = list(header["chunks"])
    if _size(new) > TAIL_BYTES:  # a batch is a chunk of its own, so that it is known when it is repeated
        chunks = [_chunk(run_id, part) for part in _parts(new)]
        if all([*chunk] in listed for _, chunk in chunks):
            return header, [], []
    else:
        for key, entries in new.items():
            tail.setdefault(key, []).extend(entries)
        if _size(tail) <= TAIL_BYTES:
            return header | {"tail": tail}, [], []
        chunks, tail = [_chunk(run_id, part) for part in _parts(tail)], {}
    listed += [[*chunk] for _, chunk in chunks if [*chunk] not in listed]
    spilled, pages = header["spilled"], []
    if len(listed) > LISTED:
        pages.append(Create(partition(run_id), f"MANIFEST/{spilled:08d}", {"chunks": listed}))
        listed, spilled = [], spilled + 1
    return header | {"tail": tail, "chunks": listed, "spilled": spilled}, [put for put, _ in chunks], pages


def chunks_of(table: Table, run_id: str, header: Doc) -> list[Chunk]:
    """All chunks of a run, each once, in the order of their first timestamps."""
    listed = [Chunk(*entry) for entry in header["chunks"]]
    if header["spilled"]:
        for page in table.query(partition(run_id), "MANIFEST/"):
            if int(page.sk.rpartition("/")[2]) >= header["spilled"]:
                break  # spilled after the header was read: it lists these itself
            listed += [Chunk(*entry) for entry in page.doc["chunks"]]
    return sorted(set(listed), key=lambda chunk: (chunk.first, chunk.digest))


def history(
    table: Table,
    run_id: str,
    header: Doc,
    key: str,
    after: Position | None = None,
    chunks: Sequence[Chunk] | None = None,
) -> Iterator[Metric]:
    """The points of a metric, each once, in MLflow's order, read as they are asked for.

    `after`: only those behind this position. `chunks`: of these chunks alone.
    """
    whole = chunks_of(table, run_id, header) if chunks is None else chunks
    wanted = [chunk for chunk in whole if after is None or chunk.last >= after[0]]
    waiting = [(history_order(point), point) for point in _points(key, header["tail"].get(key, []))]
    heapq.heapify(waiting)
    passed = after
    for start in range(0, len(wanted) + 1, _READ_AT_ONCE):
        batch = wanted[start : start + _READ_AT_ONCE]
        items = table.get_many((partition(run_id), _sort_key(chunk)) for chunk in batch)
        for chunk in [*batch, None]:
            if chunk is None and start + _READ_AT_ONCE <= len(wanted):
                break
            while waiting and (chunk is None or waiting[0][0][0] < chunk.first):
                position, point = heapq.heappop(waiting)
                if passed is None or position > passed:
                    passed = position
                    yield point
            if chunk is not None:
                for point in _points(key, _entries(_item(items, run_id, chunk).doc, key)):
                    heapq.heappush(waiting, (history_order(point), point))


def samples(table: Table, run_id: str, header: Doc, key: str, steps: range | None, most: int) -> list[Metric]:
    """At most `most` points, evenly over the steps (see `sampled`); of a run with more than 500,000 points, not of all chunks."""
    chunks = chunks_of(table, run_id, header)
    every = -(-sum(chunk.points for chunk in chunks) // MOST_SAMPLED)
    if every > 1:
        chunks = [*chunks[:-1:every], chunks[-1]]
    points = history(table, run_id, header, key, chunks=chunks)
    return sampled([point for point in points if steps is None or point.step in steps], most)


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


def partition(run_id: str) -> str:
    return f"POINTS#{run_id}"


def _step_order(metric: Metric) -> Position:
    timestamp, step, value, nan = history_order(metric)
    return (step, timestamp, value, nan)


def _mark(key: str, value: float, timestamp: int, step: int) -> tuple[str, float | str, int, int]:
    """What the points of a run are told apart by: NaN is a value like others."""
    return (key, "NaN" if isnan(value) else value, timestamp, step)


def _points(key: str, entries: Iterable[Entry]) -> Iterator[Metric]:
    return (Metric(key, float(value), timestamp, step) for value, timestamp, step in entries)


def _size(points: Mapping[str, Sequence[Entry]]) -> int:
    """Bytes of the points as the header would hold them, nearly."""
    return sum(len(key.encode()) + 6 + 42 * len(entries) for key, entries in points.items())


def _parts(points: Mapping[str, Sequence[Entry]]) -> Iterator[dict[str, list[Entry]]]:
    """The points in parts that fit a chunk, sorted: the same points are always the same chunks."""
    part: dict[str, list[Entry]] = {}
    size = 0
    for key in sorted(points):
        for entry in sorted(points[key], key=itemgetter(1, 2)):
            size += 60 + (0 if key in part else len(key.encode()))
            if part and size > _CHUNK_BYTES:
                yield part
                part, size = {}, 60 + len(key.encode())
            part.setdefault(key, []).append(entry)
    if part:
        yield part


def _chunk(run_id: str, part: Mapping[str, Sequence[Entry]]) -> tuple[Put, Chunk]:
    columns: Doc = {}
    for key, entries in part.items():
        values, timestamps, steps = zip(*entries, strict=True)
        columns[key] = [values, _differences(timestamps), _differences(steps)]
    text = to_json(columns)
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    times = [entry[1] for entries in part.values() for entry in entries]
    first = min(times)
    chunk = Chunk(digest, first, max(times) - first, len(times))
    return Put(partition(run_id), _sort_key(chunk), text, compressed=True), chunk


def _sort_key(chunk: Chunk) -> str:
    return f"CHUNK/{chunk.digest}"


def _differences(numbers: Sequence[int]) -> list[int]:
    return [numbers[0], *(b - a for a, b in pairwise(numbers))]


def _entries(columns: Doc, key: str) -> Iterator[Entry]:
    if key in columns:
        values, timestamps, steps = columns[key]
        yield from map(list, zip(values, accumulate(timestamps), accumulate(steps), strict=True))


def _item(items: Mapping[tuple[str, str], Item], run_id: str, chunk: Chunk) -> Item:
    item = items.get((partition(run_id), _sort_key(chunk)))
    if item is None:  # never removed, and written before it was listed
        raise LookupError(f"the ledger lost the chunk {chunk.digest} of the run {run_id}")
    return item
