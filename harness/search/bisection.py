"""Bisection: which commit to try next, and which is the first bad one, as far as what was seen so far says.

Positions count the commits after the good end, from 0; the last one is the bad end, and the good end is -1. Two ways:

`Certain` believes each run, as `git bisect` does: the first bad commit lies between the last good and the first bad one
that were seen. Where commits between them can only be skipped, it is one of several.

`Noisy` is for failures that a commit shows in some runs only. Every commit before the first bad one fails at one rate,
and every commit from it on at another; neither is known. With Jeffreys' prior on both rates and all commits alike
beforehand, the posterior of each commit is a product of two beta functions of counts, exactly. The commit to try is
the one whose next run is expected to leave the least entropy. The stated confidence is the posterior, and so rests on
these two rates: a history in which a second commit changes the rate again breaks it.

References: Ben-Or and Hassidim 2008 (noisy binary search); MacKay 1992 (choosing the observation that informs most).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import exp, fsum, lgamma, log
from typing import Final

_PRIOR: Final = 0.5
"""Jeffreys' prior of a rate is the beta distribution with this for both of its parameters."""
_NOTHING_GAINED: Final = 1e-9
"""Entropy, in nats, below which another run would only confirm."""


class Certain:
    """The first bad one of `count` commits, when each needs one run."""

    def __init__(self, count: int) -> None:
        self._good = -1
        self._bad = count - 1
        self._skipped: set[int] = set()

    def next(self) -> int | None:
        """The position to try; None when nothing that can be tried lies between good and bad."""
        middle = (self._good + self._bad) // 2
        between = [at for at in range(self._good + 1, self._bad) if at not in self._skipped]
        return min(between, key=lambda at: (abs(at - middle), at), default=None)

    def observe(self, at: int, *, is_bad: bool) -> None:
        """Take a run of the commit at this position."""
        if is_bad:
            self._bad = min(self._bad, at)
        else:
            self._good = max(self._good, at)

    def skip(self, at: int) -> None:
        """Leave a commit out: it cannot be judged."""
        self._skipped.add(at)

    @property
    def candidates(self) -> list[int]:
        """Positions of which one is the first bad one, the most probable first."""
        return [*range(self._bad, self._good, -1)]

    @property
    def confidence(self) -> float | None:
        """None: it stands and falls with the runs."""
        return None


class Noisy:
    """The first bad one of `count` commits, with a confidence, from runs that fail at a rate.

    Each commit is tried up to `runs_max` times; it is over when one commit has a posterior of at least `confidence`.
    """

    def __init__(self, count: int, *, confidence: float, runs_max: int) -> None:
        self._confidence = confidence
        self._runs_max = runs_max
        self._runs = [0] * (count + 1)  # by position + 1: the good end comes first
        self._bad = [0] * (count + 1)
        self._skipped: set[int] = set()

    def observe(self, at: int, *, is_bad: bool) -> None:
        """Take a run of the commit at this position."""
        self._runs[at + 1] += 1
        self._bad[at + 1] += is_bad

    def skip(self, at: int) -> None:
        """Leave a commit out: it cannot be judged."""
        self._skipped.add(at)

    def next(self) -> int | None:
        """The position to try; None when the confidence is reached, or nothing more can be learnt."""
        posterior = self.posterior()
        if max(posterior) >= self._confidence:
            return None
        now = _entropy(posterior)
        expected = self._expected_entropies(posterior)
        possible = [
            at
            for at in range(len(posterior) - 1)
            if at not in self._skipped and self._runs[at + 1] < self._runs_max and now - expected[at] > _NOTHING_GAINED
        ]
        middle = len(posterior) / 2
        return min(possible, key=lambda at: (round(expected[at], 9), abs(at - middle), at), default=None)

    def posterior(self) -> list[float]:
        """How probable it is of each position that it is the first bad one, given the runs so far."""
        logs = [_log_marginal(*good) + _log_marginal(*bad) for good, bad in self._sides()]
        largest = max(logs)
        weights = [exp(value - largest) for value in logs]
        total = fsum(weights)
        return [weight / total for weight in weights]

    @property
    def candidates(self) -> list[int]:
        """The fewest positions that together reach the confidence, the most probable first."""
        posterior, sum_ = self.posterior(), 0.0
        chosen = []
        for at in sorted(range(len(posterior)), key=lambda at: (-posterior[at], at)):
            chosen.append(at)
            sum_ += posterior[at]
            if sum_ >= self._confidence:
                break
        return chosen

    @property
    def confidence(self) -> float:
        """The posterior of the most probable commit."""
        return max(self.posterior())

    def _sides(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """For each position as the first bad one: bad and all runs before it, and from it on."""
        runs, bad = [*accumulate(self._runs)], [*accumulate(self._bad)]
        return [((bad[at], runs[at]), (bad[-1] - bad[at], runs[-1] - runs[at])) for at in range(len(self._runs) - 1)]

    def _expected_entropies(self, posterior: Sequence[float]) -> list[float]:
        """For each position, the entropy that is expected after one more run there.

        A run at r is judged by the good rate where the first bad commit comes after r, and by the bad rate else. What
        the posterior would be is needed only through two sums, so that all positions together cost one pass.
        """
        sides = self._sides()
        good_rates = [_mean(*good) for good, _ in sides]
        bad_rates = [_mean(*bad) for _, bad in sides]
        expected = [0.0] * len(posterior)
        for is_bad in (True, False):
            early = [p * (rate if is_bad else 1 - rate) for p, rate in zip(posterior, bad_rates, strict=True)]
            late = [p * (rate if is_bad else 1 - rate) for p, rate in zip(posterior, good_rates, strict=True)]
            early_sums, late_sums = _sums(early), _sums(late)
            for at in range(len(posterior)):
                weight = early_sums[0][at + 1] + late_sums[0][-1] - late_sums[0][at + 1]
                logs = early_sums[1][at + 1] + late_sums[1][-1] - late_sums[1][at + 1]
                if weight > 0:
                    expected[at] += weight * log(weight) - logs
        return expected


def _log_marginal(bad: int, runs: int) -> float:
    """The logarithm of the probability of these runs at an unknown rate, but for a constant."""
    return lgamma(_PRIOR + bad) + lgamma(_PRIOR + runs - bad) - lgamma(2 * _PRIOR + runs)


def _mean(bad: int, runs: int) -> float:
    """The expected rate after these runs."""
    return (_PRIOR + bad) / (2 * _PRIOR + runs)


def _entropy(weights: Sequence[float]) -> float:
    return -fsum(_x_log_x(weight) for weight in weights)


def _x_log_x(x: float) -> float:
    return x * log(x) if x > 0 else 0.0


def _sums(weights: Sequence[float]) -> tuple[list[float], list[float]]:
    """Sums of the first n weights, and of their x log x."""
    return [0.0, *accumulate(weights)], [0.0, *accumulate(map(_x_log_x, weights))]
