"""Evaluations of a model: each one as it was answered, and the state that carries persistence from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labcycle_lambdas.ledger.custody import Custody, News
from labcycle_lambdas.ledger.table import Create, Item, Replace, Table, Write

_STATE = "STATE"
_EVALUATION = "EVALUATION#"
_READ_AT_ONCE = 50


@dataclass(frozen=True)
class SubjectState:
    """What the last evaluation left of one subject.

    `consecutive` counts the evaluations in a row that were over the limit; `in_episode` is true from the first that found that to
    persist. `seen` tells what was counted by then, so that the same is never counted as new evidence: of drift, where the windows
    begin that may be new (`from`), and for each sandbox the number and the rows of its last window (`marks`).
    """

    consecutive: int = 0
    in_episode: bool = False
    seen: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MonitorState:
    """What the last evaluation left. `since` is when the version that it judged went live, "" where none was live."""

    since: str = ""
    last_key: str = ""
    subjects: Mapping[str, SubjectState] = field(default_factory=dict)

    def of(self, subject: str) -> SubjectState:
        return self.subjects.get(subject, SubjectState())

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> MonitorState:
        """Also of what was kept when drift alone was judged."""
        if "subjects" not in doc:
            drift = SubjectState(doc["consecutive"], doc["in_episode"], {"marks": doc["seen"]})
            return cls(last_key=doc["last_key"], subjects={"drift": drift})
        subjects = {subject: SubjectState(**state) for subject, state in doc["subjects"].items()}
        return cls(doc["since"], doc["last_key"], subjects)


class Evaluations:
    """The evaluations of a ledger."""

    def __init__(self, table: Table, custody: Custody) -> None:
        self._table = table
        self._custody = custody

    def find(self, model: str, key: str) -> dict[str, Any] | None:
        """The evaluation `key` (its time in ISO 8601, UTC), or None."""
        item = self.item(model, key)
        return item.doc if item else None

    def item(self, model: str, key: str) -> Item | None:
        """The same, to write another over it."""
        return self._table.get(_partition(model), f"{_EVALUATION}{key}")

    def last(self, model: str) -> dict[str, Any] | None:
        """The evaluation that the state is of, or None."""
        state, _ = self.state(model)
        return self.find(model, state.last_key) if state and state.last_key else None

    def newest_first(self, model: str, until: str = "") -> Iterator[dict[str, Any]]:
        """Evaluations as `find` gives them, those of `until` and before (its time; absent: all), as far as they are asked for.

        Raises `Throttled`.
        """
        after = f"{_EVALUATION}{until}$" if until else None
        for item in self._table.query(
            _partition(model), _EVALUATION, after=after, last_first=True, page_items=_READ_AT_ONCE
        ):
            yield item.doc

    def state(self, model: str) -> tuple[MonitorState | None, Item | None]:
        """What the last evaluation left, and the item to write the next state over."""
        item = self._table.get(_partition(model), _STATE)
        return (MonitorState.from_doc(item.doc) if item else None), item

    def record(
        self,
        model: str,
        key: str,
        evaluation: dict[str, Any],
        state: MonitorState,
        over: Item | None,
        *,
        again: Item | None = None,
        news: Sequence[News] = (),
    ) -> None:
        """Keep an evaluation with the state that it leaves, and the custody events of the episodes that begin, in one piece.

        `again`: the evaluation that this one takes the place of.

        Raises
        ------
        Exists, Changed
            If this evaluation was recorded before, or another one since `over` was read; nothing was written.
        Throttled
            If DynamoDB did not take it.
        """
        doc = state.to_doc()
        kept = (
            Replace(again, evaluation)
            if again
            else Create(_partition(model), f"{_EVALUATION}{key}", evaluation, compressed=True)
        )
        writes: list[Write] = [kept, Replace(over, doc) if over else Create(_partition(model), _STATE, doc)]
        if news:
            self._custody.append_all(f"model/{model}", news, *writes)
        else:
            self._table.write(*writes)


def _partition(model: str) -> str:
    return f"DRIFT#{model}"
