"""Counts of live rows in the bins of a reference."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import Any

from labcycle_lambdas.profiles.bins import NumericBins, category
from labcycle_lambdas.profiles.reference import PREDICTION, Reference


class Profile:
    """How many live rows fell into each bin of `reference`.

    `cohorts` names fields by whose values the rows are counted apart, too, as far as the reference has cohorts of them;
    the attribute holds the profiles of those that were seen: field -> category -> profile against the cohort's own
    reference. A row of another category is counted in the whole alone.
    """

    def __init__(self, reference: Reference, cohorts: Sequence[str] = ()) -> None:
        self.reference = reference
        self.cohorts: dict[str, dict[str, Profile]] = {name: {} for name in cohorts if name in reference.cohorts}
        self.rows = 0
        self.counts: list[list[int]] = [[0] * column.bins.size for column in reference.columns]
        self._bins = [column.bins for column in reference.columns]
        self._edges = [bins.edges if isinstance(bins, NumericBins) else None for bins in self._bins]
        self._columns: list[str] = []  # of the last rows
        self._places = self._places_in([])

    def add(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], predictions: Sequence[object] | None = None
    ) -> None:
        """Count `rows`; `columns` names their values, in any order, and `predictions` holds the answer to each row.

        A column that the reference does not know is ignored; one that it knows and that is not there counts as missing
        in every row. Never raises on odd values: what does not fit is missing.
        """
        if columns != self._columns:
            self._columns = list(columns)
            self._places = self._places_in(self._columns)
        answers = () if predictions is None else predictions
        whole = [
            [*self._whole(row), answers[number] if number < len(answers) else None, None]
            for number, row in enumerate(rows)
        ]
        for at, edges, bins, counts in zip(self._places, self._edges, self._bins, self.counts, strict=True):
            for values in whole:
                value = values[at]
                # `NumericBins.index` of nearly all values, without its calls.
                if type(value) is float and edges is not None and value == value:  # noqa: PLR0124 - unlike NaN
                    counts[bisect_right(edges, value)] += 1
                else:
                    counts[bins.index(value)] += 1
        self.rows += len(rows)
        if self.cohorts:
            self._add_to_cohorts(rows, answers)

    def _add_to_cohorts(self, rows: Sequence[Sequence[object]], answers: Sequence[object]) -> None:
        for name in self.cohorts:
            if name not in self._columns:
                continue
            at, known = self._columns.index(name), self.reference.cohorts[name]
            apart: dict[str, tuple[list[Sequence[object]], list[object]]] = {}
            for number, row in enumerate(rows):
                label = category(row[at]) if at < len(row) else None
                if label is not None and label in known:
                    theirs, said = apart.setdefault(label, ([], []))
                    theirs.append(row)
                    said.append(answers[number] if number < len(answers) else None)
            for label, (theirs, said) in apart.items():
                self._cohort(name, label).add(self._columns, theirs, said)

    def _cohort(self, name: str, label: str) -> Profile:
        found = self.cohorts.setdefault(name, {})
        if label not in found:
            found[label] = Profile(self.reference.of_cohorts[name][label])
        return found[label]

    def _places_in(self, columns: Sequence[str]) -> list[int]:
        """Where the value of each column of the reference stands: in the row, in the answer after it, or in None after that."""
        position = {name: at for at, name in enumerate(columns)}
        position[PREDICTION] = len(columns)
        return [position.get(column.name, len(columns) + 1) for column in self.reference.columns]

    def _whole(self, row: Sequence[object]) -> Sequence[object]:
        missing = len(self._columns) - len(row)
        return row if missing == 0 else [*row[: len(self._columns)], *[None] * missing]

    @classmethod
    def of(cls, reference: Reference, docs: Iterable[Mapping[str, Any]]) -> Profile:
        """Of all documents that were counted against this reference, one profile; others are passed over."""
        merged = cls(reference)
        for doc in docs:
            if doc["reference"] == reference.fingerprint:
                merged._take(doc)
                for name, labels in doc.get("cohorts", {}).items():
                    for label, counted in labels.items():
                        merged._cohort(name, label)._take(counted)
        return merged

    def merge(self, other: Profile) -> Profile:
        """A new profile of the rows of both.

        Raises
        ------
        ValueError
            If the two were counted against different references.
        """
        _same(self.reference.fingerprint, other.reference.fingerprint)
        return Profile.of(self.reference, (self.to_doc(), other.to_doc()))

    def to_doc(self) -> dict[str, Any]:
        """As JSON: the counts in the order of the reference's columns, and the fingerprint of that reference; those of
        the cohorts that were seen beside it, the same way."""
        doc = {"reference": self.reference.fingerprint, **self._counted()}
        if any(self.cohorts.values()):
            doc["cohorts"] = {
                name: {label: cohort._counted() for label, cohort in labels.items()}
                for name, labels in self.cohorts.items()
                if labels
            }
        return doc

    @classmethod
    def from_doc(cls, reference: Reference, doc: Mapping[str, Any]) -> Profile:
        """The profile that `to_doc` wrote.

        Raises
        ------
        ValueError
            If it was counted against another reference.
        """
        _same(reference.fingerprint, doc["reference"])
        return cls.of(reference, [doc])

    def _counted(self) -> dict[str, Any]:
        return {"rows": self.rows, "counts": [list(counts) for counts in self.counts]}

    def _take(self, counted: Mapping[str, Any]) -> None:
        self.rows += int(counted["rows"])
        self.counts = [
            list(map(add, mine, theirs)) for mine, theirs in zip(self.counts, counted["counts"], strict=True)
        ]


def _same(expected: str, got: str) -> None:
    if expected != got:
        raise ValueError(f"the profile was counted against reference {got}, not {expected}")
