"""Counts of live rows in the bins of a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labcycle_lambdas.profiles.reference import PREDICTION, Reference


class Profile:
    """How many live rows fell into each bin of `reference`."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.rows = 0
        self.counts: list[list[int]] = [[0] * column.bins.size for column in reference.columns]

    def add(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], predictions: Sequence[object] | None = None
    ) -> None:
        """Count `rows`; `columns` names their values, in any order, and `predictions` holds the answer to each row.

        A column that the reference does not know is ignored; one that it knows and that is not there counts as missing
        in every row. Never raises on odd values: what does not fit is missing.
        """
        position = {name: i for i, name in enumerate(columns)}
        for column, counts in zip(self.reference.columns, self.counts, strict=True):
            index, missing = column.bins.index, column.bins.size - 1
            if column.name == PREDICTION:
                answers = () if predictions is None else predictions
                for answer in answers[: len(rows)]:
                    counts[index(answer)] += 1
                counts[missing] += max(0, len(rows) - len(answers))
                continue
            at = position.get(column.name)
            if at is None:
                counts[missing] += len(rows)
                continue
            for row in rows:
                counts[index(row[at]) if at < len(row) else missing] += 1
        self.rows += len(rows)

    def merge(self, other: Profile) -> Profile:
        """A new profile of the rows of both.

        Raises
        ------
        ValueError
            If the two were counted against different references.
        """
        _same(self.reference.fingerprint, other.reference.fingerprint)
        merged = Profile(self.reference)
        merged.rows = self.rows + other.rows
        merged.counts = [
            [a + b for a, b in zip(mine, theirs, strict=True)]
            for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        return merged

    def to_doc(self) -> dict[str, Any]:
        """As JSON: the counts in the order of the reference's columns, and the fingerprint of that reference."""
        return {"reference": self.reference.fingerprint, "rows": self.rows, "counts": [list(c) for c in self.counts]}

    @classmethod
    def from_doc(cls, reference: Reference, doc: Mapping[str, Any]) -> Profile:
        """The profile that `to_doc` wrote.

        Raises
        ------
        ValueError
            If it was counted against another reference.
        """
        _same(reference.fingerprint, doc["reference"])
        profile = cls(reference)
        profile.rows = int(doc["rows"])
        profile.counts = [list(counts) for counts in doc["counts"]]
        return profile


def _same(expected: str, got: str) -> None:
    if expected != got:
        raise ValueError(f"the profile was counted against reference {got}, not {expected}")
