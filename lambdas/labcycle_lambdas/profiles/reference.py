"""What a model was trained on, as counts in fixed bins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from labcycle_lambdas.profiles.bins import Bins, bins_from_doc, bins_of

PREDICTION = "prediction"  # the column of a reference table that holds what the model answered


@dataclass(frozen=True)
class Column:
    """One feature or the prediction: its bins, and how many rows of the training data fell into each."""

    name: str
    bins: Bins
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.counts)

    def to_doc(self) -> dict[str, Any]:
        return {**self.bins.to_doc(), "counts": list(self.counts)}


@dataclass(frozen=True)
class Reference:
    """The columns of the training data, in order; the prediction, where there is one, is the last."""

    columns: tuple[Column, ...]

    @classmethod
    def from_table(cls, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Reference:
        """From a table of training rows; the column `prediction`, if any, holds the model's answers.

        A column is numeric (deciles of its values, outer bins open) where each value that is there is a number, else
        categorical (20 most frequent, other). A prediction of whole numbers of at most 20 kinds is categorical. None,
        NaN and, in a numeric column, whatever is no number are missing, which is a bin as well.

        Raises
        ------
        ValueError
            If there are no rows or no columns, a name is twice there, or a row has another length than `columns`.
        """
        if not columns or not rows:
            raise ValueError("a reference table needs at least one column and one row")
        if len(set(columns)) != len(columns):
            raise ValueError("a column is named twice in the reference table")
        wrong = next((i for i, row in enumerate(rows) if len(row) != len(columns)), None)
        if wrong is not None:
            raise ValueError(
                f"row {wrong} of the reference table has {len(rows[wrong])} values for {len(columns)} columns"
            )
        made = []
        for position, name in enumerate(columns):
            values = [row[position] for row in rows]
            bins = bins_of(values, integers_are_labels=name == PREDICTION)
            counts = [0] * bins.size
            for value in values:
                counts[bins.index(value)] += 1
            made.append(Column(str(name), bins, tuple(counts)))
        return cls(tuple(sorted(made, key=lambda column: column.name == PREDICTION)))

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Reference:
        return cls(tuple(Column(c["name"], bins_from_doc(c), tuple(c["counts"])) for c in doc["columns"]))

    def to_doc(self) -> dict[str, Any]:
        """As JSON; about 300 bytes a numeric column."""
        return {"columns": [{"name": column.name, **column.to_doc()} for column in self.columns]}

    @cached_property
    def fingerprint(self) -> str:
        """Names these bins: profiles of another fingerprint cannot be merged or compared with this reference."""
        return hashlib.sha256(json.dumps(self.to_doc(), sort_keys=True).encode()).hexdigest()[:16]
