"""Read a reference that somebody fitted elsewhere: a document that is not taken on trust."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from labcycle_lambdas.profiles.bins import TOP_CATEGORIES, CategoricalBins, NumericBins, bins_from_doc
from labcycle_lambdas.profiles.reference import (
    COHORTS_OF_A_FIELD,
    PREDICTION,
    Column,
    Reference,
    check_cohorts,
)
from labcycle_lambdas.profiles.scale import Scale

_MOST_EDGES = 18  # two for each decile


def read_fitted(doc: Mapping[str, Any]) -> Reference:
    """The reference that `labcycle.client.reference.fit` made; the prediction, where there is one, as the last column.

    Raises
    ------
    ValueError
        If it is none; the message says which column, and what is wrong with it.
    """
    columns = doc.get("columns")
    if not isinstance(columns, list) or not columns:
        raise ValueError("columns: got none; a reference has a list of at least one")
    made = [_column(number, column) for number, column in enumerate(columns)]
    names = [column.name for column in made]
    if len(set(names)) != len(names):
        raise ValueError("columns: a name is there twice")
    if len({column.rows for column in made}) != 1 or not made[0].rows:
        raise ValueError("columns: each must count the same rows, at least one")
    if PREDICTION in names[:-1]:
        raise ValueError(f"columns: {PREDICTION} must be the last one")
    cohorts = doc.get("cohorts", {})
    if not isinstance(cohorts, dict):
        raise ValueError("cohorts: got no object of field, category and counts")  # noqa: TRY004 - a bad document
    check_cohorts(list(cohorts), names)
    for field, labels in cohorts.items():
        _check_cohort(field, labels, made)
    return Reference(tuple(made), Reference.from_doc({"columns": [], "cohorts": cohorts}).cohorts)


def _column(number: int, doc: Any) -> Column:
    if not isinstance(doc, dict) or not isinstance(doc.get("name"), str):
        raise ValueError(f"columns[{number}]: got no name")  # noqa: TRY004 - a bad document
    where = f"columns[{number}] ({doc['name'][:100]})"
    bounds = doc.get("edges" if doc.get("kind") == NumericBins.kind else "categories")
    if doc.get("kind") == NumericBins.kind:
        if not isinstance(bounds, list) or not all(map(_is_number, bounds)) or any(a >= b for a, b in pairwise(bounds)):
            raise ValueError(f"{where}: edges: allowed are finite numbers, each above the one before")
        if len(bounds) > _MOST_EDGES:
            raise ValueError(f"{where}: edges: got {len(bounds)}; allowed are {_MOST_EDGES}")
    elif doc.get("kind") == CategoricalBins.kind:
        if not isinstance(bounds, list) or not all(isinstance(one, str) for one in bounds):
            raise ValueError(f"{where}: categories: allowed is text")
        if len(bounds) > TOP_CATEGORIES or len(set(bounds)) != len(bounds):
            raise ValueError(f"{where}: categories: allowed are {TOP_CATEGORIES} different ones")
    else:
        raise ValueError(f"{where}: kind: got {str(doc.get('kind'))[:100]!r}; allowed are numeric and categorical")
    bins = bins_from_doc(doc)
    _check_counts(where, doc.get("counts"), bins.size)
    return Column(doc["name"], bins, tuple(doc["counts"]), _scale(where, doc.get("scale"), bins))


def _scale(where: str, doc: Any, bins: NumericBins | CategoricalBins) -> Scale | None:
    if doc is None:
        return None
    if not isinstance(bins, NumericBins) or not bins.edges:
        raise ValueError(f"{where}: scale: allowed is one of a numeric column that has edges")
    if not isinstance(doc, dict) or not all(_is_number(doc.get(name)) for name in ("low", "high", "deviation")):
        raise ValueError(f"{where}: scale: allowed are the finite numbers low, high and deviation")
    scale = Scale.from_doc(doc)
    if scale.low > bins.edges[0] or scale.high < bins.edges[-1] or scale.deviation < 0:
        raise ValueError(
            f"{where}: scale: low must not be above the first edge, high not below the last, and deviation not below 0"
        )
    return scale


def _check_cohort(field: str, labels: Any, columns: list[Column]) -> None:
    where = f"cohorts: {field[:100]}"
    if not isinstance(labels, dict) or len(labels) > COHORTS_OF_A_FIELD:
        raise ValueError(f"{where}: allowed are at most {COHORTS_OF_A_FIELD} categories with their counts")
    for label, counts in labels.items():
        at = f"{where}: {label[:100]}"
        if not isinstance(counts, list) or len(counts) != len(columns):
            raise ValueError(f"{at}: allowed is a list of counts for each of the {len(columns)} columns")
        for column, theirs in zip(columns, counts, strict=True):
            _check_counts(f"{at}: {column.name[:100]}", theirs, column.bins.size)
            if any(apart > whole for apart, whole in zip(theirs, column.counts, strict=True)):
                raise ValueError(f"{at}: {column.name[:100]}: counts more rows in a bin than the whole has there")
        if len(set(map(sum, counts))) != 1:
            raise ValueError(f"{at}: each column must count the same rows")


def _check_counts(where: str, counts: Any, size: int) -> None:
    whole = isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts)
    if not whole or len(counts) != size:
        raise ValueError(
            f"{where}: counts: allowed are {size} whole numbers, one for each bin and one for missing values"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
