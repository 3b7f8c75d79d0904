"""Keyed draws: chance as a pure function of (seed, purpose, who, ordinal).

A draw that belongs to a message, a disk call or a timeout must not depend on how many draws others made before it, or
removing one op from a plan would change the fate of every later heartbeat. So there is no sequence: `Draws.at(n)` is
the n-th 64-bit integer of a stream named by its key, and any of them can be asked at any time.

Integers are made 16 at a time from SHAKE-128 over (key, block number), which costs a fifth of hashing each one, and
wastes little where a link carries few messages of a kind. Only integers are used: floating-point `log` and `exp`
differ in the last bit between C libraries.

**Redraws.** `Chance.redraw` puts a salt into all streams of a run, from that instant on: what was drawn ahead and not
used yet is forgotten, so that the future is another one and the past is the same. It costs a run without redraws
nothing but an empty salt in each block.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Final

_BLOCK: Final = 16
BLOCK_SHIFT: Final = 4
BLOCK_MASK: Final = _BLOCK - 1
_UNPACK: Final = struct.Struct(f">{_BLOCK}Q").unpack
_BYTES: Final = 8 * _BLOCK


class Chance:
    """The seed of all draws of one run, and the salt of the latest redraw."""

    __slots__ = ("after", "ahead", "salt", "seed")

    def __init__(self, seed: int, *, will_redraw: bool = False) -> None:
        self.seed = seed
        self.salt = b""
        self.ahead: list[Callable[[], None]] | None = [] if will_redraw else None
        """What makes those forget who draw ahead, in the order in which they began; None in a run without redraws."""
        self.after: list[Callable[[], None]] = []
        """What is called when all have forgotten: for whoever draws the seed of a sequence of its own."""

    def redraw(self, salt: str) -> None:
        """Draw everything anew that was not used yet."""
        assert self.ahead is not None, "a redraw in a run that was made for none"
        self.salt = salt.encode()
        for forget in self.ahead:
            forget()
        for draw in self.after:
            draw()


class Draws:
    """The stream of 64-bit integers that belongs to one key."""

    __slots__ = ("_block", "_chance", "_key", "_values")

    def __init__(self, chance: Chance, *key: str) -> None:
        self._chance = chance
        self._key = hashlib.blake2b("\0".join((str(chance.seed), *key)).encode(), digest_size=32).digest()
        self._block = -1
        self._values: tuple[int, ...] = ()
        if chance.ahead is not None:
            chance.ahead.append(self._redrawn)

    def at(self, ordinal: int) -> int:
        """The integer in [0, 2**64) at this position."""
        block = ordinal >> BLOCK_SHIFT
        if block != self._block:
            self._values = self.block(block)
            self._block = block
        return self._values[ordinal & BLOCK_MASK]

    def block(self, number: int) -> tuple[int, ...]:
        """The integers of one block: positions 16 * number onwards."""
        salted = self._key + self._chance.salt
        return _UNPACK(hashlib.shake_128(salted + number.to_bytes(8, "big")).digest(_BYTES))

    def _redrawn(self) -> None:
        self._block = -1


class Counter:
    """A stream read in order, for things that have a natural ordinal of their own (an actor's n-th timeout)."""

    __slots__ = ("_block", "_draws", "_next")

    def __init__(self, chance: Chance, *key: str) -> None:
        self._draws = Draws(chance, *key)
        self._next = 0
        self._block: tuple[int, ...] = ()  # the one that holds the next integer, once its first was taken
        if chance.ahead is not None:
            chance.ahead.append(self._redrawn)

    def take(self) -> int:
        """The next integer in [0, 2**64)."""
        ordinal = self._next
        self._next = ordinal + 1
        slot = ordinal & BLOCK_MASK
        if not slot:
            self._block = self._draws.block(ordinal >> BLOCK_SHIFT)
        return self._block[slot]

    def below(self, bound: int) -> int:
        """The next integer in [0, bound), by multiplication (bias below bound / 2**64)."""
        return (self.take() * bound) >> 64

    def between(self, low: int, high: int) -> int:
        """The next integer in [low, high], both included."""
        return low + ((self.take() * (high - low + 1)) >> 64)

    def _redrawn(self) -> None:
        self._block = self._draws.block(self._next >> BLOCK_SHIFT)


def _exponential_table() -> tuple[int, ...]:
    """-ln(u) in millionths for u = (2i + 1) / 2048, largest u first, by integers only: equal on every machine.

    u = m / 2**k with m in (1/2, 1], and -ln(m) = 2 artanh((1 - m) / (1 + m)).
    """
    scale, ln_two = 10**18, 693147180559945309
    table = []
    for odd_part in range(2047, 0, -2):
        numerator, halvings = odd_part, 0
        while numerator * 2 <= 2048:
            numerator, halvings = numerator * 2, halvings + 1
        x = scale * (2048 - numerator) // (2048 + numerator)
        term, total, divisor = x, 0, 1
        while term:
            total += term // divisor
            term = term * x // scale * x // scale
            divisor += 2
        table.append((halvings * ln_two + 2 * total) // 10**12)
    return tuple(table)


EXPONENTIAL_MILLIONTHS: Final = _exponential_table()
"""Quantiles of the exponential distribution with mean one, in millionths: index by ten random bits."""
