"""Measure a model on a labelled table, by the metrics that a retraining may be judged by. Pure Python.

Labels are compared by value, as `profiles.bins.category` names them, so that 1, 1.0 and "1" are one class.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from labcycle_lambdas.profiles.bins import category, number
from labcycle_lambdas.profiles.chances import SMALLEST, Answers, NoChances, chances_of, sorted_classes


class CannotScore(Exception):
    """The model's answers do not allow this metric; the message says why."""


def measure(metric: str, truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    """The value of `metric` for `truth`, one value a row.

    Parameters
    ----------
    outputs
        The model's outputs by name, in the graph's order, one answer a row; the first is the prediction. `log_loss` and
        `roc_auc` need the chances of the classes among them, as `profiles.chances` reads them.

    Raises
    ------
    CannotScore
        If there are no rows, the metric is unknown, or the outputs or labels do not allow it.
    """
    if metric not in METRICS:
        raise CannotScore(f"the metric {metric} cannot be computed; allowed: {', '.join(METRICS)}")
    if not truth:
        raise CannotScore("the holdout has no rows")
    value = METRICS[metric](truth, outputs)
    if not math.isfinite(value):
        raise CannotScore(f"{metric} is {value}")
    return value


def _accuracy(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    said = _labels(_first(outputs))
    return sum(t == s for t, s in zip(_labels(truth), said, strict=True)) / len(truth)


def _balanced_accuracy(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    """Mean of the recalls of the classes that are there."""
    labels, said = _labels(truth), _labels(_first(outputs))
    classes = sorted(set(labels), key=str)
    recalls = [
        sum(t == c and s == c for t, s in zip(labels, said, strict=True)) / sum(t == c for t in labels) for c in classes
    ]
    return sum(recalls) / len(recalls)


def _log_loss(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    chances = _chances(truth, outputs)
    total = 0.0
    for label, row in zip(_labels(truth), chances, strict=True):
        total -= math.log(min(max(row.get(label or "", 0.0), SMALLEST), 1 - SMALLEST))
    return total / len(truth)


def _roc_auc(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    """Probability that a row of a class has a higher chance of it than one of another; for more than two classes the
    mean over them (one against the rest), as scikit-learn's `multi_class="ovr"`."""
    labels = [label or "" for label in _labels(truth)]
    classes = sorted_classes(labels)
    if len(classes) < 2:
        raise CannotScore("roc_auc needs rows of at least two classes")
    chances = _chances(truth, outputs)
    wanted = classes[1:] if len(classes) == 2 else classes
    areas = []
    for wanted_class in wanted:
        inside = sorted(row.get(wanted_class, 0.0) for row, t in zip(chances, labels, strict=True) if t == wanted_class)
        outside = sorted(
            row.get(wanted_class, 0.0) for row, t in zip(chances, labels, strict=True) if t != wanted_class
        )
        below = sum(bisect_left(outside, p) + bisect_right(outside, p) for p in inside) / 2
        areas.append(below / (len(inside) * len(outside)))
    return sum(areas) / len(areas)


def _rmse(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    pairs = _numbers(truth, outputs)
    return math.sqrt(sum((t - s) ** 2 for t, s in pairs) / len(pairs))


def _mae(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    pairs = _numbers(truth, outputs)
    return sum(abs(t - s) for t, s in pairs) / len(pairs)


def _r2(truth: Sequence[object], outputs: Mapping[str, Answers]) -> float:
    pairs = _numbers(truth, outputs)
    mean = sum(t for t, _ in pairs) / len(pairs)
    spread = sum((t - mean) ** 2 for t, _ in pairs)
    if not spread:
        raise CannotScore("r2 needs targets that differ")
    return 1 - sum((t - s) ** 2 for t, s in pairs) / spread


METRICS: dict[str, Callable[[Sequence[object], Mapping[str, Answers]], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})


def gain(metric: str, value: float, over: float) -> float:
    """How much better `value` is than `over`: positive where it is better, whichever direction the metric has."""
    return over - value if metric in LOWER_IS_BETTER else value - over


def _first(outputs: Mapping[str, Answers]) -> Answers:
    return next(iter(outputs.values()))


def _labels(values: Sequence[object]) -> list[str | None]:
    return [category(value) for value in values]


def _numbers(truth: Sequence[object], outputs: Mapping[str, Answers]) -> list[tuple[float, float]]:
    pairs = []
    for t, s in zip(truth, _first(outputs), strict=True):
        real, said = number(t), number(s)
        if real is None or said is None:
            raise CannotScore("targets and predictions must be numbers for this metric")
        pairs.append((float(real), float(said)))
    return pairs


def _chances(truth: Sequence[object], outputs: Mapping[str, Answers]) -> list[dict[str, float]]:
    """For each row the chance of each class."""
    labels = [str(label) for label in _labels([*truth, *_first(outputs)])]
    try:
        return chances_of(outputs, sorted_classes(labels))
    except NoChances as error:
        raise CannotScore(str(error)) from None
