"""Counters: add blindly, add and be told the sum, read.

A counter remembers everything that was ever added, so that one lost or doubled addition shows in every later answer.
What makes a history hard to check is the additions whose sum no client was told; the variants differ in what they add:

* `unit`: one up, in part of the runs also one down. Positions can be counted.
* `small`: -3 to 3, zero left out. Several additions together often look like one other.
* `distinct`: large numbers of both signs, no two alike. The difference between two reads names the additions between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

_CALLS_PER_KEY: Final = {"unit": 200, "small": 120, "distinct": 160}
_NUMBERED_BITS: Final = 12
_DRAWN_BITS: Final = 28
"""A distinct delta is a drawn number above the number of its call, below 2**40: sums stay exact in any language."""

_Delta = Callable[[Context, int], int]
"""(context, number of the call) -> what to add."""


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of keys, the weights and the signs, then the traffic."""
    keys = Keys(stream.between(1, 3), _CALLS_PER_KEY[variant])
    down_ppm = stream.choice((0, 200_000, 500_000))
    delta = {"unit": _unit(down_ppm), "small": _small, "distinct": _distinct}[variant]

    def read(context: Context) -> Call:
        return Call(f="read", key=keys.draw(context, context.fresh()))

    def change(f: str) -> Callable[[Context], Call]:
        def step(context: Context) -> Call:
            number = context.fresh()
            return Call(f=f, key=keys.draw(context, number), value=delta(context, number))

        return step

    return mix(
        (stream.between(2, 5), calls(read)),
        (stream.between(1, 4), calls(change("add"))),
        (stream.between(1, 4), calls(change("add-and-get"))),
    )


def _unit(down_ppm: int) -> _Delta:
    return lambda context, number: -1 if context.stream.chance_ppm(down_ppm) else 1


def _small(context: Context, number: int) -> int:
    return context.stream.choice((-3, -2, -1, 1, 2, 3))


def _distinct(context: Context, number: int) -> int:
    magnitude = context.stream.below(1 << _DRAWN_BITS) << _NUMBERED_BITS | number % (1 << _NUMBERED_BITS)
    return -magnitude if context.stream.chance_ppm(500_000) else magnitude


COUNTER: Final = Workload(
    name="counter",
    summary="add, add-and-get and read on 1 to 3 live counters",
    machine="counter",
    model="counter",
    functions=("read", "add", "add-and-get"),
    variants=(
        Variant(name="unit", summary="one up, at times one down"),
        Variant(name="small", summary="-3 to 3"),
        Variant(name="distinct", summary="large numbers of both signs, no two alike"),
    ),
    generator=_generator,
    recovery=lambda thread: Call(f="add", key=f"recovery-{thread}", value=1),
    final=lambda key: Call(f="read", key=key),
)
