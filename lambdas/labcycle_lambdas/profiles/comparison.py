"""Live data beside the training data, column by column, and which columns moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from labcycle_lambdas.profiles import distances
from labcycle_lambdas.profiles.bins import CategoricalBins, NumericBins
from labcycle_lambdas.profiles.profile import Profile
from labcycle_lambdas.profiles.reference import Column, Reference
from labcycle_lambdas.profiles.significance import (
    MINIMUM_EXPECTED,
    chi_squared,
    p_value,
    share_p_value,
    significant,
)

Method = Literal["psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov"]
Standing = Literal["empty", "tiny", "all_missing", "constant", "compared"]
LEVEL = 0.001  # chance that any column is named in an evaluation where nothing moved


@dataclass(frozen=True)
class ColumnComparison:
    """The figures of one column; `rows` were counted live, `reference_rows` in training, and the fractions are of these.

    `psi`, `jensen_shannon` and `chi_squared` with its `p_value` are of all bins, that of missing values among them.
    `kolmogorov_smirnov` and `wasserstein` are of the values that are there. Of a categorical column, which has no order,
    `kolmogorov_smirnov` is the total variation distance, and `wasserstein` None, as it is of a reference that was fitted
    before it had a scale. `new_fraction` are the rows whose category has no bin (of a numeric column None); the p-values of
    missing and new ones are of these shares alone. No figure is ever NaN or infinite.

    `standing` tells which figures say something, the first of these that holds:

    - `empty`: no row on a side. Every figure is 0.0, and every p-value 1.0.
    - `tiny`: fewer than 5 rows on a side. Nothing is tested: every p-value is 1.0.
    - `all_missing`: no value is there on a side. `kolmogorov_smirnov` and `wasserstein` are 0.0; the others tell.
    - `constant`: all training values are in one bin. `wasserstein` is the share of the values that left it.
    - `compared`.
    """

    name: str
    kind: str
    rows: int
    reference_rows: int
    psi: float
    jensen_shannon: float
    wasserstein: float | None
    kolmogorov_smirnov: float
    chi_squared: float
    p_value: float
    missing_fraction: float
    reference_missing_fraction: float
    missing_p_value: float
    new_fraction: float | None
    reference_new_fraction: float | None
    new_p_value: float | None
    standing: Standing

    def figure(self, method: Method) -> float:
        """What `method` judges the column by: its figure. Where that is of the values that are there, at least the share that went
        missing or came back counts; where there is no Wasserstein distance, the Jensen-Shannon distance."""
        if method == "psi":
            return self.psi
        if method == "jensen_shannon" or (method == "wasserstein" and self.wasserstein is None):
            return self.jensen_shannon
        of_values = self.wasserstein if method == "wasserstein" else self.kolmogorov_smirnov
        return max(of_values or 0.0, abs(self.missing_fraction - self.reference_missing_fraction))

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)


def compare(reference: Reference, profile: Profile) -> list[ColumnComparison]:
    """The figures of each column, in the reference's order, the prediction last. Never raises on odd counts.

    Raises
    ------
    ValueError
        If the profile was counted against another reference.
    """
    if profile.reference is not reference and profile.reference.fingerprint != reference.fingerprint:
        raise ValueError("the profile was counted against another reference")
    return [_compared(column, counts) for column, counts in zip(reference.columns, profile.counts, strict=True)]


def moved(
    comparisons: Sequence[ColumnComparison], *, method: Method, threshold: float, minimum_rows: int
) -> list[ColumnComparison]:
    """The columns that moved, the one that moved most first.

    Each has at least `minimum_rows` live, a figure of at least `threshold`, and a difference that chance does not explain
    where so many columns are looked at: the chance that any is named though nothing moved is 0.001 at most. With few rows it
    is the significance that decides, with many the figure.
    """
    enough = [one for one in comparisons if one.rows >= minimum_rows]
    named = significant({one.name: one.p_value for one in enough}, LEVEL)
    found = [one for one in enough if one.name in named and one.figure(method) >= threshold]
    return sorted(found, key=lambda one: -one.figure(method))


def _compared(column: Column, counts: Sequence[int]) -> ColumnComparison:
    trained, rows, reference_rows = column.counts, sum(counts), column.rows
    there, trained_there = counts[:-1], trained[:-1]
    categorical = isinstance(column.bins, CategoricalBins)
    missing, new = (trained[-1], reference_rows, counts[-1], rows), (trained[-2], reference_rows, counts[-2], rows)
    return ColumnComparison(
        name=column.name,
        kind=column.bins.kind,
        rows=rows,
        reference_rows=reference_rows,
        psi=_figure(distances.psi, trained, counts),
        jensen_shannon=_figure(distances.jensen_shannon, trained, counts),
        wasserstein=None if categorical else _wasserstein(column, there),
        kolmogorov_smirnov=_figure(
            distances.total_variation if categorical else distances.kolmogorov_smirnov, trained_there, there
        ),
        chi_squared=_figure(chi_squared, trained, counts),
        p_value=p_value(trained, counts),
        missing_fraction=_share(counts[-1], rows),
        reference_missing_fraction=_share(trained[-1], reference_rows),
        missing_p_value=share_p_value(*missing),
        new_fraction=_share(counts[-2], rows) if categorical else None,
        reference_new_fraction=_share(trained[-2], reference_rows) if categorical else None,
        new_p_value=share_p_value(*new) if categorical else None,
        standing=_standing(there, trained_there, rows, reference_rows),
    )


def _figure(
    distance: Callable[[Sequence[int], Sequence[int]], float], expected: Sequence[int], actual: Sequence[int]
) -> float:
    return distance(expected, actual) if any(expected) and any(actual) else 0.0


def _share(count: int, rows: int) -> float:
    return count / rows if rows else 0.0


def _standing(there: Sequence[int], trained: Sequence[int], rows: int, reference_rows: int) -> Standing:
    if not rows or not reference_rows:
        return "empty"
    if min(rows, reference_rows) < MINIMUM_EXPECTED:
        return "tiny"
    if not any(there) or not any(trained):
        return "all_missing"
    return "constant" if _in_one_bin(trained) else "compared"


def _wasserstein(column: Column, there: Sequence[int]) -> float | None:
    trained = column.counts[:-1]
    if not any(there) or not any(trained):
        return 0.0
    if column.scale is None or not isinstance(column.bins, NumericBins):
        return None
    positions = column.scale.positions(column.bins)
    if positions is None or _in_one_bin(trained):
        return distances.total_variation(trained, there)
    return distances.wasserstein(trained, there, positions)


def _in_one_bin(counts: Sequence[int]) -> bool:
    return sum(1 for count in counts if count) == 1
