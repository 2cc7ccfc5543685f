"""Fit what drift is measured against from the training data, and log it to the active run: two lines in a script or notebook.

    from labcycle.client import reference

    with mlflow.start_run():
        reference.log(train, predictions=model.predict(train), cohorts=["country"])

It counts every row where the data is, in a second a million rows, and logs some hundred bytes a column; the table of training
rows that `mlflow.log_table` logs instead (labcycle takes both) grows with its rows. Needs numpy.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labcycle.errors import LabcycleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "reference.json"
PREDICTION = "prediction"
# As the evaluator's own `Reference.from_table`, with which a test compares.
_QUANTILE_BINS = 10
_TOP_CATEGORIES = 20
_COHORTS_OF_A_FIELD = 8
_CATEGORY_LENGTH = 100
_ATOM_RELATIVE, _ATOM_ABSOLUTE = 1e-6, 1e-9


def log(frame: Any, *, predictions: Any = None, cohorts: Sequence[str] = ()) -> dict[str, Any]:
    """Fit a reference and log it as the artifact `reference.json` of the active run. What is fitted, and what is raised: `fit`.

    Raises
    ------
    LabcycleError
        If no run is active, too.
    """
    import mlflow

    if mlflow.active_run() is None:
        raise LabcycleError("reference.log: no run is active. Call it inside of `with mlflow.start_run():`")
    document = fit(frame, predictions=predictions, cohorts=cohorts)
    mlflow.log_dict(document, FILE)
    return document


def fit(frame: Any, *, predictions: Any = None, cohorts: Sequence[str] = ()) -> dict[str, Any]:
    """The reference of training data, as a document.

    A column is numeric (bins at its deciles) where each value that is there is a number, else categorical (its 20 most
    frequent values). Predictions of whole numbers of at most 20 kinds are categorical.

    Parameters
    ----------
    frame
        A pandas DataFrame, or a mapping of names to sequences of one length: the features as the model is asked with them.
    predictions
        What the model answers to each row. Absent: those of the column `prediction`, if there is one.
    cohorts
        Names of categorical features by whose 8 most frequent values drift is judged apart, too; the team file's
        `monitor.cohorts` names those of which live rows are counted.

    Raises
    ------
    LabcycleError
        If numpy is not installed, there are no rows or no columns, names or lengths do not fit, a column holds times or
        complex numbers, or a cohort is no feature.
    """
    names, columns = _columns(frame, predictions)
    if unknown := [name for name in cohorts if name not in names or name == PREDICTION]:
        features = ", ".join(name for name in names if name != PREDICTION)
        raise LabcycleError(f"reference.fit: cohorts: got {unknown[0]!r}; allowed are the features: {features}"[:1000])
    fields = {name: _cohorts(columns[name]) for name in cohorts}
    fitted = []
    apart: dict[str, dict[str, list[list[int]]]] = {
        n: {label: [] for label in labels} for n, (labels, _) in fields.items()
    }
    for name in sorted(names, key=lambda name: name == PREDICTION):
        bins, size, places = _binned(columns[name], integers_are_labels=name == PREDICTION)
        scale = bins.pop("scale", None)
        bins["counts"] = _counts(places, size)
        fitted.append({"name": name, **bins, **({"scale": scale} if scale else {})})
        for field, (labels, cohort_of) in fields.items():
            joint = _counts(cohort_of * size + places, (len(labels) + 1) * size)
            for number, label in enumerate(labels):
                apart[field][label].append(joint[number * size : (number + 1) * size])
    return {"columns": fitted, **({"cohorts": apart} if apart else {})}


@dataclass(frozen=True)
class _Column:
    """`numbers`, NaN where there is none; or, of other values, `distinct` ones and which of them each row has."""

    numbers: NDArray[Any] | None
    distinct: list[Any]
    codes: NDArray[Any] | None

    def labels(self) -> tuple[list[str | None], NDArray[Any]]:
        """Labels, of which some may be the same, and which of them each row has."""
        if self.codes is not None:
            return [_label(value) for value in self.distinct], self.codes
        numpy = _numpy()
        distinct, codes = numpy.unique(self.numbers, return_inverse=True)
        return [_label(value) for value in distinct.tolist()], codes


def _columns(frame: Any, predictions: Any) -> tuple[list[str], dict[str, _Column]]:
    keys = list(frame)
    names = [str(key) for key in keys]
    columns = [frame[key] for key in keys] if len(set(names)) == len(names) else []
    if names and not columns:
        double = next(name for name, times in Counter(names).items() if times > 1)
        raise LabcycleError(f"reference.fit: the column {double!r} is there twice. Rename one")
    if predictions is not None:
        if PREDICTION in names:
            raise LabcycleError(
                f"reference.fit: got predictions, and a column {PREDICTION!r} in the frame. Leave out one of them"
            )
        names.append(PREDICTION)
        columns.append(predictions)
    if not names or not len(columns[0]):
        raise LabcycleError("reference.fit: got no row or no column; a reference needs at least one of each")
    for name, values in zip(names, columns, strict=True):
        if len(values) != len(columns[0]):
            raise LabcycleError(
                f"reference.fit: {name} has {len(values)} values, {names[0]} has {len(columns[0])}; all need as many"
            )
        if (dimensions := getattr(values, "ndim", 1)) != 1:
            raise LabcycleError(
                f"reference.fit: {name} has {dimensions} dimensions; allowed is a value a row. "
                "Of chances of classes give the class"
            )
    return names, {name: _column(name, values) for name, values in zip(names, columns, strict=True)}


def _column(name: str, values: Any) -> _Column:
    numpy = _numpy()
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "mMc":
        raise LabcycleError(
            f"reference.fit: {name} holds {values.dtype}; allowed are numbers, text and truth values. Convert it as for the model"
        )
    if kind in "iuf":
        of_pandas = {"na_value": math.nan} if hasattr(values, "to_numpy") else None
        as_numbers = values.to_numpy(dtype=float, **of_pandas) if of_pandas else numpy.asarray(values, dtype=float)
        return _Column(as_numbers, [], None)
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    types = set(map(type, listed))
    if all(issubclass(one, numbers.Real) and not issubclass(one, bool) for one in types):
        return _Column(numpy.array([_number(value) for value in listed], dtype=float), [], None)
    try:
        if bool in types and len(types) > 1:
            raise TypeError  # True equals 1, and is another category
        codes = {value: code for code, value in enumerate(dict.fromkeys(listed))}
        return _Column(None, list(codes), numpy.fromiter(map(codes.__getitem__, listed), numpy.intp, len(listed)))
    except TypeError:
        return _Column(None, listed, numpy.arange(len(listed)))


def _binned(column: _Column, *, integers_are_labels: bool) -> tuple[dict[str, Any], int, NDArray[Any]]:
    """Bins with the scale of numeric ones, how many there are, and the bin of each row."""
    numpy = _numpy()
    if column.numbers is not None:
        return _categorical(column) if integers_are_labels and _are_labels(column.numbers) else _numeric(column.numbers)
    if any(isinstance(value, bool | str) for value in column.distinct):
        return _categorical(column)
    of_each = numpy.array([_number(value) for value in column.distinct], dtype=float)
    assert column.codes is not None
    return _binned(_Column(of_each[column.codes], [], None), integers_are_labels=integers_are_labels)


def _numeric(values: NDArray[Any]) -> tuple[dict[str, Any], int, NDArray[Any]]:
    numpy = _numpy()
    are_finite = numpy.isfinite(values)
    finite = values if are_finite.all() else values[are_finite]
    if not len(finite):
        return {"kind": "numeric", "edges": []}, 2, numpy.isnan(values).astype(numpy.uint8)
    ranks = [len(finite) * i // _QUANTILE_BINS for i in range(1, _QUANTILE_BINS)]
    parted = numpy.partition(finite, ranks)
    edges: list[float] = []
    for value, times in sorted(Counter(parted[ranks].tolist()).items()):
        width = _ATOM_RELATIVE * abs(value) + _ATOM_ABSOLUTE
        for edge in (value - width, value + width) if times > 1 else (value,):
            if math.isfinite(edge) and (not edges or edge > edges[-1]):
                edges.append(edge)
    places = numpy.zeros(len(values), numpy.uint8)
    for edge in edges:
        places += values >= edge
    if finite is not values:
        places[numpy.isnan(values)] = len(edges) + 1
    scale = _scale(parted, ranks, edges)
    return {"kind": "numeric", "edges": edges, "scale": scale}, len(edges) + 2, places


def _scale(parted: NDArray[Any], ranks: Sequence[int], edges: Sequence[float]) -> dict[str, float]:
    """Means of the outer bins, and the standard deviation. Of values in -1..1 no sum and no square overflows."""
    numpy = _numpy()
    unit = float(max(parted.max(), -parted.min())) or 1.0
    first, last = edges[0], edges[-1]
    # What is parted at the deciles need not be looked through as a whole.
    lower = parted[: ranks[0] + 1] if first <= parted[ranks[0]] else parted
    upper = parted[ranks[-2] :] if last > parted[ranks[-2]] else parted
    low, high = lower[lower < first], upper[upper >= last]
    parts = parted / unit
    return {
        "low": min(unit * float(numpy.mean(low / unit)), first) if len(low) else first,
        "high": max(unit * float(numpy.mean(high / unit)), last) if len(high) else last,
        "deviation": unit * float(numpy.std(parts)),
    }


def _categorical(column: _Column) -> tuple[dict[str, Any], int, NDArray[Any]]:
    numpy = _numpy()
    labels, codes = column.labels()
    categories = _most_frequent(labels, codes, _TOP_CATEGORIES)
    size = len(categories) + 2
    bin_of: dict[str | None, int] = {label: number for number, label in enumerate(categories)} | {None: size - 1}
    of_each = numpy.array([bin_of.get(label, size - 2) for label in labels])
    return {"kind": "categorical", "categories": categories}, size, of_each[codes]


def _cohorts(column: _Column) -> tuple[list[str], NDArray[Any]]:
    """The labels that are cohorts, and which of them each row is of; of none it is of the one after the last."""
    labels, codes = column.labels()
    kept = _most_frequent(labels, codes, _COHORTS_OF_A_FIELD)
    number_of: dict[str | None, int] = {label: number for number, label in enumerate(kept)}
    return kept, _numpy().array([number_of.get(label, len(kept)) for label in labels])[codes]


def _most_frequent(labels: Sequence[str | None], codes: NDArray[Any], most: int) -> list[str]:
    times: Counter[str] = Counter()
    for label, count in zip(labels, _counts(codes, len(labels)), strict=True):
        if label is not None:
            times[label] += count
    return sorted(times, key=lambda label: (-times[label], label))[:most]


def _counts(places: NDArray[Any], size: int) -> list[int]:
    counted: list[int] = _numpy().bincount(places, minlength=size).tolist()
    return counted


def _are_labels(values: NDArray[Any]) -> bool:
    numpy = _numpy()
    there = values[~numpy.isnan(values)]
    if not len(there) or len(numpy.unique(there[:1000])) > _TOP_CATEGORIES:
        return False
    kinds = numpy.unique(there)
    return len(kinds) <= _TOP_CATEGORIES and bool(numpy.isfinite(kinds).all() and (kinds == numpy.floor(kinds)).all())


def _label(value: object) -> str | None:
    """As the model server counts it: 1, 1.0 and "1" are the same category."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:_CATEGORY_LENGTH]
    real = _number(value)
    if math.isnan(real):
        return None
    if isinstance(value, int):
        return (str(value) if math.isfinite(real) and abs(value) < 2**53 else _of_float(real))[:_CATEGORY_LENGTH]
    return _of_float(real)[:_CATEGORY_LENGTH]


def _of_float(real: float) -> str:
    return str(int(real)) if real.is_integer() else repr(real)


def _number(value: object) -> float:
    """NaN for what is no number."""
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return float(value) if isinstance(value, numbers.Real) else math.nan


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        raise LabcycleError("reference.fit: needs numpy, which is not installed. Run: pip install numpy") from None
    return numpy
