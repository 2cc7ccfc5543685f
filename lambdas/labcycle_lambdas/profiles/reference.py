"""What a model was trained on, as counts in fixed bins."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from labcycle_lambdas.profiles.bins import Bins, NumericBins, bins_from_doc, bins_of, category
from labcycle_lambdas.profiles.scale import Scale

PREDICTION = "prediction"  # the column of a reference table that holds what the model answered
COHORTS_OF_A_FIELD = 8

Counts = tuple[tuple[int, ...], ...]  # in the bins of each column


@dataclass(frozen=True)
class Column:
    """One feature or the prediction: its bins, and how many rows of the training data fell into each. `scale` is None of a
    categorical one, of one without finite numbers, and in documents from before there were scales."""

    name: str
    bins: Bins
    counts: tuple[int, ...]
    scale: Scale | None = None

    @property
    def rows(self) -> int:
        return sum(self.counts)

    def to_doc(self) -> dict[str, Any]:
        doc = {"name": self.name, **self.bins.to_doc(), "counts": list(self.counts)}
        return doc | {"scale": self.scale.to_doc()} if self.scale else doc

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Column:
        scale = Scale.from_doc(doc["scale"]) if doc.get("scale") else None
        return cls(doc["name"], bins_from_doc(doc), tuple(doc["counts"]), scale)


@dataclass(frozen=True)
class Reference:
    """The columns of the training data, in order; the prediction, where there is one, is the last.

    `cohorts` holds, for some features and their most frequent categories, the counts of the rows of that category alone,
    in the bins of all: field -> category -> counts of each column.
    """

    columns: tuple[Column, ...]
    cohorts: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)

    @classmethod
    def from_table(
        cls, columns: Sequence[str], rows: Sequence[Sequence[object]], cohorts: Sequence[str] = ()
    ) -> Reference:
        """From a table of training rows; the column `prediction`, if any, holds the model's answers.

        A column is numeric (deciles of its values, outer bins open) where each value that is there is a number, else
        categorical (20 most frequent, other). A prediction of whole numbers of at most 20 kinds is categorical. None,
        NaN and, in a numeric column, whatever is no number are missing, which is a bin as well. `cohorts` names features
        by whose values the rows are counted apart, too; those of the 8 most frequent of each are.

        Raises
        ------
        ValueError
            If there are no rows or no columns, a name is twice there, a row has another length than `columns`, or a
            cohort is no feature.
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
        check_cohorts(cohorts, columns)
        labels = {name: [category(row[columns.index(name)]) for row in rows] for name in cohorts}
        kept = {name: most_frequent(Counter(labels[name])) for name in cohorts}
        made: list[Column] = []
        apart: dict[str, dict[str, list[tuple[int, ...]]]] = {n: {label: [] for label in kept[n]} for n in cohorts}
        for name in sorted(columns, key=lambda name: name == PREDICTION):
            position = columns.index(name)
            values = [row[position] for row in rows]
            bins = bins_of(values, integers_are_labels=name == PREDICTION)
            places = [bins.index(value) for value in values]
            scale = Scale.of(values, bins) if isinstance(bins, NumericBins) else None
            made.append(Column(str(name), bins, _counts(places, bins.size), scale))
            for cohort, of_rows in labels.items():
                for label, counts in apart[cohort].items():
                    theirs = (place for place, of_row in zip(places, of_rows, strict=True) if of_row == label)
                    counts.append(_counts(theirs, bins.size))
        return cls(tuple(made), {n: {label: tuple(c) for label, c in of.items()} for n, of in apart.items()})

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Reference:
        cohorts = {
            name: {label: tuple(tuple(counts) for counts in of_columns) for label, of_columns in labels.items()}
            for name, labels in doc.get("cohorts", {}).items()
        }
        return cls(tuple(map(Column.from_doc, doc["columns"])), cohorts)

    def to_doc(self) -> dict[str, Any]:
        """As JSON; about 400 bytes a numeric column, and 60 more for each cohort."""
        doc: dict[str, Any] = {"columns": [column.to_doc() for column in self.columns]}
        if self.cohorts:
            doc["cohorts"] = {
                name: {label: [list(counts) for counts in of_columns] for label, of_columns in labels.items()}
                for name, labels in self.cohorts.items()
            }
        return doc

    @cached_property
    def of_cohorts(self) -> dict[str, dict[str, Reference]]:
        """What the rows of each cohort are compared with: field -> category -> the same bins with the cohort's counts."""
        return {
            name: {
                label: Reference(
                    tuple(replace(column, counts=c) for column, c in zip(self.columns, counts, strict=True))
                )
                for label, counts in labels.items()
            }
            for name, labels in self.cohorts.items()
        }

    @cached_property
    def fingerprint(self) -> str:
        """Names these bins: profiles of another fingerprint cannot be merged or compared with this reference."""
        return hashlib.sha256(json.dumps(self.to_doc(), sort_keys=True).encode()).hexdigest()[:16]


def check_cohorts(cohorts: Sequence[str], columns: Sequence[str]) -> None:
    """Raises ValueError where one of `cohorts` is none of `columns`, or is the prediction."""
    features = [str(name) for name in columns if name != PREDICTION]
    if unknown := [name for name in cohorts if name not in features]:
        raise ValueError(f"cohorts: got {unknown[0]!r}; allowed are the features: {', '.join(features)}"[:1000])


def most_frequent(labels: Mapping[str | None, int]) -> list[str]:
    """The categories of a field that become cohorts, the largest first."""
    there = [label for label in labels if label is not None]
    return sorted(there, key=lambda label: (-labels[label], label))[:COHORTS_OF_A_FIELD]


def _counts(places: Iterable[int], size: int) -> tuple[int, ...]:
    counted = Counter(places)
    return tuple(counted[place] for place in range(size))
