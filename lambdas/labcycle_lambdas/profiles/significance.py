"""Whether chance explains that two lists of counts over the same bins differ.

Each row is taken to be drawn independently of the others. Rows of one request or session that resemble each other say
less than their number: the p-values are too small then, which is why no verdict rests on them alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import count

MINIMUM_EXPECTED = 5  # W. Cochran, Some methods for strengthening the common chi-squared tests, Biometrics 10, 1954
_TINY = 1e-300
_SAME = 1 + 1e-9  # outcomes of the same probability differ by less


def chi_squared(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Pearson's statistic that both sides are drawn from one distribution: a 2 x B table of counts (R. Fisher, J. R. Stat. Soc. 85,
    1922); the size of the reference counts as well as that of the live data. Bins without a row on either side add nothing."""
    m, n = sum(expected), sum(actual)
    return n * m * sum((a / n - e / m) ** 2 / (a + e) for e, a in zip(expected, actual, strict=True) if a + e)


def p_value(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Probability that counts from one distribution differ as much.

    The chi-squared test with as many degrees of freedom as there are bins with rows, less one. It holds where both sides
    are to expect 5 rows in a bin: smaller bins are joined to the next such one until they are enough. What is left over
    is held against all other bins by Fisher's exact test, and twice the lower of both p-values counts (Bonferroni).
    Fewer than 5 rows on a side: 1.0.
    """
    m, n = sum(expected), sum(actual)
    if min(m, n) < MINIMUM_EXPECTED:
        return 1.0
    enough = MINIMUM_EXPECTED * (m + n) / min(m, n)
    bins: list[tuple[int, int]] = []
    left_e = left_a = 0
    for e, a in zip(expected, actual, strict=True):
        if e + a >= enough:
            bins.append((e, a))
            continue
        left_e, left_a = left_e + e, left_a + a
        if left_e + left_a >= enough:
            bins.append((left_e, left_a))
            left_e = left_a = 0
    found = []
    trained, live = [e for e, _ in bins], [a for _, a in bins]
    if len(bins) > 1 and any(trained) and any(live):
        found.append(chi_squared_survival(chi_squared(trained, live), len(bins) - 1))
    if left_e + left_a:
        found.append(_exact(left_e, m - left_e, left_a, n - left_a))
    return min(1.0, len(found) * min(found)) if found else 1.0


def share_p_value(expected: int, expected_rows: int, actual: int, actual_rows: int) -> float:
    """Probability that a share of the rows, such as the missing ones, differs as much by chance."""
    return p_value([expected, expected_rows - expected], [actual, actual_rows - actual])


def significant(p_values: Mapping[str, float], level: float) -> set[str]:
    """Names whose p-values are significant where many are tested at once.

    The chance that any of them is named though nothing differs is `level` at most, however they depend on each other
    (S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 1979): features often move
    together, and a single one is an alarm.
    """
    named: set[str] = set()
    for name in sorted(p_values, key=lambda name: p_values[name]):
        if p_values[name] > level / (len(p_values) - len(named)):
            break
        named.add(name)
    return named


def chi_squared_survival(statistic: float, degrees: int) -> float:
    """Probability that the chi-squared distribution exceeds `statistic`: the regularised upper incomplete gamma function
    Q(degrees/2, statistic/2).

    By its series below a + 1 and its continued fraction above (NIST Digital Library of Mathematical Functions, 8.11.4 and
    8.9.2; the latter by the modified method of W. Lentz, Appl. Opt. 15, 1976).
    """
    a, x = degrees / 2, statistic / 2
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for k in count(1):
            term *= x / (a + k)
            total += term
            if term < total * 1e-17:
                return max(0.0, 1 - front * total)
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for k in count(1):
        numerator = -k * (k - a)
        b += 2
        d = 1 / (numerator * d + b or _TINY)
        c = b + numerator / c or _TINY
        fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * fraction


def _exact(a: int, b: int, c: int, d: int) -> float:
    """Two-sided p-value of the 2 x 2 table [[a, b], [c, d]] (R. Fisher, Statistical Methods for Research Workers, 1934,
    section 21.02): of all tables with its sums, the probability of those that are no more probable than it.

    Relative to the most probable table, from which each next one follows by a ratio; so nothing is lost to large factorials.
    """
    row, column, total = a + b, a + c, a + b + c + d
    low, high = max(0, row + column - total), min(row, column)
    mode = (row + 1) * (column + 1) // (total + 2)

    def up(k: int) -> float:
        return (row - k) * (column - k) / ((k + 1) * (total - row - column + k + 1))

    weights = {mode: 1.0}
    for k in range(mode, high):
        if not (weight := weights[k] * up(k)):
            break
        weights[k + 1] = weight
    for k in range(mode, low, -1):
        if not (weight := weights[k] / up(k - 1)):
            break
        weights[k - 1] = weight
    observed = weights.get(a, 0.0) * _SAME
    return math.fsum(w for w in weights.values() if w <= observed) / math.fsum(weights.values())
