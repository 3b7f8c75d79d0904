"""A cheap refutation: a state that was read needs a source that was not certainly overwritten.

An operation that needs state v and was answered must have come after some operation that leaves v (or the initial
state), with nothing in between that leaves another. An operation that leaves u != v and returned before the observer
was called certainly came before it; every source that returned before *that* operation was called certainly came
before both, and is overwritten. If nothing else leaves v, no order exists: the answer was stale, or, when nothing
at all leaves v, the value came from nowhere.

The test is one-sided: passing it proves nothing. It takes O(n log n) whatever the concurrency, and finds most of what
broken systems do, where a search may drown.

Notes: applies to operations with a known `Model.access`; with any other changing operation around there is no telling
what it leaves, and the test abstains. Crashed operations may be sources at any time after their call, and never
overwrite.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec

from checkers.operation import INF, Operation

from .encoding import CHANGE, ILLEGAL_STATE, LOOK, EncodedOperations

CULPRITS: Final = 400
"""More sources than this are not handed on: an explanation made of them would be slow, and too long to read."""


class Refutation(msgspec.Struct, frozen=True):
    """A read of a state that no source can have left, and what overwrote it (None: it was never written)."""

    observer: Operation
    overwriter: Operation | None
    sources: tuple[Operation, ...]

    @property
    def culprits(self) -> tuple[Operation, ...]:
        """Return what suffices to see it: who looked, who overwrote, and all that came too early or too late."""
        if len(self.sources) > CULPRITS:
            return ()
        return (self.observer, *self.sources, *(() if self.overwriter is None else (self.overwriter,)))


def find_refutation(encoding: EncodedOperations) -> Refutation | None:
    """Return the first observer to return whose state no source can have left, if there is one."""
    if any(
        sort == CHANGE and target == ILLEGAL_STATE
        for sort, target in zip(encoding.sorts, encoding.targets, strict=True)
    ):
        return None
    sources = _Sources(encoding)
    overwriters = _Overwriters(encoding)
    found: tuple[Operation, Operation | None, int] | None = None
    for number, operation in enumerate(encoding.operations):
        needs = encoding.needs[encoding.classes[number]]
        if needs == ILLEGAL_STATE or operation.ret == INF or (found is not None and operation.ret > found[0].ret):
            continue
        latest = sources.latest_return(needs, operation.ret)
        overwriter = overwriters.last_called(operation.call, needs)
        if latest is None or (overwriter is not None and latest < overwriter.call):
            found = operation, overwriter, needs
    if found is None:
        return None
    observer, overwriter, needs = found
    return Refutation(observer, overwriter, tuple(sources.of(needs)))


class _Sources:
    """The operations that leave each state, by call, and the latest return among the first n of them."""

    def __init__(self, encoding: EncodedOperations) -> None:
        self.start = encoding.start
        self.operations: dict[int, list[Operation]] = {}
        self.calls: dict[int, list[int]] = {}
        self.returns: dict[int, list[int]] = {}
        for number, operation in enumerate(encoding.operations):
            kind = encoding.classes[number]
            if encoding.sorts[kind] == LOOK:
                continue
            state = encoding.targets[kind]
            self.operations.setdefault(state, []).append(operation)
            self.calls.setdefault(state, []).append(operation.call)
            latest = self.returns.setdefault(state, [])
            latest.append(max(latest[-1], operation.ret) if latest else operation.ret)

    def latest_return(self, state: int, before: int) -> int | None:
        """Return the latest return among sources called before this index; None where there is none at all."""
        count = bisect_left(self.calls.get(state, []), before)
        if count:
            return self.returns[state][count - 1]
        return -INF if state == self.start else None

    def of(self, state: int) -> Sequence[Operation]:
        return self.operations.get(state, [])


class _Overwriters:
    """Which operation was called last, of those that had returned at some index."""

    def __init__(self, encoding: EncodedOperations) -> None:
        completed = [
            (operation.ret, encoding.targets[kind], operation)
            for kind, operation in zip(encoding.classes, encoding.operations, strict=True)
            if operation.type == "ok" and encoding.sorts[kind] != LOOK
        ]
        completed.sort(key=lambda row: row[0])
        self.returns = [ret for ret, _, _ in completed]
        self.last: list[tuple[int, Operation]] = []  # the state it leaves, and it
        for _, state, operation in completed:
            if self.last and operation.call < self.last[-1][1].call:
                self.last.append(self.last[-1])
            else:
                self.last.append((state, operation))

    def last_called(self, before: int, other_than: int) -> Operation | None:
        """Return the operation called last of those that returned before this index, if it leaves another state.

        If it leaves this state, it is itself a source, later than all that were called earlier.
        """
        count = bisect_left(self.returns, before)
        if not count:
            return None
        state, operation = self.last[count - 1]
        return None if state == other_than else operation
