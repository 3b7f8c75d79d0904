"""Streams: the chance from which a plan is drawn.

Every drawn thing has a stream of its own, keyed by (seed, stream version, name). One more draw from a stream, or none
at all because the value is explicit, therefore shifts nothing else: `run --seed 3 -o reads=local` is `run --seed 3`
with one difference. Draws made while a plan *runs* are not made here: they are keyed one by one (harness.sim.kernel).

A stream is BLAKE2b in counter mode (RFC 7693), 64 bits a word. Python promises the sequence of `random.random()`
only, and `log`, `exp` and `pow` differ between C libraries in the last bit, so that every distribution here is made
of integers:

* `below` rejects the uneven rest, so that it is exactly uniform;
* `exponential` is von Neumann's comparison method (1951; Knuth, TAOCP 3.4.1 F), which needs no logarithm at all: the
  first word u of a descending run is kept with probability e^-u, which is the chance that the run's length is odd;
* `log_uniform` walks fixed-point logarithms by squaring and square roots, exact to 32 bits on every machine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import isqrt
from typing import Final, TypeVar

T = TypeVar("T")

STREAM_VERSION: Final = 3
"""What keys the streams. It need not rise with the draw version: what a change of the draw does not concern stays as it
is in every seed, so that two draw versions can be compared."""

MILLION: Final = 1_000_000
_WORD: Final = 1 << 64
_UNPACK: Final = struct.Struct("<8Q").unpack


class Stream:
    """A named sequence of uniform 64-bit words, and what can be made of them."""

    __slots__ = ("_block", "_key", "_words", "name")

    def __init__(self, seed: int, name: str, version: int = STREAM_VERSION) -> None:
        self.name = name
        self._key = blake2b(f"foreshock {version} {seed} {name}".encode(), digest_size=32).digest()
        self._block = 0
        self._words: list[int] = []

    def word(self) -> int:
        """The next 64 bits."""
        if not self._words:
            self._refill()
        return self._words.pop()

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        if not 0 < bound <= _WORD:
            raise ValueError(f"stream {self.name}: bound {bound}; expected 1 to 2**64")
        limit = _WORD - _WORD % bound
        words = self._words
        while True:
            if not words:
                self._refill()
            word = words.pop()
            if word < limit:
                return word % bound

    def between(self, low: int, high: int) -> int:
        """A uniform integer in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def chance_ppm(self, parts: int) -> bool:
        """True in `parts` of a million cases."""
        return self.below(MILLION) < parts

    def choice(self, items: Sequence[T]) -> T:
        """One of the items, all alike."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[T, int]]) -> T:
        """One of the (item, weight) pairs' items, by weight."""
        rest = self.below(sum([weight for _, weight in items]))
        for item, weight in items:
            rest -= weight
            if rest < 0:
                return item
        raise AssertionError("weights do not add up to their sum")

    def shuffled(self, items: Sequence[T]) -> tuple[T, ...]:
        """The items in random order (Fisher and Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return tuple(order)

    def subset(self, items: Sequence[T], parts: int) -> tuple[T, ...]:
        """Each item with a chance of `parts` in a million, in the given order."""
        return tuple(item for item in items if self.chance_ppm(parts))

    def sample(self, items: Sequence[T], count: int) -> tuple[T, ...]:
        """`count` different items, in random order."""
        return self.shuffled(items)[:count]

    def exponential(self, mean: int) -> int:
        """An exponentially distributed integer: the gap to the next event of a process with that mean gap."""
        whole = 0
        while True:
            first = previous = self.word()
            run = 1
            while (following := self.word()) < previous:
                previous = following
                run += 1
            if run % 2:
                return (mean * (whole * _WORD + first)) >> 64
            whole += 1

    def _refill(self) -> None:
        self._words.extend(_UNPACK(blake2b(self._block.to_bytes(8, "little"), key=self._key).digest()))
        self._block += 1

    def log_uniform(self, low: int, high: int) -> int:
        """An integer in [low, high] whose logarithm is uniform: every order of magnitude is equally likely."""
        if not 0 < low <= high:
            raise ValueError(f"stream {self.name}: range {low} to {high}; expected 0 < low <= high")
        return min(max(_exp2(self.between(_log2(low), _log2(high))), low), high)


Streams = Callable[[str], Stream]
"""Opens the stream of a name."""


def streams(seed: int, version: int = STREAM_VERSION) -> Streams:
    """The streams of one seed."""
    return lambda name: Stream(seed, name, version)


@lru_cache(maxsize=256)
def _log2(number: int) -> int:
    """The binary logarithm, in units of 2**-32: squaring a mantissa in [1, 2) doubles its logarithm, bit by bit."""
    whole = number.bit_length() - 1
    mantissa = (number << 64) >> whole
    fraction = 0
    for _ in range(32):
        mantissa = mantissa * mantissa >> 64
        fraction <<= 1
        if mantissa >> 65:
            mantissa >>= 1
            fraction |= 1
    return whole << 32 | fraction


def _roots() -> tuple[int, ...]:
    roots = [2 << 64]
    for _ in range(32):
        roots.append(isqrt(roots[-1] << 64))
    return tuple(roots[1:])


_ROOTS: Final = _roots()
"""2 ** (1/2), 2 ** (1/4), ... in units of 2**-64."""


def _exp2(logarithm: int) -> int:
    """Two to the power of a logarithm in units of 2**-32, rounded to the nearest."""
    result = 1 << 64
    for place, root in enumerate(_ROOTS):
        if logarithm >> (31 - place) & 1:
            result = result * root >> 64
    return ((result << (logarithm >> 32)) + (1 << 63)) >> 64
