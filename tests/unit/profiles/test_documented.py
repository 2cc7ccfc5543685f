"""The page that tells how drift is judged shows SciPy's figures beside ours, and they are those."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from labcycle_lambdas.profiles.bins import NumericBins
from labcycle_lambdas.profiles.reference import Column
from labcycle_lambdas.profiles.scale import Scale
from tests.unit.profiles.counted import compared
from tests.unit.profiles.documented import documented, table

TRAINED = [100 * (i + 1) for i in range(10)]
LIVE = [190 + 90 * i for i in range(10)]


def test_the_table_against_scipy_is_what_both_compute() -> None:
    bins, scale = NumericBins(tuple(map(float, range(1, 10)))), Scale(0.5, 9.5, 1.0)
    ours = compared(Column("x", bins, (*TRAINED, 0), scale), [*LIVE, 0])
    p, q = (np.array(side) / sum(side) for side in (TRAINED, LIVE))
    middles = np.arange(10) + 0.5
    test = stats.chi2_contingency([TRAINED, LIVE], correction=False)
    figures = {
        ("`psi`", "`rel_entr(a, e) + rel_entr(e, a)`"): (ours.psi, stats.entropy(q, p) + stats.entropy(p, q)),
        ("`jensen_shannon`", "`jensenshannon(e, a, base=2)`"): (ours.jensen_shannon, jensenshannon(p, q, base=2)),
        ("`wasserstein`", "`wasserstein_distance` of the middles, weighted"): (
            ours.wasserstein,
            stats.wasserstein_distance(middles, middles, TRAINED, LIVE),
        ),
        ("`kolmogorov_smirnov`", "`ks_2samp` of the middles, repeated"): (
            ours.kolmogorov_smirnov,
            stats.ks_2samp(np.repeat(middles, TRAINED), np.repeat(middles, LIVE)).statistic,
        ),
        ("`chi_squared`", "`chi2_contingency`, without correction"): (ours.chi_squared, test.statistic),
        ("`p_value`", "the same"): (ours.p_value, test.pvalue),
    }
    for mine, scipys in figures.values():
        assert mine == pytest.approx(scipys, abs=1e-9)
    rows = [[*names, f"{mine:.9f}", f"{scipys:.9f}"] for names, (mine, scipys) in figures.items()]
    assert documented("scipy") == table(["figure", "SciPy's", "ours", "SciPy"], *rows)
