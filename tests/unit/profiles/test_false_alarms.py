"""How often chance alone makes a column count as moved, and how often that is an alarm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from labcycle_lambdas.profiles import ColumnComparison, Method, Reference, compare, moved
from labcycle_lambdas.profiles.comparison import LEVEL
from labcycle_lambdas.profiles.distances import psi
from labcycle_lambdas.profiles.significance import p_value
from tests.unit.profiles.counted import DECILES, SCALE, categorical, compared, numeric, profile
from tests.unit.profiles.documented import documented, table

WINDOWS, FEATURES = 10_000, 20
HOURS, WINDOW_HOURS, PERSISTENCE, WEEKS = 168, 24, 3, 300
THRESHOLDS: dict[Method, float] = {
    "psi": 0.2,
    "jensen_shannon": 0.1,
    "wasserstein": 0.1,
    "kolmogorov_smirnov": 0.1,
}

Counts = NDArray[np.int64]


def at_most(rate: float, trials: int) -> int:
    """More of `trials` would be by chance once in ten thousand times where the rate is no higher."""
    return int(stats.binom.ppf(0.9999, trials, rate))


def without_drift(random: np.random.Generator) -> list[ColumnComparison]:
    """A window and its reference from one distribution: ten numeric columns, whose deciles the reference fixed, and ten categorical
    ones, of which many categories are rare."""
    m, n = (int(10 ** random.uniform(low, 5)) for low in (3, np.log10(500)))
    columns, live = [], []
    for i in range(FEATURES):
        if i % 2:
            trained = [m // 10 + (k < m % 10) for k in range(10)]
            shares = random.dirichlet(trained)  # of the values between the reference's deciles
            columns.append(numeric([*trained, 0], f"x{i}"))
            live.append([*random.multinomial(n, shares), 0])
        else:
            shares = random.dirichlet([0.3] * 12)
            columns.append(categorical(random.multinomial(m, shares).tolist(), f"x{i}"))
            live.append(random.multinomial(n, shares).tolist())
    reference = Reference(tuple(columns))
    return compare(reference, profile(reference, live))


def test_in_ten_thousand_windows_without_drift_the_rate_is_the_level_at_most() -> None:
    random = np.random.default_rng(11)
    windows = [without_drift(random) for _ in range(WINDOWS)]
    by_chance = sum(bool(moved(w, method="psi", threshold=0.0, minimum_rows=500)) for w in windows)
    assert LEVEL * WINDOWS / 4 < by_chance <= at_most(LEVEL, WINDOWS)  # no test that never finds anything
    rows = [["by significance alone", f"{by_chance:,}", ""]]
    for method, threshold in THRESHOLDS.items():
        alarms = sum(bool(moved(w, method=method, threshold=threshold, minimum_rows=500)) for w in windows)
        assert alarms <= at_most(0.0005, WINDOWS), method
        by_effect = sum(any(one.figure(method) >= threshold for one in window) for window in windows)
        rows.append([f"`{method}` {threshold}", f"{alarms:,}", f"{by_effect:,}"])
    assert documented("windows") == table(["method", "false alarms", "by the effect alone"], *rows)
    for level in (0.05, 0.01, 0.001):  # of single columns, which are independent here
        columns = [one.p_value <= level for window in windows for one in window]
        assert level / 2 < sum(columns) / len(columns) and sum(columns) <= at_most(level, len(columns)), level


def test_a_test_against_fixed_proportions_would_name_nearly_every_window() -> None:
    """Why the reference's own number of rows counts: against its proportions as if they were the truth, what it was itself off by
    is found in any large window."""
    random = np.random.default_rng(12)
    trained = [100] * 10
    live = random.multinomial(100_000, random.dirichlet(trained))
    assert stats.chisquare(live, np.array(trained) * 100).pvalue < 1e-9
    assert p_value(trained, live.tolist()) > 0.001


def p_values(trained: Counts, live: Counts) -> NDArray[np.float64]:
    """`p_value` of many windows at once, where all bins are large; bins stand along the last axis."""
    m, n = trained.sum(-1, keepdims=True), live.sum(-1, keepdims=True)
    terms = n * m * (live / n - trained / m) ** 2 / (live + trained)
    return np.asarray(stats.chi2.sf(terms.sum(-1), live.shape[-1] - 1))


def indexes(trained: Counts, live: Counts) -> NDArray[np.float64]:
    e, a = (np.maximum(side / side.sum(-1, keepdims=True), 1e-4) for side in (trained, live))
    return np.asarray(((a - e) * np.log(a / e)).sum(-1))


def ways(trained: Counts, live: Counts) -> NDArray[np.float64]:
    """Wasserstein distances of columns whose reference is normal."""
    e, a = (side.cumsum(-1) / side.sum(-1, keepdims=True) for side in (trained, live))
    positions = SCALE.positions(DECILES)
    assert positions
    return np.asarray((np.abs(a - e)[..., :-1] * np.diff(positions)).sum(-1))


def weeks_with_alarm(rows_an_hour: int, **thresholds: float) -> dict[str, int]:
    """Of weeks without drift, checked each hour over the last 24, those in which as many checks in a row as make an alarm each
    named a column, though not the same one, necessarily: by significance alone, and by each figure, too."""
    random = np.random.default_rng(14)
    trained = np.full((FEATURES, 10), 1000)
    alarms = dict.fromkeys(["significance", *thresholds], 0)
    for _ in range(WEEKS):
        shares = random.dirichlet(trained[0], FEATURES)
        hours = random.multinomial(rows_an_hour, shares, (HOURS + WINDOW_HOURS - 1, FEATURES))
        sums = np.concatenate([np.zeros_like(hours[:1]), hours.cumsum(0)])
        live = sums[WINDOW_HOURS:] - sums[:-WINDOW_HOURS]
        chance = p_values(trained, live) > LEVEL / FEATURES  # Holm's first step
        for name in alarms:
            effect = {"psi": indexes, "wasserstein": ways}[name](trained, live) if name in thresholds else 1.0
            named = (~chance & (effect >= thresholds.get(name, 0.0))).any(1)
            alarms[name] += bool(np.lib.stride_tricks.sliding_window_view(named, PERSISTENCE).all(-1).any())
    return alarms


def test_the_tests_of_many_windows_at_once_are_those_of_one() -> None:
    random = np.random.default_rng(13)
    trained = random.multinomial(5000, [0.1] * 10, 50)
    live = random.multinomial(700, [0.1] * 10, 50)
    pairs = [(e.tolist(), a.tolist()) for e, a in zip(trained, live, strict=True)]
    np.testing.assert_allclose(p_values(trained, live), [p_value(*pair) for pair in pairs], rtol=1e-9)
    np.testing.assert_allclose(indexes(trained, live), [psi(*pair) for pair in pairs], rtol=1e-9)
    by_column = np.array([compared(numeric([*e, 0]), [*a, 0]).wasserstein for e, a in pairs], float)
    np.testing.assert_allclose(ways(trained, live), by_column, rtol=1e-9)


def test_a_week_of_hourly_checks_of_overlapping_windows() -> None:
    """Of a window of 24 hours 23 were in the check before: against chance, which stays as long, persistence does little, and the
    effect does the rest."""
    rows = []
    for rows_an_hour in (25, 400, 4_000):
        alarms = weeks_with_alarm(rows_an_hour, psi=THRESHOLDS["psi"], wasserstein=THRESHOLDS["wasserstein"])
        assert 0 < alarms["significance"] <= at_most(0.02, WEEKS)
        assert alarms["psi"] == 0 and alarms["wasserstein"] <= at_most(0.01, WEEKS)
        rows.append([f"{rows_an_hour:,}", f"{rows_an_hour * WINDOW_HOURS:,}", *map(str, alarms.values())])
    head = ["rows an hour", "in a window", "by significance alone", "`psi` 0.2", "`wasserstein` 0.1"]
    assert documented("weeks") == table(head, *rows)
