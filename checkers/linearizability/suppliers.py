"""A cheap refutation: a state that somebody saw needs a supplier that was not certainly overwritten.

An operation that needs state v and was answered must have come after some operation that leaves v (or the initial
state), with nothing in between that leaves another. An operation that leaves u != v and returned before the observer
was called certainly came before it; every supplier that returned before *that* operation was called certainly came
before both, and is overwritten. If nothing else supplies v, no order exists: the answer was stale, or, when nothing
at all supplied v, it came from nowhere.

The test is one-sided: passing it proves nothing. It takes O(n log n) whatever the concurrency, and finds most of what
broken systems do, where a search may drown.

Notes: applies to operations with a known `Model.access`; with any other changing operation around there is no telling
what it leaves, and the test abstains. Crashed operations supply, for ever after their call, and never overwrite.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec

from checkers.history import INF, Operation

from .alphabet import CHANGE, ILLEGAL_STATE, LOOK, Numbered

CULPRITS: Final = 400
"""More suppliers than this are not handed on: an explanation made of them would be slow, and nobody would read it."""


class Unsupplied(msgspec.Struct, frozen=True):
    """An observer whose state nobody can have supplied, and who overwrote it (None: nobody ever wrote it)."""

    observer: Operation
    overwriter: Operation | None
    suppliers: tuple[Operation, ...]

    @property
    def culprits(self) -> tuple[Operation, ...]:
        """Return what suffices to see it: who looked, who overwrote, and all that came too early or too late."""
        if len(self.suppliers) > CULPRITS:
            return ()
        return (self.observer, *self.suppliers, *(() if self.overwriter is None else (self.overwriter,)))


def find_unsupplied(alphabet: Numbered) -> Unsupplied | None:
    """Return the first observer to return whose state nobody can have supplied, if there is one."""
    if any(
        sort == CHANGE and target == ILLEGAL_STATE
        for sort, target in zip(alphabet.sorts, alphabet.targets, strict=True)
    ):
        return None
    suppliers = _Suppliers(alphabet)
    overwriters = _Overwriters(alphabet)
    found: tuple[Operation, Operation | None, int] | None = None
    for number, operation in enumerate(alphabet.operations):
        needs = alphabet.needs[alphabet.classes[number]]
        if needs == ILLEGAL_STATE or operation.ret == INF or (found is not None and operation.ret > found[0].ret):
            continue
        latest = suppliers.latest_return(needs, operation.ret)
        overwriter = overwriters.last_called(operation.call, needs)
        if latest is None or (overwriter is not None and latest < overwriter.call):
            found = operation, overwriter, needs
    if found is None:
        return None
    observer, overwriter, needs = found
    return Unsupplied(observer, overwriter, tuple(suppliers.of(needs)))


class _Suppliers:
    """Who leaves which state, by call, and the latest return among the first so many of them."""

    def __init__(self, alphabet: Numbered) -> None:
        self.start = alphabet.start
        self.operations: dict[int, list[Operation]] = {}
        self.calls: dict[int, list[int]] = {}
        self.returns: dict[int, list[int]] = {}
        for number, operation in enumerate(alphabet.operations):
            kind = alphabet.classes[number]
            if alphabet.sorts[kind] == LOOK:
                continue
            state = alphabet.targets[kind]
            self.operations.setdefault(state, []).append(operation)
            self.calls.setdefault(state, []).append(operation.call)
            latest = self.returns.setdefault(state, [])
            latest.append(max(latest[-1], operation.ret) if latest else operation.ret)

    def latest_return(self, state: int, before: int) -> int | None:
        """Return the latest return among suppliers called before this index; None where there is none at all."""
        count = bisect_left(self.calls.get(state, []), before)
        if count:
            return self.returns[state][count - 1]
        return -INF if state == self.start else None

    def of(self, state: int) -> Sequence[Operation]:
        return self.operations.get(state, [])


class _Overwriters:
    """Which operation was called last, of those that had returned at some index."""

    def __init__(self, alphabet: Numbered) -> None:
        completed = [
            (operation.ret, alphabet.targets[kind], operation)
            for kind, operation in zip(alphabet.classes, alphabet.operations, strict=True)
            if operation.type == "ok" and alphabet.sorts[kind] != LOOK
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

        If it leaves this state, it supplies it itself, after whatever was called earlier.
        """
        count = bisect_left(self.returns, before)
        if not count:
            return None
        state, operation = self.last[count - 1]
        return None if state == other_than else operation
