"""Sets: add elements, none of them twice, and read the whole set.

An element that was acknowledged and is missing in a later read was lost; one that comes and goes again was seen too
early.
"""

from __future__ import annotations

from typing import Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

_CALLS_PER_KEY: Final = 120


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of sets and how much is read, then the traffic."""
    keys = Keys(stream.between(1, 3), _CALLS_PER_KEY)

    def add(context: Context) -> Call:
        number = context.fresh()
        return Call(f="add", key=keys.draw(context, number), value=number)

    def read(context: Context) -> Call:
        return Call(f="read", key=keys.draw(context, context.fresh()))

    return mix((stream.between(2, 6), calls(add)), (stream.between(1, 3), calls(read)))


SET: Final = Workload(
    name="set",
    summary="add unique elements to 1 to 3 live sets, and read them whole",
    machine="set",
    model="set",
    functions=("add", "read"),
    variants=(Variant(name="unique", summary="no element is added twice"),),
    generator=_generator,
    recovery=lambda thread: Call(f="add", key=f"recovery-{thread}", value={"fresh": 1}),
    final=lambda key: Call(f="read", key=key),
)
