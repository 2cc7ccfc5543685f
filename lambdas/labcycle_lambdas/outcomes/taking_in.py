"""Take in what arrived: join it with the prediction log, and keep the sums.

What is written at once is a day of a version: its sums, in one transaction with a mark for each object that they hold now. Before that
the claims of the objects stand among the joined rows of their windows, where they count for nothing until their object is marked. So a
crash between any two calls, a repeat, or a second evaluator at the same time change nothing: what is counted is counted once, and the
sums are those of the set of objects, whatever their order.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from labcycle_lambdas.ledger.outcomes import Day, Marked, Outcomes
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.outcomes.claims import Claim, Known, Standing
from labcycle_lambdas.outcomes.prediction_id import Window
from labcycle_lambdas.outcomes.rows import Invalid, Outcome, from_csv, outcome
from labcycle_lambdas.outcomes.store import Incoming, Joined, Store
from labcycle_lambdas.outcomes.sums import Kind, Row, Sums
from labcycle_lambdas.row_files import Unreadable, parts

MOST_BYTES, MOST_ROWS = 50_000_000, 200_000  # of an object
# Until then the window of a prediction may not be in the log, or not with all its rows: an object that names one that is not there waits.
LOG_IS_WRITTEN = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(minutes=5)
_AT_ONCE = 16  # calls of S3
_GROUP_ROWS, _GROUP_OBJECTS = 20_000, 50  # a transaction holds 100 items
_TOLD = 20  # objects with rejected rows that are named in the answer
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Report:
    """What came of an object. `rows` is the sum of `new`, `duplicates` (what changed nothing), `unknown` (no such prediction in the log)
    and `invalid`; `contradictory` are those of the first two of whose prediction something else is said as well. `rejected` are the
    contradictory, unknown and invalid ones."""

    rows: int = 0
    new: int = 0
    duplicates: int = 0
    contradictory: int = 0
    unknown: int = 0
    invalid: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, kind: str, row: int, prediction_id: str, reason: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.rejected.append({"row": row, "prediction_id": prediction_id, "kind": kind, "reason": reason})

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTS}


COUNTS = ("rows", "new", "duplicates", "contradictory", "unknown", "invalid")


@dataclass
class Taken:
    """What was taken in: objects, and the sums of their reports. `waiting` objects are there still, as some of their predictions are
    too new or the time was over; `rejected` names the first objects of which rows came to nothing, with their reports."""

    objects: int = 0
    waiting: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def to_doc(self) -> dict[str, Any]:
        return {"objects": self.objects, "waiting": self.waiting, **self.counts, "rejected": self.rejected}


@dataclass
class _Read:
    """An object that is being taken in, with the outcomes that it says, each with the number of its row."""

    incoming: Incoming
    outcomes: list[tuple[int, Outcome]]
    report: Report


@dataclass(frozen=True)
class _Said:
    """What a row of an object says of the prediction `row` of a window."""

    window: str
    row: int
    claim: Claim


def take_in(
    table: Table, store: Store, kind: Kind, *, now: Callable[[], datetime], has_time: Callable[[], bool]
) -> Taken:
    """Take in all objects that wait, as far as there is time.

    Parameters
    ----------
    kind
        What truths are, by the metric that is watched (`sums.KINDS`); "none" where none is.
    now
        The time, with a zone.
    has_time
        Whether there is time for some more: about a second for each thousand rows.

    Raises
    ------
    Throttled
        If S3 or DynamoDB did not take a call, repeats included; what was done stays, and the rest is done the next time.
    """
    return _Taking(table, Outcomes(table), store, kind, now(), has_time).all()


class _OutOfTime(Exception):
    pass


@dataclass
class _Taking:
    table: Table
    outcomes: Outcomes
    store: Store
    kind: Kind
    now: datetime
    has_time: Callable[[], bool]
    taken: Taken = field(default_factory=Taken)
    young: dict[Window, int] = field(
        default_factory=dict
    )  # windows that may still grow, with the rows that they had when last looked at

    def all(self) -> Taken:
        waiting = self.store.incoming()
        with ThreadPoolExecutor(_AT_ONCE) as self.pool:
            try:
                for group in self._groups(waiting):
                    self._join(group)
                    for read in group:
                        self._conclude(read)
            except _OutOfTime:
                self.taken.waiting = len(waiting) - self.taken.objects
        return self.taken

    def _groups(self, waiting: Sequence[Incoming]) -> Iterator[list[_Read]]:
        """Small objects together: they share windows and days."""
        group: list[_Read] = []
        rows = 0
        for incoming in waiting:
            self._check_time()
            if (read := self._read(incoming)) is None:
                self.taken.waiting += 1
                continue
            group.append(read)
            rows += len(read.outcomes)
            if rows >= _GROUP_ROWS or len(group) == _GROUP_OBJECTS:
                yield group
                group, rows = [], 0
        if group:
            yield group

    def _read(self, incoming: Incoming) -> _Read | None:
        """None where it must wait."""
        report = Report()
        read = _Read(incoming, [], report)
        if self.outcomes.is_done(self.store.model, incoming.arrived_at, incoming.id):
            return read  # but it was not taken away: crashed in between
        if incoming.size > MOST_BYTES:
            report.reject(
                "invalid", 0, "", f"The object has {incoming.size} bytes; at most {MOST_BYTES} are taken: split it."
            )
            return read
        content = self.store.content(incoming)
        if content is None:
            return None
        for number, found in _rows(incoming.name, content):
            report.rows += 1
            if isinstance(found, str):
                report.reject("invalid", number, "", found)
                continue
            age = self.now - found.window.start
            if -_CLOCKS_DIFFER <= age < LOG_IS_WRITTEN and not self._is_logged(found):
                return None
            read.outcomes.append((number, found))
        if report.rows > MOST_ROWS:
            report = Report()
            report.reject("invalid", 0, "", f"The object has more than {MOST_ROWS} rows: split it.")
            return _Read(incoming, [], report)
        return read

    def _is_logged(self, said: Outcome) -> bool:
        if said.window not in self.young or said.row >= self.young[said.window]:
            self.young[said.window] = len(self.store.log(said.window) or ())
        return said.row < self.young[said.window]

    def _join(self, group: Sequence[_Read]) -> None:
        days: dict[tuple[int, str], dict[Window, list[_Said]]] = defaultdict(lambda: defaultdict(list))
        reports = {read.incoming.id: read.report for read in group}
        for read in group:
            by, arrived = read.incoming.id, read.incoming.arrived_at
            for number, said in read.outcomes:
                claim = Claim(by, arrived, number, said.truth, said.value, said.at)
                days[said.window.version, said.window.day][said.window].append(_Said(said.window.name, said.row, claim))
        for (version, day), windows in sorted(days.items()):
            self._check_time()
            self.table.until_unchanged(partial(self._take_day, version, day, windows, reports))

    def _take_day(
        self, version: int, day: str, windows: Mapping[Window, Sequence[_Said]], reports: Mapping[str, Report]
    ) -> None:
        """Raises `Changed` where somebody else was faster; it is to be done again then."""
        model = self.store.model
        objects = {said.claim.by for window in windows.values() for said in window}
        over = self.outcomes.open(model, version, day, objects)
        sums = Sums.from_doc(over.day.sums) if over.day else Sums(self.kind)
        joining = _Joining(dict(over.marked), sums, over.day.changes if over.day else 0)
        names = list(windows)
        for some in (names[i : i + _AT_ONCE] for i in range(0, len(names), _AT_ONCE)):  # no more are in memory
            found = self._each(some, lambda window: self._look_up(window, {said.row for said in windows[window]}))
            others = {claim.by for window in found for claim in window.pending()} - objects - joining.marked.keys()
            joining.marked |= self.outcomes.marked(model, version, day, others) if others else {}
            for window, there in zip(some, found, strict=True):
                joining.window(there, windows[window])
            self._each([pair for pair in zip(some, found, strict=True) if pair[1].changed], self._keep)
        if joining.known and over.day is None:
            self.outcomes.name_version(model, version)
        after = Day(version, day, sums.to_doc(), joining.changes) if joining.claimed else None
        marks = {name: joining.mark(name) for name in objects - over.marked.keys()}
        self.outcomes.close(model, over, version, day, after, marks)
        for name, counted in {**over.marked, **marks}.items():
            reports[name].new += counted.new
            reports[name].duplicates += counted.duplicates
        for said_of, kind, why in joining.rejected:
            reports[said_of.claim.by].reject(
                kind, said_of.claim.number, f"{version}-{said_of.window}-{said_of.row}", why
            )

    def _look_up(self, window: Window, rows: set[int]) -> _Window:
        joined = self.store.joined(window)
        found = {row: joined.row(row) for row in rows & joined.lines.keys()}
        why = ""
        if missing := rows - found.keys():
            lines = self.store.log(window)
            if lines is None:
                why = "its window is not in the prediction log, or no longer"
            else:
                found |= _of_log(lines, missing)
                why = f"its window has {len(lines)} rows"
        return _Window(joined, found, why)

    def _keep(self, found: tuple[Window, _Window]) -> None:
        window, there = found
        self.store.keep_joined(window, there.rows.values(), there.joined)

    def _each(self, items: Iterable[T], work: Callable[[T], R]) -> list[R]:
        return list(self.pool.map(work, items))

    def _conclude(self, read: _Read) -> None:
        incoming, report = read.incoming, read.report
        model, arrived = self.store.model, incoming.arrived_at
        before = self.outcomes.is_done(model, arrived, incoming.id)
        if before is None:
            report.rejected.sort(key=lambda row: row["row"])
            doc: dict[str, Any] = {
                "object": incoming.name,
                "arrived": arrived,
                "taken_in": self.now.isoformat(),
                **report.counts(),
            }
            if report.rejected:
                doc |= {"rejected": self.store.keep_rejected(incoming, report.rejected), "first": report.rejected[0]}
            self.outcomes.done(model, arrived, incoming.id, doc)
            before = doc
        self.store.take_away(incoming)
        self.taken.objects += 1
        for name in COUNTS:
            self.taken.counts[name] += before[name]
        if "rejected" in before and len(self.taken.rejected) < _TOLD:
            self.taken.rejected.append(before)

    def _check_time(self) -> None:
        if not self.has_time():
            raise _OutOfTime


@dataclass
class _Window:
    """What is known of some rows of a window: those that are joined already, or are in its log. `why`: it has no others."""

    joined: Joined
    rows: dict[int, Known]
    why: str
    changed: bool = False

    def pending(self) -> Iterator[Claim]:
        return (claim for row in self.rows.values() for claim in row.claims if not claim.counted)


@dataclass
class _Joining:
    """What the objects bring to a day. `marked` are those of them, and of others, that the sums hold already; `known`: some of the
    predictions are in the log; `claimed`: something that may matter later is among the joined rows."""

    marked: dict[str, Marked]
    sums: Sums
    changes: int
    known: bool = False
    claimed: bool = False
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rejected: list[tuple[_Said, str, str]] = field(default_factory=list)

    def window(self, window: _Window, said: Sequence[_Said]) -> None:
        by_row: dict[int, list[_Said]] = defaultdict(list)
        for one in said:
            by_row[one.row].append(one)
        for number, claims in by_row.items():
            if number not in window.rows:
                self.rejected += [(one, "unknown", f"There is no such prediction: {window.why}.") for one in claims]
                continue
            self.known = True
            window.changed |= self._row(window.rows[number], claims)

    def mark(self, name: str) -> Marked:
        return Marked(self.counts[name]["new"], self.counts[name]["duplicates"])

    def _row(self, row: Known, said: Sequence[_Said]) -> bool:
        """Whether the joined row must be written."""
        counted = [replace(claim, counted=True) for claim in row.claims if claim.counted or claim.by in self.marked]
        ours = {one.claim.by for one in said} - self.marked.keys()
        others = [c for c in row.claims if not c.counted and c.by not in self.marked and c.by not in ours]
        stood, had = row.standing(counted), {claim.place for claim in row.claims}
        held, standing = list(counted), stood
        for claim in sorted((one.claim for one in said if one.claim.by in ours), key=lambda claim: claim.place):
            after = row.standing([*held, claim])
            self.counts[claim.by]["new" if after.is_news(standing) else "duplicates"] += 1
            if after.contradicted != standing.contradicted or claim.decides(held):
                held.append(claim)
            standing = after
        kept = held[len(counted) :]
        if standing != stood:
            self.sums.count(_as_row(row, stood), -1)
            self.sums.count(_as_row(row, standing))
            self.changes += standing.is_news(stood)
        if standing.contradicted:
            counts = ", ".join(
                f"{n} {v!r}" for n, v in (("truth", standing.truth), ("value", standing.value)) if v is not None
            )
            self.rejected += [
                (one, "contradictory", f"Something else is said of this prediction as well; what counts is {counts}.")
                for one in said
            ]
        row.settle(counted, others + kept)
        self.claimed |= bool(kept)
        return any(claim.place not in had for claim in kept)


def _as_row(row: Known, standing: Standing) -> Row:
    return Row(row.prediction, standing.truth, standing.value, standing.contradicted, row.chances, row.cohort)


def _of_log(lines: Sequence[bytes], rows: set[int]) -> dict[int, Known]:
    """A line is a row, from 0 on; where some are missing, each line is looked at."""
    there = (json.loads(lines[row]) for row in rows if row < len(lines))
    found = {doc["row"]: Known.from_log(doc) for doc in there if doc["row"] in rows}
    if len(found) < len(rows):
        found = {doc["row"]: Known.from_log(doc) for doc in map(json.loads, lines) if doc["row"] in rows}
    return found


def _rows(name: str, content: bytes) -> Iterator[tuple[int, Outcome | str]]:
    """The rows of a file, counted from 1; in the place of what is no outcome the reason."""
    try:
        for part in parts(io.BytesIO(content), name):
            for row in part.rows:
                yield row.number, row.refused or _outcome(part.header, row.value)
    except Unreadable as error:
        yield 0, f"The object cannot be read: {error}."


def _outcome(header: list[str] | None, value: Any) -> Outcome | str:
    try:
        return outcome(value if header is None else from_csv(header, value))
    except Invalid as error:
        return str(error)
