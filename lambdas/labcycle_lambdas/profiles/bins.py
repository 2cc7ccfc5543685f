"""Fixed bins of one column: which bin a value falls into. The last bin of every kind counts missing values."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

QUANTILE_BINS = 10
TOP_CATEGORIES = 20
_CATEGORY_LENGTH = 100  # characters of a category that are kept
# A value that fills a whole quantile bin or more gets a bin of its own. The bin's half width takes up the rounding of
# JSON tables (pandas writes 10 decimals) and of float32.
_ATOM_RELATIVE = 1e-6
_ATOM_ABSOLUTE = 1e-9
_EXACT = 2**53  # whole numbers below are floats without loss


def number(value: object) -> float | None:
    """The value as a real number; None for what is none: text, NaN, None, lists. Truth values are 0 and 1."""
    if isinstance(value, int):
        return value if -_EXACT < value < _EXACT else _as_float(value)
    if isinstance(value, Real):  # numpy's scalars, too
        real = float(value)
        return None if math.isnan(real) else real
    return None


def category(value: object) -> str | None:
    """The value as a label: 1, 1.0 and "1" are the same one. None for what is none: NaN, None, lists."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:_CATEGORY_LENGTH]
    real = number(value)
    if real is None:
        return None
    whole = isinstance(real, int) or real.is_integer()
    return (str(int(real)) if whole else repr(float(real)))[:_CATEGORY_LENGTH]


@dataclass(frozen=True)
class NumericBins:
    """Bins [-inf, e0), [e0, e1), ..., [ek, inf], missing. The outer bins are open: they take values never seen before."""

    edges: tuple[float, ...]
    kind = "numeric"

    @classmethod
    def of(cls, values: Iterable[object]) -> NumericBins:
        """Bins of about equal weight: edges at the deciles of the finite numbers among `values`.

        Where a value fills a decile or more (a constant, the zeros of a zero-inflated feature) it gets a narrow bin
        of its own, so that leaving it is seen.
        """
        finite = sorted(n for n in map(number, values) if n is not None and math.isfinite(n))
        if not finite:
            return cls(())
        deciles = Counter(float(finite[len(finite) * i // QUANTILE_BINS]) for i in range(1, QUANTILE_BINS))
        edges: list[float] = []
        for value, times in sorted(deciles.items()):
            width = _ATOM_RELATIVE * abs(value) + _ATOM_ABSOLUTE
            for edge in (value - width, value + width) if times > 1 else (value,):
                if math.isfinite(edge) and (not edges or edge > edges[-1]):
                    edges.append(edge)
        return cls(tuple(edges))

    @property
    def size(self) -> int:
        return len(self.edges) + 2

    def index(self, value: object) -> int:
        real = number(value)
        return self.size - 1 if real is None else bisect_right(self.edges, real)

    def labels(self) -> list[str]:
        bounds = ["-inf", *(f"{edge:.6g}" for edge in self.edges), "inf"]
        return [f"{low} to {high}" for low, high in pairwise(bounds)] + ["missing"]

    def to_doc(self) -> dict[str, Any]:
        return {"kind": self.kind, "edges": list(self.edges)}


@dataclass(frozen=True)
class CategoricalBins:
    """A bin for each of the most frequent categories, then other, then missing."""

    categories: tuple[str, ...]
    kind = "categorical"

    @classmethod
    def of(cls, values: Iterable[object]) -> CategoricalBins:
        counts = Counter(c for c in map(category, values) if c is not None)
        top = sorted(counts, key=lambda c: (-counts[c], c))[:TOP_CATEGORIES]
        return cls(tuple(top))

    @property
    def size(self) -> int:
        return len(self.categories) + 2

    def index(self, value: object) -> int:
        label = category(value)
        if label is None:
            return self.size - 1
        try:
            return self.categories.index(label)
        except ValueError:
            return self.size - 2

    def labels(self) -> list[str]:
        return [*self.categories, "other", "missing"]

    def to_doc(self) -> dict[str, Any]:
        return {"kind": self.kind, "categories": list(self.categories)}


Bins = NumericBins | CategoricalBins


def bins_of(values: Sequence[object], *, integers_are_labels: bool = False) -> Bins:
    """Numeric bins where every value that is there is a number, else categorical; truth values are categories.

    `integers_are_labels`: whole numbers of few kinds are classes, not amounts (predictions of a classifier).
    """
    there = [v for v in values if isinstance(v, bool | str) or number(v) is not None]
    if any(isinstance(v, bool | str) for v in there):
        return CategoricalBins.of(values)
    if integers_are_labels and there:
        kinds = {number(v) for v in there}
        if len(kinds) <= TOP_CATEGORIES and all(float(k or 0).is_integer() for k in kinds):
            return CategoricalBins.of(values)
    return NumericBins.of(values)


def bins_from_doc(doc: Mapping[str, Any]) -> Bins:
    if doc["kind"] == NumericBins.kind:
        return NumericBins(tuple(float(edge) for edge in doc["edges"]))
    return CategoricalBins(tuple(doc["categories"]))


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
