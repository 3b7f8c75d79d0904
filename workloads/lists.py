"""Lists: append unique elements, and read whole lists; alone (`list`) or several at once (`list-append`).

A list that was read is a history of its own: every element in it tells in which order the appends took effect. That is
what makes transactions over lists the sharpest test of isolation there is (Kingsbury and Alvaro, Elle, VLDB 2020).
"""

from __future__ import annotations

from typing import Any, Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import LETTERS, Keys, Variant, Workload

_CALLS_PER_KEY: Final = 60
_MICRO_OPERATIONS: Final = 4


def _appends(variant: str, stream: Stream) -> Generator:
    """Draw the number of lists and how much is read: enough to tell early in which order they grew."""
    keys = Keys(stream.between(2, 4), _CALLS_PER_KEY)

    def append(context: Context) -> Call:
        number = context.fresh()
        return Call(f="append", key=keys.draw(context, number), value=number)

    def read(context: Context) -> Call:
        return Call(f="read", key=keys.draw(context, context.fresh()))

    return mix((3, calls(append)), (stream.between(2, 5), calls(read)))


def _transactions(variant: str, stream: Stream) -> Generator:
    """Draw how much is read, then transactions of some appends and reads over a few lists that grow and are retired."""
    live = stream.between(2, 4)
    read_ppm = stream.between(300_000, 700_000)

    def transaction(context: Context) -> Call:
        draw = context.stream
        done: list[Any] = []
        for _ in range(draw.between(1, _MICRO_OPERATIONS)):
            number = context.fresh()
            generation = number // (live * _CALLS_PER_KEY)
            key = f"{LETTERS[draw.below(live)]}{generation or ''}"
            done.append(["r", key, None] if draw.chance_ppm(read_ppm) else ["append", key, number])
        return Call(f="txn", value=done)

    return calls(transaction)


LIST: Final = Workload(
    name="list",
    summary="append unique elements to 2 to 4 live lists, and read them whole",
    machine="list",
    model="list",
    functions=("append", "read"),
    variants=(Variant(name="unique", summary="no element is appended twice"),),
    generator=_appends,
    recovery=lambda thread: Call(f="append", key=f"recovery-{thread}", value={"fresh": 1}),
    final=lambda key: Call(f="read", key=key),
)

LIST_APPEND: Final = Workload(
    name="list-append",
    summary="transactions of one to four appends and reads over 2 to 4 live lists",
    machine="list",
    model="list-append",
    functions=("txn",),
    variants=(Variant(name="unique", summary="no element is appended twice"),),
    generator=_transactions,
    recovery=lambda thread: Call(f="txn", value=[["append", f"recovery-{thread}", {"fresh": 1}]]),
)
