"""References and profiles that are given by their counts."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from labcycle_lambdas.profiles import ColumnComparison, Profile, Reference, compare
from labcycle_lambdas.profiles.bins import CategoricalBins, NumericBins
from labcycle_lambdas.profiles.reference import Column
from labcycle_lambdas.profiles.scale import Scale

DECILES = NumericBins(tuple(NormalDist().inv_cdf(i / 10) for i in range(1, 10)))  # of the standard normal distribution
SCALE = Scale(-1.755, 1.755, 1.0)


def numeric(counts: Sequence[int], name: str = "x", scale: Scale | None = SCALE) -> Column:
    """Bins of deciles, or, of fewer counts, with edges 0, 1, 2, ..."""
    size = len(counts) - 2
    return Column(
        name, DECILES if size == 9 else NumericBins(tuple(map(float, range(size)))), tuple(map(int, counts)), scale
    )


def categorical(counts: Sequence[int], name: str = "x") -> Column:
    return Column(name, CategoricalBins(tuple(f"c{i}" for i in range(len(counts) - 2))), tuple(map(int, counts)))


def profile(reference: Reference, counts: Sequence[Sequence[int]]) -> Profile:
    made = Profile(reference)
    made.rows = max(map(sum, counts))
    made.counts = [list(map(int, one)) for one in counts]
    return made


def compared(column: Column, live: Sequence[int]) -> ColumnComparison:
    reference = Reference((column,))
    return compare(reference, profile(reference, [live]))[0]
