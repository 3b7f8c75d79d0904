"""Registers: read, write and compare-and-set on a few keys.

Variant `unique` never writes a value twice, so that a read names the one write it saw and checking is nearly linear;
its compare-and-set asks for what the thread last read (`{"last-read": key}`), most of them right after a read of that
key, so that many succeed. Variant `few-values` writes 0 to 4 over and over: whether a read was stale cannot be told
from its value alone, the checker has to search, and a compare-and-set from a wrong value fails, which says something,
too.
"""

from __future__ import annotations

from typing import Any, Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

FEW: Final = 5
_LIVE_KEYS: Final = ((1, 7), (2, 5), (3, 4), (5, 4))
"""Few more often than many: a stale read shows only on a key that was written a moment ago."""
_CALLS_PER_KEY: Final = {"unique": 400, "few-values": 120}


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of keys and the weights of the functions, then the traffic."""
    keys = Keys(stream.weighted(_LIVE_KEYS), _CALLS_PER_KEY[variant])
    unique = variant == "unique"

    def read(context: Context) -> Call:
        return Call(f="read", key=keys.draw(context, context.fresh()))

    def write(context: Context) -> Call:
        number = context.fresh()
        return Call(f="write", key=keys.draw(context, number), value=number if unique else context.stream.below(FEW))

    def cas(context: Context) -> Call | tuple[Call, ...]:
        number = context.fresh()
        key = keys.draw(context, number)
        if not unique:
            return Call(f="cas", key=key, value=_two_of_few(context.stream))
        swap = Call(f="cas", key=key, value=[{"last-read": key}, number])
        return (Call(f="read", key=key), swap) if context.stream.chance_ppm(700_000) else swap

    return mix(
        (stream.between(1, 4), calls(read)), (stream.between(2, 5), calls(write)), (stream.between(1, 3), calls(cas))
    )


def _two_of_few(stream: Stream) -> list[Any]:
    old = stream.below(FEW)
    return [old, (old + stream.between(1, FEW - 1)) % FEW]


REGISTER: Final = Workload(
    name="register",
    summary="read, write and compare-and-set on 1 to 5 live keys",
    machine="register",
    model="cas-register",
    functions=("read", "write", "cas"),
    variants=(
        Variant(
            name="unique", summary="every write has a value of its own; cas from what the thread last read", weight=3
        ),
        Variant(name="few-values", summary="values 0 to 4, again and again", weight=2),
    ),
    generator=_generator,
    recovery=lambda thread: Call(f="write", key=f"recovery-{thread}", value={"fresh": 1}),
    final=lambda key: Call(f="read", key=key),
)
