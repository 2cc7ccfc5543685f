"""Where the bins of a numeric column stand, so that how far values moved is told in standard deviations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from labcycle_lambdas.profiles.bins import NumericBins, number


@dataclass(frozen=True)
class Scale:
    """`low` and `high` are the means of the training values in the outer bins, which have no end; `deviation` is the
    standard deviation of all of them. Infinite values are left out."""

    low: float
    high: float
    deviation: float

    @classmethod
    def of(cls, values: Iterable[object], bins: NumericBins) -> Scale | None:
        """None where no value is a finite number. An outer bin without values stands at its edge."""
        finite = [n for n in map(number, values) if n is not None and math.isfinite(n)]
        if not finite:
            return None
        # Of values in -1..1 no sum and no square overflows.
        unit = max(map(abs, finite)) or 1.0
        mean = _mean(finite, unit)
        squares = math.fsum(((value / unit) - (mean / unit)) ** 2 for value in finite)
        first, last = bins.edges[0], bins.edges[-1]
        low, high = [v for v in finite if v < first], [v for v in finite if v >= last]
        return cls(
            low=min(_mean(low, unit), first) if low else first,  # rounding may lead over the edge
            high=max(_mean(high, unit), last) if high else last,
            deviation=unit * math.sqrt(squares / len(finite)),
        )

    def positions(self, bins: NumericBins) -> list[float] | None:
        """Of each bin but that of missing values, in standard deviations: the outer ones at `low` and `high`, the others at their
        middle. None where values do not spread, or so little that no number tells the distance."""
        if not self.deviation:
            return None
        inner = [a / 2 + b / 2 for a, b in pairwise(bins.edges)]
        found = [at / self.deviation for at in (self.low, *inner, self.high)]
        return found if math.isfinite(found[-1] - found[0]) else None

    def to_doc(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Scale:
        return cls(float(doc["low"]), float(doc["high"]), float(doc["deviation"]))


def _mean(values: Sequence[float], unit: float) -> float:
    return unit * (math.fsum(value / unit for value in values) / len(values))
