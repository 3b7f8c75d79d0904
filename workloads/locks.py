"""Locks: acquire and release, by a few threads that compete for one or two.

The locks have no owner (Knossos's mutex): any client's release of a held lock frees it. That is the claim that stays
sound when a client whose acquire had an unknown outcome goes on under another process number. A release right after the
acquire, by the same thread, keeps a lock free for others in most of the time.
"""

from __future__ import annotations

from typing import Final

from .generator import Call, Context, Generator, calls, mix
from .streams import Stream
from .workload import Keys, Variant, Workload

_CALLS_PER_KEY: Final = 120


def _generator(variant: str, stream: Stream) -> Generator:
    """Draw the number of locks and how often one is released late, then the traffic."""
    keys = Keys(stream.between(1, 2), _CALLS_PER_KEY)

    def hold(context: Context) -> tuple[Call, ...]:
        key = keys.draw(context, context.fresh())
        return Call(f="acquire", key=key), Call(f="release", key=key)

    def one(context: Context) -> Call:
        f = context.stream.choice(("acquire", "release"))
        return Call(f=f, key=keys.draw(context, context.fresh()))

    return mix((stream.between(2, 5), calls(hold)), (stream.between(1, 3), calls(one)))


LOCK: Final = Workload(
    name="lock",
    summary="acquire and release 1 to 2 live locks",
    machine="lock",
    model="mutex",
    functions=("acquire", "release"),
    variants=(Variant(name="ownerless", summary="any release of a held lock frees it"),),
    generator=_generator,
    recovery=lambda thread: Call(f="acquire", key=f"recovery-{thread}"),
)
