"""Locks: an exact check that walks once over the events, in O(n log n).

A lock without an owner is a bit, and whatever changes it alternates: acquire, release, acquire, release, ... So an
order of the operations that took effect is a number k of changes that rises by one, and which kind is next follows from
k. As with counters, keep k as small as possible, because whatever can be done at a higher k can be reached later:

* At the return of an acquire or release that has not taken effect, change the lock until it has. Of two pending
  acquires the one that returns first goes first, and a crashed one last; they cannot be told apart otherwise.
* A refusal (held, or absent) saw the lock in the one state or the other. It is placed as soon as that is the state; at
  its return, if it never was, one change must be made.

Where no pending operation can make the change that must be made, the history is not linearizable.

A lock that knows its owner asks that the same process releases; that is left to the general engine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, mutexes
from checkers.operation import INF, Operation

from .fast_path import FastPath

ACQUIRE: Final = 0
RELEASE: Final = 1
SAW_HELD: Final = 2
SAW_FREE: Final = 3

_CHANGES: Final = (ACQUIRE, RELEASE)

_KINDS: Final = {
    ("acquire", False): ACQUIRE,
    ("release", False): RELEASE,
    ("acquire", True): SAW_HELD,
    ("release", True): SAW_FREE,
}
"""(function, whether it was refused) -> kind; a kind without its second bit is what was asked."""


class Columns:
    """The operations of one lock as columns, in the order of their calls.

    `kinds` are ACQUIRE, RELEASE, SAW_HELD (an acquire that was refused) and SAW_FREE (a release that was), one byte
    each; a crashed acquire or release has the return INF.
    """

    def __init__(
        self, calls: Sequence[int], returns: Sequence[int], kinds: bytes, *, starts_held: bool = False
    ) -> None:
        self.calls = calls
        self.returns = returns
        self.kinds = kinds
        self.starts_held = starts_held

    @classmethod
    def of(cls, operations: Sequence[Operation], model: Model) -> Columns | str:
        """Make the columns of one lock's operations, or say why this check does not apply to them."""
        if model.step is not mutexes.step_mutex or model.init not in (mutexes.FREE, mutexes.HELD):
            return f"model {model.name} is no lock without an owner"
        in_order = sorted(operations, key=lambda operation: operation.call)
        kinds = bytearray()
        for operation in in_order:
            if operation.f not in ("acquire", "release"):
                return f"{operation.f} is neither acquire nor release"
            kinds.append(_KINDS[operation.f, operation.type == "fail"])
        calls = [operation.call for operation in in_order]
        returns = [operation.ret for operation in in_order]
        return cls(calls, returns, bytes(kinds), starts_held=model.init == mutexes.HELD)

    def prefix(self, end: int) -> Columns:
        """Return the columns of the events with index <= `end`: what was refused later may still take effect."""
        size = bisect_left(self.calls, end + 1)
        returns = [ret if ret <= end else INF for ret in self.returns[:size]]
        kinds = bytes(kind & 1 if ret == INF else kind for kind, ret in zip(self.kinds, returns))
        return Columns(self.calls[:size], returns, kinds, starts_held=self.starts_held)


def _failure(columns: Columns, meter: Meter) -> Bounds | None:
    """Decide columns; where they are not linearizable, say between which events that became certain."""
    meter.check(len(columns.calls), 1)
    failed = _walk(columns)
    if failed is None:
        return None
    return Bounds(failed, max(ret for ret in columns.returns if ret < INF), failed)


def _walk(columns: Columns) -> int | None:
    """Walk over the events; return the one (by index) that cannot be got past, if any."""
    calls, returns, kinds = columns.calls, columns.returns, columns.kinds
    in_order = [row for row, ret in enumerate(returns) if ret < INF]
    in_order.sort(key=returns.__getitem__)
    pending: tuple[list[int], list[int]] = ([], [])  # heaps of returns: acquires and releases called, without effect
    is_held = columns.starts_held
    placed = bytearray(len(calls))  # refusals that have been placed
    waiting: list[int] = []  # refusals called and not placed, all of the state that the lock is not in
    called = 0
    for row in in_order:
        now = returns[row]
        while called < len(calls) and calls[called] < now:
            kind = kinds[called]
            if kind in _CHANGES:
                heappush(pending[kind], returns[called])
            elif (kind == SAW_HELD) == is_held:
                placed[called] = 1
            else:
                waiting.append(called)
            called += 1
        kind = kinds[row]
        # A change that has not been made by its return is the first in its heap.
        while (not placed[row]) if kind not in _CHANGES else (bool(pending[kind]) and pending[kind][0] == now):
            possible = pending[RELEASE if is_held else ACQUIRE]
            if not possible:
                return now
            heappop(possible)
            is_held = not is_held
            for refusal in waiting:
                placed[refusal] = 1
            waiting = []
    return None


MUTEXES: Final = FastPath(
    name="mutexes",
    rows_of=Columns.of,
    size=lambda columns: len(columns.calls),
    failure=_failure,
    prefix=Columns.prefix,
)
