"""Whether a new version is worse for some of those that it decides on, though it is better for all of them together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.profiles.bins import category
from labcycle_lambdas.reaction.scoring import CannotScore, gain, measure

MINIMUM_ROWS = 50
MOST = 20  # of a field: the largest
Outputs = Mapping[str, Sequence[Any]]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Cohort:
    """Values of the metric for the rows of the holdout with this value of the field. `gain` is positive where the challenger is better."""

    field: str
    value: str
    rows: int
    challenger: float
    champion: float
    gain: float


def measured(
    metric: str, fields: Sequence[str], rows: Table, truth: Sequence[object], challenger: Outputs, champion: Outputs
) -> list[Cohort]:
    """Each cohort with `MINIMUM_ROWS` or more, the largest first. Those whose rows do not allow the metric, such as roc_auc of one
    class, are left out; so are fields that the holdout does not have."""
    found = []
    for field in fields:
        if field not in (rows.columns or []):
            continue
        at = (rows.columns or []).index(field)
        members: dict[str, list[int]] = {}
        for i, row in enumerate(rows.rows):
            members.setdefault(category(row[at]) or "missing", []).append(i)
        large = sorted((m for m in members.items() if len(m[1]) >= MINIMUM_ROWS), key=lambda m: (-len(m[1]), m[0]))
        for value, which in large[:MOST]:
            try:
                new, usual = (_measure(metric, truth, outputs, which) for outputs in (challenger, champion))
            except CannotScore:
                continue
            found.append(Cohort(field, value, len(which), new, usual, gain(metric, new, usual)))
    return found


def objections(cohorts: Sequence[Cohort], maximum_loss: float | None) -> list[str]:
    """What is to be said against the challenger, a sentence each: cohorts that lose more than is allowed."""
    if maximum_loss is None:
        return []
    return [
        f"it is worse by {-cohort.gain:.4g} for the {cohort.rows} rows with {cohort.field} {cohort.value} "
        f"({cohort.challenger:.4g}, live {cohort.champion:.4g}; allowed is {maximum_loss:g})"
        for cohort in cohorts
        if -cohort.gain > maximum_loss and not math.isclose(-cohort.gain, maximum_loss, rel_tol=_ROUNDING)
    ]


def _measure(metric: str, truth: Sequence[object], outputs: Outputs, which: Sequence[int]) -> float:
    return measure(
        metric, [truth[i] for i in which], {name: [column[i] for i in which] for name, column in outputs.items()}
    )
