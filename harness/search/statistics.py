"""Exact statistics of paired comparisons, from integers: no tables, no approximations, no dependency.

Both sides of a comparison run the same plans, so what counts are the pairs that disagree. Under the hypothesis that the
sides are equally good, each of n disagreements is a fair coin. McNemar's test on verdicts and the sign test on metrics
are this one binomial test; computed exactly it holds for the few disagreements that a good implementation leaves, where
the usual chi-squared approximation does not. `scipy.stats.binomtest` gives the same number in floating point; for these
ten lines of integers it would bring 200 MB of packages.

`wilson` is the interval that is told with every rate: unlike the textbook one it stays within 0 and 1, and is right for
few runs and for none or all of them.

References: Wilson 1927; McNemar 1947; Holm 1979; Fagerland, Lydersen, Laake 2013 (why exact for small counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb, fsum, sqrt


def binomial_p(fewer: int, more: int) -> Fraction:
    """Two-sided exact p-value of disagreements counted one way and the other, each a fair coin."""
    count = fewer + more
    tail = sum(comb(count, k) for k in range(min(fewer, more) + 1))
    return min(Fraction(1), Fraction(2 * tail, 2**count))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for how many there are, in their order: below a level, that level holds for all together.

    Holm's method, which assumes nothing of how the tests depend on each other.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected


def wilson(hits: int, runs: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The interval in which a probability lies that showed `hits` times in `runs`; at 95 % for the usual z.

    Of no runs at all it is 0 to 1.
    """
    if not runs:
        return 0.0, 1.0
    share, square = hits / runs, z * z
    middle = share + square / (2 * runs)
    half = z * sqrt(share * (1 - share) / runs + square / (4 * runs * runs))
    scale = 1 + square / runs
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def mean(values: Sequence[float]) -> float | None:
    """The sum over the number; None of nothing."""
    return fsum(values) / len(values) if values else None


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of the two in the middle; None of nothing."""
    if not values:
        return None
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The interval of two of the values in which the median lies, at 95 % or more; None of fewer than six.

    The sign test turned round: what lies outside it is what that test would reject, whatever the distribution.
    """
    ordered, count = sorted(values), len(values)
    outside = 0
    while binomial_p(outside, count - outside) <= Fraction(1, 20):
        outside += 1
    return (ordered[outside - 1], ordered[count - outside]) if outside else None


def mean_interval(values: Sequence[float], z: float = 1.959963984540054) -> tuple[float, float] | None:
    """The interval in which the mean lies, by the normal approximation, at 95 % for the usual z; None of under two."""
    middle, count = mean(values), len(values)
    if middle is None or count < 2:
        return None
    half = z * sqrt(fsum((value - middle) ** 2 for value in values) / (count - 1) / count)
    return middle - half, middle + half


def quantile(values: Sequence[float], share_ppm: int) -> float | None:
    """The smallest value that at least this share of the values does not exceed; None of nothing."""
    if not values:
        return None
    rank = -(-len(values) * share_ppm // 1_000_000)
    return sorted(values)[max(rank, 1) - 1]
