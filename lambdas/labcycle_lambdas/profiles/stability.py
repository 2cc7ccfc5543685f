"""The population stability index: how far live data has moved from the training data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labcycle_lambdas.profiles.profile import Profile
from labcycle_lambdas.profiles.reference import Reference

EMPTY_BIN_PROPORTION = 1e-4


@dataclass(frozen=True)
class FeatureStability:
    """`psi` of one column. `rows` were counted live, `reference_rows` in training; the fractions are of these."""

    name: str
    kind: str
    psi: float
    rows: int
    reference_rows: int
    missing_fraction: float
    reference_missing_fraction: float

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Population stability index of two lists of counts over the same bins.

    Sum over the bins of (a - e) ln(a / e), where e and a are the proportions of the reference and of the live data: the
    symmetric Kullback-Leibler divergence of Jeffreys (Proc. R. Soc. A 186, 1946), used under this name in N. Siddiqi,
    Credit Risk Scorecards, Wiley 2006, ch. 9. By custom under 0.1 is no change, 0.1 to 0.2 a small one, above 0.2 a
    large one. Without any change, n live and m reference rows in B bins give (B - 1)(1/n + 1/m) on average (B. Yurdakul,
    Statistical Properties of Population Stability Index, Western Michigan University 2018), which is why a verdict
    needs a minimum of rows.

    Empty bins: a proportion under 0.0001 counts as 0.0001, on either side, so that the logarithm exists and a bin that
    is empty on both sides adds nothing. Either side without any row: 0.0, as there is nothing to compare.
    """
    total_expected, total_actual = sum(expected), sum(actual)
    if not total_expected or not total_actual:
        return 0.0
    index = 0.0
    for e, a in zip(expected, actual, strict=True):
        pe = max(e / total_expected, EMPTY_BIN_PROPORTION)
        pa = max(a / total_actual, EMPTY_BIN_PROPORTION)
        index += (pa - pe) * math.log(pa / pe)
    return index


def population_stability_index(reference: Reference, profile: Profile) -> list[FeatureStability]:
    """The index of each column, in the reference's order, the prediction last.

    Raises
    ------
    ValueError
        If the profile was counted against another reference.
    """
    if profile.reference.fingerprint != reference.fingerprint:
        raise ValueError("the profile was counted against another reference")
    results = []
    for column, counts in zip(reference.columns, profile.counts, strict=True):
        rows = sum(counts)
        results.append(
            FeatureStability(
                name=column.name,
                kind=column.bins.kind,
                psi=psi(column.counts, counts),
                rows=rows,
                reference_rows=column.rows,
                missing_fraction=counts[-1] / rows if rows else 0.0,
                reference_missing_fraction=column.counts[-1] / column.rows,
            )
        )
    return results
