"""Tests that may be looked at after every pair, and stay valid whenever one stops.

An ordinary p-value is that of a number of pairs which was fixed beforehand; whoever looks after each pair and stops
when it is small will accuse a harmless change sooner or later. These tests bet instead. Each begins with a capital of 1
and stakes part of it, before each pair, on the claim that B is worse. When B is not worse no strategy gains on average,
so by Ville's inequality the capital ever reaches 1/p with probability p at most, however often one looks.

* `Coin`, for what goes one way or the other: verdicts of pairs that disagree, and whether a metric of a pair is worse
  by more than is allowed. Its capital is the mixture sequential probability ratio test (mixture SPRT) with a uniform
  mixture over the biased half of all coins. It has a closed form: with k heads in n throws, the sum of C(n+1, j) for j
  from 0 to k over (n+1) C(n, k), computed with integers.
* `Mean`, for differences that are bounded: availability. It stakes fixed shares of its capital, and the whole is the
  mean of what these make (a mixture of betting martingales); nothing is assumed of the distribution but its bounds.

Both take pairs in the order of their seeds, never in that of the answers: a run that is over soon may differ from one
that is not. What they assume is that plans are drawn alike, so that no pair is worse on average for where it stands.

References: Ville 1939; Wald 1945; Robbins 1970 (mixtures; statistical methods related to the law of the iterated
logarithm); Johari, Koomen, Pekelis and Walsh 2022 (always valid inference); Waudby-Smith and Ramdas 2024 (estimating
means of bounded random variables by betting); Ramdas, Grünwald, Vovk and Shafer 2023 (game-theoretic statistics).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import comb
from typing import Final

import msgspec

from .measures import LOWER_IS_BETTER, MEANS, Measures, difference

NAME: Final = "mixture SPRT"
VERDICTS: Final = "verdicts"
"""The test of failures, beside those of the metrics."""
_STAKES: Final = 16
"""Shares of the capital that `Mean` stakes, evenly spread: a rare large difference needs small stakes, others not."""


class Coin:
    """Is a coin heads more often than tails?"""

    def __init__(self) -> None:
        self.heads = 0
        self.throws = 0
        self._tail = 1  # the sum of C(throws + 1, j) for j from 0 to heads
        self.capital = 1.0
        """What a stake of 1 on heads has become."""

    def add(self, is_heads: bool) -> None:
        """Count a throw."""
        # Pascal's rule, so that a throw costs two binomials however many there were.
        self._tail = 2 * self._tail - comb(self.throws + 1, self.heads)
        self.throws += 1
        if is_heads:
            self.heads += 1
            self._tail += comb(self.throws + 1, self.heads)
        self.capital = float(Fraction(self._tail, (self.throws + 1) * comb(self.throws, self.heads)))


class Mean:
    """Is the mean of values between -1 and 1 above a limit?"""

    def __init__(self, limit: float) -> None:
        """The limit is at least 0, and below 1."""
        self._limit = limit
        worst = 1.0 + limit  # how far a value may lie below the limit
        self._stakes = [number / (_STAKES + 1) / worst for number in range(1, _STAKES + 1)]
        self._capitals = [1.0] * _STAKES

    def add(self, value: float) -> None:
        """Count a value."""
        gain = value - self._limit
        self._capitals = [
            capital * (1.0 + stake * gain) for capital, stake in zip(self._capitals, self._stakes, strict=True)
        ]

    @property
    def capital(self) -> float:
        """What a stake of 1 on `above` has become."""
        return sum(self._capitals) / _STAKES


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What sequential tests say after a number of pairs.

    `capital` is that of each test, the failures' under `verdicts`; it accuses from `needed` on: one over the level,
    times the number of tests. `accuses` names those that do. A test that never had anything to count has 1.
    """

    test: str = NAME
    pairs: int
    of: int
    needed: float
    capital: dict[str, float]
    accuses: tuple[str, ...]


class Sequential:
    """All tests of a comparison: of failures, and of each metric against what it may be worse by."""

    def __init__(self, max_regression: Mapping[str, float], significant: float) -> None:
        self._limits = max_regression
        self._tests: dict[str, Coin | Mean] = {VERDICTS: Coin()}
        for name in LOWER_IS_BETTER:
            self._tests[name] = Mean(max_regression[name]) if name in MEANS else Coin()
        self.needed = len(self._tests) / significant
        self.pairs = 0

    def add(self, failed: tuple[bool, bool], a: Measures, b: Measures) -> None:
        """Count a pair: whether either side failed, and what both measured."""
        self.pairs += 1
        if failed[0] != failed[1]:
            self._tests[VERDICTS].add(failed[1])
        for name, limit in self._limits.items():
            worse_by = difference(name, a.get(name), b.get(name))
            test = self._tests[name]
            if worse_by is None:
                continue
            if isinstance(test, Mean):
                test.add(worse_by)
            else:
                test.add(worse_by > limit)

    @property
    def accuses(self) -> tuple[str, ...]:
        """The tests by which B is worse. As soon as there is one, no more pairs are needed."""
        return tuple(name for name, test in self._tests.items() if test.capital >= self.needed)

    def looked(self, of: int) -> Looked:
        """Describe the tests; `of` pairs were asked for."""
        return Looked(
            pairs=self.pairs,
            of=of,
            needed=round(self.needed, 1),
            capital={name: float(f"{test.capital:.3g}") for name, test in self._tests.items()},
            accuses=self.accuses,
        )
