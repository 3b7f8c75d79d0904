"""Maps: values by key, conditional on what is there, and at times a look at all keys at once.

Variant `keys` touches one key at a time, and is checked key by key. Variant `sized` also asks for the size of the whole
map, which joins all keys to one object: it has few keys, and asks seldom, for such a history is much harder to check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

_CALLS_PER_KEY: Final = 150
_FOR_EVER: Final = 1 << 40


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of keys and the weights, then the traffic. Values are unique."""
    sized = variant == "sized"
    keys = Keys(2, _FOR_EVER) if sized else Keys(stream.between(1, 4), _CALLS_PER_KEY)

    def plain(f: str) -> Callable[[Context], Call]:
        return lambda context: Call(f=f, key=keys.draw(context, context.fresh()))

    def valued(f: str) -> Callable[[Context], Call]:
        def step(context: Context) -> Call:
            number = context.fresh()
            return Call(f=f, key=keys.draw(context, number), value=number)

        return step

    return mix(
        (stream.between(2, 6), calls(plain("read"))),
        (stream.between(1, 3), calls(valued("write"))),
        (stream.between(1, 4), calls(valued("put-if-absent"))),
        (stream.between(1, 3), calls(valued("replace"))),
        (stream.between(1, 4), calls(plain("remove"))),
        (stream.between(1, 2) if sized else 0, calls(lambda context: Call(f="size"))),
    )


MAP: Final = Workload(
    name="map",
    summary="read, write, put-if-absent, replace and remove by key; at times the size of the whole map",
    machine="map",
    model="map",
    functions=("read", "write", "put-if-absent", "replace", "remove", "size"),
    variants=(
        Variant(name="keys", summary="one key at a time, 1 to 4 live ones", weight=4),
        Variant(name="sized", summary="two keys, and the size of the whole map"),
    ),
    generator=_generator,
    recovery=lambda thread: Call(f="write", key=f"recovery-{thread}", value={"fresh": 1}),
    final=lambda key: Call(f="read", key=key),
)
