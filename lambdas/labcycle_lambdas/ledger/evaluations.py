"""Drift evaluations of a model: each one as it was answered, and the state that carries persistence from one to the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.table import Create, Item, Replace, Table, Write
from labcycle_lambdas.ledger.who import Who

_STATE = "STATE"


@dataclass(frozen=True)
class DriftState:
    """What the last evaluation left.

    `generation` is that of the deployment record it judged; `seen` holds, for each sandbox, the number and the rows of
    the last profile that was counted, so that the same rows are never counted as new evidence; `consecutive` counts the
    evaluations in a row that were above the threshold; `in_episode` is true from the first that found drift to persist.
    """

    generation: int
    last_key: str = ""
    consecutive: int = 0
    in_episode: bool = False
    seen: dict[str, list[int]] = field(default_factory=dict)


class Evaluations:
    """The evaluations of a ledger."""

    def __init__(self, table: Table, custody: Custody) -> None:
        self._table = table
        self._custody = custody

    def find(self, model: str, key: str) -> dict[str, Any] | None:
        """The evaluation `key` (its time in ISO 8601, UTC), or None."""
        item = self._table.get(_partition(model), f"EVALUATION#{key}")
        return item.doc if item else None

    def last(self, model: str) -> dict[str, Any] | None:
        """The evaluation that the state is of, or None."""
        state, _ = self.state(model)
        return self.find(model, state.last_key) if state and state.last_key else None

    def state(self, model: str) -> tuple[DriftState | None, Item | None]:
        """What the last evaluation left, and the item to write the next state over."""
        item = self._table.get(_partition(model), _STATE)
        return (DriftState(**item.doc) if item else None), item

    def record(
        self,
        model: str,
        key: str,
        evaluation: dict[str, Any],
        state: DriftState,
        over: Item | None,
        *,
        drift_detected: tuple[Who, dict[str, Any]] | None = None,
    ) -> None:
        """Keep an evaluation with the state that it leaves, and the custody event of an episode's start, in one piece.

        Raises
        ------
        Exists, Changed
            If this evaluation was recorded before, or another one since `over` was read; nothing was written.
        Throttled
            If DynamoDB did not take it.
        """
        doc = asdict(state)
        writes: list[Write] = [
            Create(_partition(model), f"EVALUATION#{key}", evaluation),
            Replace(over, doc) if over else Create(_partition(model), _STATE, doc),
        ]
        if drift_detected:
            who, detail = drift_detected
            self._custody.append(f"model/{model}", "drift_detected", who, detail, *writes)
        else:
            self._table.write(*writes)


def _partition(model: str) -> str:
    return f"DRIFT#{model}"
