"""Statistics of paired comparisons: exact tests, from integers, and intervals of effects.

Both sides of a comparison run the same plans, so what counts are the pairs that disagree. Under the hypothesis that the
sides are equally good, each of n disagreements is a fair coin. McNemar's test on verdicts and the sign test on metrics
are this one binomial test; computed exactly it holds for the few disagreements that a good implementation leaves, where
the usual chi-squared approximation does not. Intervals of effects resample pairs, which scipy does (the extra
`compare`); without it they are those that can be had in closed form.

`wilson` is the interval that is told with every rate: unlike the textbook one it stays within 0 and 1, and is right for
few runs and for none or all of them.

References: Wilson 1927; McNemar 1947; Efron 1979, 1987; Holm 1979; Fagerland, Lydersen, Laake 2013 (why exact for
small counts).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from math import fsum, isfinite, sqrt
from statistics import NormalDist
from typing import Final

RESAMPLED_MIN: Final = 6
"""Of fewer values not even the sign test says anything at 95 %."""
_RESAMPLES: Final = 4999


def binomial_p(fewer: int, more: int) -> Fraction:
    """Two-sided exact p-value of disagreements counted one way and the other, each a fair coin."""
    count = fewer + more
    tail = next(islice(_tails(count), min(fewer, more), None))
    return min(Fraction(1), Fraction(2 * tail, 2**count))


def _tails(count: int) -> Iterator[int]:
    """In how many ways `count` coins show at most 0, 1, 2, ... heads: each from the one before, as they are large."""
    ways = tail = 1
    for heads in range(count + 1):
        yield tail
        ways = ways * (count - heads) // (heads + 1)
        tail += ways


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


def median_interval(values: Sequence[float], outside_p: Fraction = Fraction(1, 20)) -> tuple[float, float] | None:
    """The interval of two of the values in which the median lies, at 95 % or more; None of fewer than six.

    `outside_p` is the probability with which it does not.

    The sign test turned round: what lies outside it is what that test would reject, whatever the distribution.
    """
    ordered, count = sorted(values), len(values)
    outside, ways_rejected = 0, outside_p * 2**count / 2
    for tail in _tails(count):
        if 2 * outside >= count or tail > ways_rejected:
            break
        outside += 1
    return (ordered[outside - 1], ordered[count - outside]) if outside else None


def mean_interval(values: Sequence[float], z: float = 1.959963984540054) -> tuple[float, float] | None:
    """The interval in which the mean lies, by the normal approximation, at 95 % for the usual z; None of under two."""
    middle, count = mean(values), len(values)
    if middle is None or count < 2:
        return None
    half = z * sqrt(fsum((value - middle) ** 2 for value in values) / (count - 1) / count)
    return middle - half, middle + half


def resampled(
    values: Sequence[float], level: float, *, is_mean: bool = False
) -> tuple[float | None, float | None, str]:
    """The interval of the median, or of the mean, by resampling the values; and which interval it is.

    Of paired runs a value is the difference of a pair, so whole plans are drawn again (the paired bootstrap). For the
    mean it is BCa, which corrects for bias and skewness; for the median the percentile interval, since BCa rests on the
    jackknife, which is wrong for medians (Efron 1979). The draws are those of a fixed seed: one comparison says the
    same twice. Without scipy, and for values that are all alike or infinite, it is the exact interval of a median, or
    the normal approximation of a mean. Of too few values there is none: (None, None, "").
    """
    if len(values) < RESAMPLED_MIN:
        return None, None, ""
    if min(values) < max(values) and all(map(isfinite, values)):
        try:
            import numpy
            from scipy.stats import bootstrap
        except ImportError:
            pass
        else:
            found = bootstrap(
                (numpy.asarray(values, dtype=float),),
                numpy.mean if is_mean else numpy.median,
                confidence_level=level,
                n_resamples=_RESAMPLES,
                method="BCa" if is_mean else "percentile",
                rng=numpy.random.default_rng(0),
            ).confidence_interval
            if isfinite(found.low) and isfinite(found.high):
                return float(found.low), float(found.high), "BCa" if is_mean else "bootstrap"
    exact = mean_interval(values, _z(level)) if is_mean else median_interval(values, Fraction(1) - Fraction(level))
    return (None, None, "") if exact is None else (*exact, "normal" if is_mean else "exact")


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def censored_quantile(values: Sequence[tuple[float, bool]], share_ppm: int) -> float | None:
    """The quantile of values of which some are only known to be larger than what was seen (False): Kaplan and Meier.

    The smallest value that this share of all, by the product-limit estimate, does not exceed; None when it is larger
    than anything that was seen whole, and of nothing. Without such values it is the usual quantile.
    """
    beyond, at_risk = Fraction(1), len(values)
    # Of equal ones the whole values come first: what is larger than them is still at risk then.
    for value, is_whole in sorted(values, key=lambda one: (one[0], not one[1])):
        if is_whole:
            beyond *= Fraction(at_risk - 1, at_risk)
            if beyond * 1_000_000 <= 1_000_000 - share_ppm:
                return value
        at_risk -= 1
    return None
