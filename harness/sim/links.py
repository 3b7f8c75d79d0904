"""What a link does to one message: a pure function of the effects in force and of keyed draws.

`fate` says whether the message is lost, and otherwise when copies of it arrive and which bit is flipped. It knows no
clock and no event heap; `network.py` calls it and puts the arrivals into the heap.

Each effect draws from a stream of its own (keyed by its id, the link, the kind of message and the ordinal), so that
removing one effect leaves the draws of the others as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.faults.world import MILLION, Effect


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One copy of the message arrives after `delay_ns`; `flip` is a number that names a bit to flip, or None."""

    delay_ns: int
    flip: int | None = None
    is_copy: bool = False


class Fate(msgspec.Struct, frozen=True, gc=False):
    """The copies that arrive (none: dropped), and the ids of the effects that changed anything."""

    arrivals: tuple[Arrival, ...]
    hit: tuple[str, ...]


def fate(delay_ns: int, effects: Sequence[Effect], draw: Callable[[Effect, int], int]) -> Fate:
    """Decide about one message that a healthy link would deliver after `delay_ns`.

    `draw(effect, which)` gives a keyed 64-bit integer; `which` numbers the draws that one effect needs for one message.
    Loss wins over everything. A copy takes the delays of the original and then its own lateness.
    """
    hit: list[str] = []
    flip: int | None = None
    lateness: list[int] = []
    for effect in effects:
        if effect.what == "delay":
            delay_ns += effect.base_ns + _part(draw(effect, 1), effect.span_ns)
            hit.append(effect.id)
        elif happens(effect, draw(effect, 0)):
            hit.append(effect.id)
            if effect.what == "loss":
                return Fate((), (effect.id,))
            if effect.what == "duplicate":
                lateness.append(_part(draw(effect, 1), effect.span_ns))
            elif effect.what == "reorder":
                delay_ns += _part(draw(effect, 1), effect.span_ns)
            else:
                flip = draw(effect, 1)
    arrivals = [Arrival(delay_ns, flip)]
    arrivals += [Arrival(delay_ns + late, flip, is_copy=True) for late in lateness]
    return Fate(tuple(arrivals), tuple(hit))


def happens(effect: Effect, value: int) -> bool:
    """Whether an effect that is not a delay happens to the message whose first draw is `value`."""
    return _part(value, MILLION) < effect.ppm


def flip_bit(data: bytes, number: int) -> bytes:
    """The data with one bit flipped; `number` is reduced to a position."""
    if not data:
        return data
    position = number % (len(data) * 8)
    damaged = bytearray(data)
    damaged[position >> 3] ^= 1 << (position & 7)
    return bytes(damaged)


def _part(value: int, bound: int) -> int:
    """A 64-bit integer scaled to [0, bound)."""
    return (value * bound) >> 64
