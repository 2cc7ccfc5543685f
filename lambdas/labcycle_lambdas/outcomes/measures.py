"""Metrics from sums, as scikit-learn has them from the rows, each with what is left open by chance.

accuracy, balanced_accuracy, log_loss (sums of 1e-9), rmse, mae, r2 and bias are those of the rows. What orders rows by chance (roc_auc,
average_precision, precision and lift of the top) is that of chances cut to 100 bins, within which rows count as equal: roc_auc is off by
at most half the share of pairs, of a row that came true and one that did not, which share a bin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

from labcycle_lambdas.outcomes.sums import BILLION, BINS, OTHER, UNIT_BITS, Part, tree
from labcycle_lambdas.profiles.chances import in_order

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
LEAST_OF_A_CLASS = 10  # rows of it, and rows of others, below which an area says nothing
TOPS = (1, 5, 10)  # percent


@dataclass(frozen=True)
class Measured:
    """A metric of `rows` rows, and the interval that `low` and `high` bound: outside of either end with the chance that was asked for."""

    value: float
    low: float
    high: float
    rows: int


def measure(metric: str, part: Part, z: float) -> Measured | None:
    """A metric with its bounds, each `z` standard errors away; None where the sums do not allow it.

    accuracy: the score interval of Wilson (1927), https://doi.org/10.2307/2276774. roc_auc: the standard error of Hanley and McNeil
    (1982), https://doi.org/10.1148/radiology.143.1.7063747, for several classes the mean of theirs, which is at least that of the
    mean. All others: the normal approximation for means; of the recalls of balanced_accuracy with one row added to right and wrong
    each, of rmse by that of the mean square, of r2 by the delta method.
    """
    return _METRICS[metric](part, z)


def right(part: Part) -> int:
    """Rows whose prediction came true."""
    return sum(amount for key, amount in part.items() if key[0] == "cell" and key[1] == key[2])


def value_of(part: Part) -> dict[str, Any]:
    """Number of values, their sum, its standard error (as of a sum of independent values) and their mean; None where there is none."""
    rows = part.get(("values",), 0)
    total = _real(part.get(("value",), 0), 1)
    if not rows:
        return {"rows": 0, "sum": 0.0, "standard_error": None, "mean": None}
    variance = max(Fraction(part.get(("value2",), 0), rows) - Fraction(part.get(("value",), 0), rows) ** 2, Fraction(0))
    error = math.sqrt(float(variance / (1 << 2 * UNIT_BITS)) * rows)
    return {"rows": rows, "sum": total, "standard_error": error, "mean": total / rows}


def bias(part: Part) -> float | None:
    """How much predictions are above the truth in the mean."""
    return _real(part.get(("e",), 0), 1, _rows(part)) if _is_numbers(part) else None


def ranking(part: Part, label: str) -> dict[str, Any] | None:
    """How well the chances of a class order the rows; None where it came true for none or all.

    `top`: of the rows with the largest 1, 5 and 10 percent of chances, which share came true, and how many times the share of all
    rows that is; of the bin that is cut, a like share of its rows.
    """
    missed, hit = _bins(part, label)
    positives, negatives = sum(hit), sum(missed)
    if not positives or not negatives:
        return None
    rows, base = positives + negatives, positives / (positives + negatives)
    top = []
    for percent in TOPS:
        left, found = rows * percent / 100, 0.0
        for yes, no in zip(reversed(hit), reversed(missed), strict=True):
            taken = min(left, yes + no)
            found += yes * taken / (yes + no) if taken else 0.0
            left -= taken
        share = found / (rows * percent / 100)
        top.append({"percent": percent, "precision": share, "lift": share / base})
    return {"average_precision": _average_precision(hit, missed), "base_rate": base, "top": top}


def calibration(part: Part, label: str) -> dict[str, Any] | None:
    """Whether chances come true, in ten groups by chance: the mean chance (of the middles of bins, within 0.005), the share that came
    true, and the mean distance of both over all rows (expected calibration error, within 0.005)."""
    missed, hit = _bins(part, label)
    rows = sum(missed) + sum(hit)
    if not rows:
        return None
    groups = []
    for start in range(0, BINS, 10):
        inside = range(start, start + 10)
        counted = sum(missed[i] + hit[i] for i in inside)
        if counted:
            chance = sum((missed[i] + hit[i]) * (i + 0.5) / BINS for i in inside) / counted
            groups.append({"chance": chance, "came_true": sum(hit[i] for i in inside) / counted, "rows": counted})
    error = sum(group["rows"] * abs(group["chance"] - group["came_true"]) for group in groups) / rows
    return {"groups": groups, "expected_calibration_error": error}


def area_bound(part: Part, label: str) -> float:
    """By how much the area of these bins can be off."""
    missed, hit = _bins(part, label)
    pairs = sum(missed) * sum(hit)
    return sum(no * yes for no, yes in zip(missed, hit, strict=True)) / pairs / 2 if pairs else 0.0


def figures(part: Part) -> dict[str, Any]:
    """All metrics that the sums allow, by name; those of chances for the class that counts as positive, of two."""
    found = {metric: measured.value for metric in _METRICS if (measured := measure(metric, part, 0.0))}
    if (above := bias(part)) is not None:
        found["bias"] = above
    labels = sorted(tree(part, "chance"), key=in_order)
    if len(labels) == 2 and (ranked := ranking(part, labels[1])):
        found["average_precision"] = ranked["average_precision"]
        found |= {f"lift_top_{one['percent']}_percent": one["lift"] for one in ranked["top"]}
    if len(labels) == 2 and (calibrated := calibration(part, labels[1])):
        found["expected_calibration_error"] = calibrated["expected_calibration_error"]
    return found


def _accuracy(part: Part, z: float) -> Measured | None:
    rows = _rows(part)
    if not rows or _is_numbers(part):
        return None
    share = right(part) / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return Measured(share, max(middle - half, 0.0), min(middle + half, 1.0), rows)


def _balanced_accuracy(part: Part, z: float) -> Measured | None:
    recalls, variance = [], 0.0
    for told, said in tree(part, "cell").items():
        there, hits = sum(said.values()), said.get((told,), 0)
        recalls.append(hits / there)
        shrunk = (hits + 1) / (there + 2)
        variance += shrunk * (1 - shrunk) / there
    if not recalls:
        return None
    return _around(sum(recalls) / len(recalls), math.sqrt(variance) / len(recalls), z, _rows(part), 0.0, 1.0)


def _log_loss(part: Part, z: float) -> Measured | None:
    rows = part.get(("losses",), 0)
    if not rows:
        return None
    mean, square = Fraction(part.get(("loss",), 0), rows), Fraction(part.get(("loss2",), 0), rows)
    error = math.sqrt(float(square - mean * mean) / rows) / BILLION
    return _around(float(mean) / BILLION, error, z, rows, 0.0, math.inf)


def _roc_auc(part: Part, z: float) -> Measured | None:
    labels = sorted((label for label in tree(part, "cell") if label != OTHER), key=in_order)
    areas, errors = [], []
    for label in labels[1:] if len(labels) == 2 else labels:
        missed, hit = _bins(part, label)
        positives, negatives = sum(hit), sum(missed)
        if min(positives, negatives) < LEAST_OF_A_CLASS:
            return None
        below = [0, *accumulate(missed)]
        area = sum(yes * (2 * under + no) for yes, under, no in zip(hit, below, missed, strict=False))
        areas.append(area / (2 * positives * negatives))
        errors.append(_hanley_mcneil(areas[-1], positives, negatives))
    if not areas:
        return None
    return _around(sum(areas) / len(areas), sum(errors) / len(errors), z, part.get(("losses",), 0), 0.0, 1.0)


def _hanley_mcneil(area: float, positives: int, negatives: int) -> float:
    both, twice = area / (2 - area), 2 * area * area / (1 + area)
    spread = (positives - 1) * (both - area**2) + (negatives - 1) * (twice - area**2)
    return math.sqrt(max(area * (1 - area) + spread, 0.0) / (positives * negatives))


def _average_precision(hit: list[int], missed: list[int]) -> float:
    total, seen, found = 0.0, 0, 0
    for yes, no in zip(reversed(hit), reversed(missed), strict=True):
        seen, found = seen + yes + no, found + yes
        total += yes * found / seen if yes else 0.0
    return total / sum(hit)


def _rmse(part: Part, z: float) -> Measured | None:
    if not _is_numbers(part):
        return None
    rows = _rows(part)
    square = _real(part.get(("e2",), 0), 2, rows)
    spread = _real(part.get(("e4",), 0) * rows - part.get(("e2",), 0) ** 2, 4, rows * rows)
    error = math.sqrt(spread / rows)
    low, high = max(square - z * error, 0.0), square + z * error
    return Measured(math.sqrt(square), math.sqrt(low), math.sqrt(high), rows)


def _mae(part: Part, z: float) -> Measured | None:
    if not _is_numbers(part):
        return None
    rows, away = _rows(part), part.get(("|e|",), 0)
    spread = _real(part.get(("e2",), 0) * rows - away * away, 2, rows * rows)
    return _around(_real(away, 1, rows), math.sqrt(spread / rows), z, rows, 0.0, math.inf)


def _r2(part: Part, z: float) -> Measured | None:
    rows = _rows(part)
    t, t2, t3, t4, e2, e4, e2t, e2t2 = (
        Fraction(part.get((name,), 0), max(rows, 1)) for name in ("t", "t2", "t3", "t4", "e2", "e4", "e2t", "e2t2")
    )
    spread = t2 - t * t  # of the truths
    if not _is_numbers(part) or spread <= 0:
        return None
    left = e2 / spread
    # Of d = e^2 - left (t - mean)^2, whose mean is 0 at the estimate.
    fourth = t4 - 4 * t * t3 + 6 * t * t * t2 - 3 * t**4
    mixed = e2t2 - 2 * t * e2t + t * t * e2
    variance = max(e4 - 2 * left * mixed + left * left * fourth, Fraction(0))
    error = math.sqrt(float(variance / (spread * spread)) / rows)
    return _around(float(1 - left), error, z, rows, -math.inf, 1.0)


_METRICS: Mapping[str, Callable[[Part, float], Measured | None]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}


def _around(value: float, error: float, z: float, rows: int, least: float, most: float) -> Measured:
    return Measured(value, max(value - z * error, least), min(value + z * error, most), rows)


def _rows(part: Part) -> int:
    return part.get(("rows",), 0)


def _is_numbers(part: Part) -> bool:
    """Whether there are rows, whose truths are numbers."""
    return _rows(part) > 0 and not any(key[0] == "cell" for key in part)


def _bins(part: Part, label: str) -> tuple[list[int], list[int]]:
    """Rows by the chance of a class: of those that it is not true of, and of the others."""
    found = [part.get(("chance", label, str(at), came), 0) for came in "01" for at in range(BINS)]
    return found[:BINS], found[BINS:]


def _real(total: int, power: int, rows: int = 1) -> float:
    """A sum of products of so many numbers, divided by `rows`."""
    return float(Fraction(total, rows << power * UNIT_BITS))
