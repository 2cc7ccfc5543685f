"""What became of predictions: sums by version and day, and which incoming objects they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labcycle_lambdas.ledger.table import Changed, Create, Exists, Item, Mark, Put, Repeated, Replace, Table, Write

# As long as a prediction log can be kept (config/team.py, capture.days), and some: until then rows of its day may come.
_MARKS_DAYS = 3_700


@dataclass(frozen=True)
class Day:
    """Sums of the outcomes of a version's predictions of one UTC day. `sums` is what `outcomes.sums.Sums.to_doc` gave; `changes` counts
    the outcomes that changed them, so that a larger number means news."""

    version: int
    day: str
    sums: dict[str, Any]
    changes: int


@dataclass(frozen=True)
class Marked:
    """How many rows of an object brought something to a day, and how many said what was known already."""

    new: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class OpenDay:
    """A day as it was read, to be written over; `marked` are the objects that it holds of those that were asked for."""

    day: Day | None
    item: Item | None
    marked: dict[str, Marked]


class Outcomes:
    """The outcomes of a ledger. Everything raises `Throttled` where DynamoDB asks for patience."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def days(self, model: str, version: int, since: str = "") -> list[Day]:
        """The days of a version that have outcomes, oldest first; from `since` (YYYY-MM-DD) on."""
        found = self._table.query(_of_version(model, version), _DAY)
        return [_day(version, item) for item in found if item.sk.removeprefix(_DAY) >= since]

    def versions(self, model: str) -> list[int]:
        """The versions that have outcomes."""
        return sorted(int(item.sk.removeprefix(_VERSION)) for item in self._table.query(_of_model(model), _VERSION))

    def name_version(self, model: str, version: int) -> None:
        """Say that a version has outcomes."""
        self._table.write(Put(_of_model(model), f"{_VERSION}{version}", {}))

    def open(self, model: str, version: int, day: str, objects: Iterable[str]) -> OpenDay:
        """A day, and which of `objects` it holds. What is marked later than this was read changes the day, so that `close` refuses."""
        item = self._table.get(_of_version(model, version), f"{_DAY}{day}")
        return OpenDay(_day(version, item) if item else None, item, self.marked(model, version, day, objects))

    def marked(self, model: str, version: int, day: str, objects: Iterable[str]) -> dict[str, Marked]:
        """Those of `objects` that a day holds."""
        found = self._table.get_many((_of_version(model, version), _mark(day, name)) for name in objects)
        return {item.sk.rpartition("#")[2]: Marked(**item.doc) for item in found.values()}

    def close(
        self, model: str, over: OpenDay, version: int, day: str, after: Day | None, marks: Mapping[str, Marked]
    ) -> None:
        """Write the sums of a day in one piece with the marks of the objects that they hold now (99 at most). `after` None: what the
        objects say was all known, and would be in whatever order; else the day is written, even if the sums are the same.

        Raises
        ------
        Changed
            If somebody else wrote the day since it was opened, or marked one of the objects; nothing was written.
        Refused
            If the sums are larger than an item can be.
        """
        partition = _of_version(model, version)
        ends = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=_MARKS_DAYS)
        writes: list[Write] = [
            Mark(partition, _mark(day, name), asdict(marked), expires=int(ends.timestamp()))
            for name, marked in marks.items()
        ]
        if after:
            doc = {"sums": after.sums, "changes": after.changes}
            writes.append(Replace(over.item, doc) if over.item else Create(partition, f"{_DAY}{day}", doc))
        try:
            self._table.write(*writes)
        except (Exists, Repeated) as error:
            raise Changed(str(error)) from None

    def done(self, model: str, arrived: str, name: str, report: Mapping[str, Any]) -> None:
        """Say that an object is taken in, and what came of it. Repeating the call changes nothing."""
        self._table.write(Put(_of_model(model), f"{_OBJECT}{arrived}#{name}", dict(report)))

    def is_done(self, model: str, arrived: str, name: str) -> dict[str, Any] | None:
        """What came of an object that was taken in; None where it was not."""
        item = self._table.get(_of_model(model), f"{_OBJECT}{arrived}#{name}")
        return item.doc if item else None

    def last_objects(self, model: str, count: int) -> Sequence[dict[str, Any]]:
        """What came of the objects that arrived last, the newest first."""
        found = self._table.query(_of_model(model), _OBJECT, last_first=True, page_items=count)
        return [item.doc for item, _ in zip(found, range(count), strict=False)]

    def predicted(self, model: str, version: int) -> dict[str, int]:
        """Rows that a version predicted, by day; of days that are over and were counted."""
        found = self._table.query(_of_version(model, version), _PREDICTED)
        return {item.sk.removeprefix(_PREDICTED): item.doc["rows"] for item in found}

    def keep_predicted(self, model: str, version: int, day: str, rows: int) -> None:
        """Keep how many rows a version predicted in a day."""
        self._table.write(Put(_of_version(model, version), f"{_PREDICTED}{day}", {"rows": rows}))


_DAY, _VERSION, _OBJECT, _PREDICTED = "DAY#", "VERSION#", "OBJECT#", "PREDICTED#"


def _of_model(model: str) -> str:
    return f"OUTCOMES#{model}"


def _of_version(model: str, version: int) -> str:
    return f"OUTCOMES#{model}#{version}"


def _mark(day: str, name: str) -> str:
    return f"TAKEN#{day}#{name}"


def _day(version: int, item: Item) -> Day:
    return Day(version, item.sk.removeprefix(_DAY), item.doc["sums"], item.doc["changes"])
