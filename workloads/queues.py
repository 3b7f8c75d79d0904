"""Queues: enqueue unique values, and dequeue what comes first.

Never more comes than goes: a queue found empty is an observation, too, and a long backlog hides in which order its
values came, until the checker has to keep every order in mind. There is no final read: a queue shows nothing without
losing it.
"""

from __future__ import annotations

from typing import Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

_CALLS_PER_KEY: Final = 40


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of queues and the balance, then the traffic."""
    keys = Keys(stream.between(2, 4), _CALLS_PER_KEY)

    def enqueue(context: Context) -> Call:
        number = context.fresh()
        return Call(f="enqueue", key=keys.draw(context, number), value=number)

    def dequeue(context: Context) -> Call:
        return Call(f="dequeue", key=keys.draw(context, context.fresh()))

    return mix((3, calls(enqueue)), (stream.between(3, 6), calls(dequeue)))


QUEUE: Final = Workload(
    name="queue",
    summary="enqueue unique values to 2 to 4 live queues, and dequeue",
    machine="queue",
    model="queue",
    functions=("enqueue", "dequeue"),
    variants=(Variant(name="unique", summary="no value is enqueued twice"),),
    generator=_generator,
    recovery=lambda thread: Call(f="enqueue", key=f"recovery-{thread}", value={"fresh": 1}),
)
