"""How far two lists of counts over the same bins are apart. Neither side may be empty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

EMPTY_BIN_PROPORTION = 1e-4


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Population stability index, from 0 to about 18.4.

    Sum over the bins of (a - e) ln(a / e), where e and a are the proportions of the reference and of the live data: the
    symmetric Kullback-Leibler divergence of Jeffreys (Proc. R. Soc. A 186, 1946), used under this name in N. Siddiqi,
    Credit Risk Scorecards, Wiley 2006, ch. 9. By custom under 0.1 is no change, 0.1 to 0.2 a small one, above 0.2 a
    large one. Without any change, n live and m reference rows in B bins give (B - 1)(1/n + 1/m) on average (B. Yurdakul,
    Statistical Properties of Population Stability Index, Western Michigan University 2018), which is why a verdict
    needs a minimum of rows.

    Empty bins: a proportion under 0.0001 counts as 0.0001, on either side, so that the logarithm exists and a bin that
    is empty on both sides adds nothing.
    """
    total_expected, total_actual = sum(expected), sum(actual)
    index = 0.0
    for e, a in zip(expected, actual, strict=True):
        pe = max(e / total_expected, EMPTY_BIN_PROPORTION)
        pa = max(a / total_actual, EMPTY_BIN_PROPORTION)
        index += (pa - pe) * math.log(pa / pe)
    return index


def jensen_shannon(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Jensen-Shannon distance with logarithms of base 2: from 0 to 1, of which 1 is for data that share no bin.

    The root of the mean of both sides' Kullback-Leibler divergences from their mean m = (e + a)/2 (J. Lin, IEEE Trans.
    Inf. Theory 37, 1991; that the root is a metric: D. Endres and J. Schindelin, the same 49, 2003). With
    d = (a - e)/(a + e) a bin adds m ((1 + d) ln(1 + d) + (1 - d) ln(1 - d))/2, which is exact for small differences, too.
    """
    total_expected, total_actual = sum(expected), sum(actual)
    divergence = 0.0
    for e, a in zip(expected, actual, strict=True):
        pe, pa = e / total_expected, a / total_actual
        if pe == pa:
            continue
        d = (pa - pe) / (pa + pe)
        both = math.log(2) * 2 if abs(d) == 1 else (1 + d) * math.log1p(d) + (1 - d) * math.log1p(-d)
        divergence += (pe + pa) / 4 * both
    return min(1.0, math.sqrt(max(0.0, divergence / math.log(2))))


def kolmogorov_smirnov(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Largest difference of the cumulative proportions at the edges of ordered bins, from 0 to 1.

    The two-sample statistic of the values (N. Smirnov, Bull. Math. Univ. Moscou 2, 1939) is at least this, and more by
    at most the largest min(e, a) of a bin, since within a bin either side can only add what it has there.
    """
    return max(map(abs, _cumulative_differences(expected, actual)))


def wasserstein(expected: Sequence[int], actual: Sequence[int], positions: Sequence[float]) -> float:
    """Wasserstein distance (of order 1, the earth mover's) with the values of each bin at its position, in increasing order.

    The area between the two cumulative distributions (S. Vallender, Theory Probab. Appl. 18, 1974). That of the values
    differs by at most the mean way of the values to the positions of their bins, of both sides together.
    """
    steps = zip(_cumulative_differences(expected, actual), pairwise(positions), strict=False)
    return sum(abs(difference) * (after - before) for difference, (before, after) in steps)


def total_variation(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Half the sum of the differences of the proportions: the share that fell into another bin, from 0 to 1. Of all sets of bins
    it is the largest difference, as the Kolmogorov-Smirnov statistic is of all sets below an edge."""
    total_expected, total_actual = sum(expected), sum(actual)
    return sum(abs(a / total_actual - e / total_expected) for e, a in zip(expected, actual, strict=True)) / 2


def _cumulative_differences(expected: Sequence[int], actual: Sequence[int]) -> list[float]:
    total_expected, total_actual = sum(expected), sum(actual)
    sums = zip(accumulate(expected), accumulate(actual), strict=True)
    return [a / total_actual - e / total_expected for e, a in sums]
