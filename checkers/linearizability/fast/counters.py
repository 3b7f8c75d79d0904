"""Counters: adds that answer with the new value, blind adds, and reads.

What makes counters easy is that adds commute: which of two equal pending adds took effect cannot matter, except that
the one that returns first must have done so first. What makes them hard is that a read says only a sum.

**One delta** (every add adds the same d; this module). The value then counts the adds, so it is a number k that rises
by one. Walk over the events from the left and keep k as small as possible, because whatever can be done at a higher k
can be reached later, and nothing brings k down:

* At the return of a read of v, raise k to v. A read whose v was already below k at its call cannot be placed.
* At the return of an add that answered v, raise k to v; at that of a blind add not yet counted, raise until it is.
* To raise k by one takes one pending add: the one that answered k + 1, if there is one, and no other; else the blind
  add that returns first; else a crashed one.

This is exact, crashed adds included, and costs O(n log n).

**Several deltas** go to `counters_general`, which keeps sets of configurations.

The rows are columns of plain integers, so that a million operations need no million objects.

References: G. Lowe, "Testing for linearizability" (2017), section 4, for just-in-time linearization.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import compress
from typing import Final

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, counters
from checkers.operation import INF, Operation

from . import counters_general
from .fast_path import FastPath

READ: Final = 0
ADD: Final = 1
GET: Final = 2


class Columns:
    """The operations of one counter as columns, in the order of their calls.

    `kinds` are READ, ADD (blind) and GET (an add that answered with the new value), one byte each; `deltas` what was
    added, `values` what was read or answered. A crashed add of either kind is an ADD with the return INF; crashed reads
    and adds of 0 without an answer say nothing and have no row, and an answered add of 0 is a READ. `rows` are the
    positions of the operations that the rows came from.
    """

    def __init__(
        self,
        calls: Sequence[int],
        returns: Sequence[int],
        kinds: bytes,
        deltas: Sequence[int],
        values: Sequence[int],
        rows: Sequence[int] | None = None,
        initial: int = 0,
    ) -> None:
        self.calls = calls
        self.returns = returns
        self.kinds = kinds
        self.deltas = deltas
        self.values = values
        self.rows = range(len(calls)) if rows is None else rows
        self.initial = initial

    @classmethod
    def of(cls, operations: Sequence[Operation], model: Model) -> Columns | str:
        """Make the columns of one counter's operations, or say why this check does not apply to them."""
        if model.step is not counters.step:
            return f"model {model.name} is no counter"
        if type(model.init) is not int:
            return "the counter may be missing"
        rows: list[int] = []
        kinds, added, values = bytearray(), [], []
        for position in sorted(range(len(operations)), key=lambda position: operations[position].call):
            operation = operations[position]
            row = _row(operation)
            if isinstance(row, str):
                return row
            if row is not None:
                kinds.append(row[0])
                added.append(row[1])
                values.append(row[2])
                rows.append(position)
        calls = [operations[row].call for row in rows]
        returns = [operations[row].ret for row in rows]
        return cls(calls, returns, bytes(kinds), added, values, rows, model.init)

    def prefix(self, end: int) -> Columns:
        """Return the columns of the events with index <= `end`."""
        size = bisect_left(self.calls, end + 1)
        returns = self.returns[:size]
        kept = [ret <= end or kind != READ for kind, ret in zip(self.kinds, returns)]
        kinds = bytes(ADD if ret > end else kind for kind, ret in zip(self.kinds, returns))
        return Columns(
            list(compress(self.calls[:size], kept)),
            [ret if ret <= end else INF for ret in compress(returns, kept)],
            bytes(compress(kinds, kept)),
            list(compress(self.deltas[:size], kept)),
            list(compress(self.values[:size], kept)),
            list(compress(self.rows[:size], kept)),
            self.initial,
        )


def _row(operation: Operation) -> tuple[int, int, int] | str | None:
    """Name what an operation says about a counter: (kind, delta, value), nothing (None), or why that cannot be said."""
    f, outcome = operation.f, operation.type
    if f not in ("read", "add", "add-and-get"):
        return f"{f} is not an add"
    if outcome == "fail":
        return f"{f} failed with {operation.error}"
    if f == "read":
        return (READ, 0, operation.result) if outcome == "ok" else None
    delta = operation.value
    if f == "add" or outcome == "info":
        return (ADD, delta, 0) if delta else None
    answered, value = operation.result
    if answered != delta:
        return "an add that answered for another delta"
    return (GET if delta else READ), delta, value


def _failure(columns: Columns, meter: Meter) -> Bounds | None:
    """Decide columns; where they are not linearizable, say between which events that became certain."""
    meter.check(len(columns.calls), 1)
    added = {delta for kind, delta in zip(columns.kinds, columns.deltas) if kind != READ}  # its size, and its only one
    failed = _walk(columns, added.pop() if added else 1) if len(added) <= 1 else counters_general.walk(columns, meter)
    if failed is None:
        return None
    return Bounds(failed, max(ret for ret in columns.returns if ret < INF), failed)


def _walk(columns: Columns, delta: int) -> int | None:
    """Walk over the events of a counter whose adds all add `delta`; return the one that cannot be got past, if any."""
    calls, returns, kinds = columns.calls, columns.returns, columns.kinds
    ranks = _ranks(columns, delta)
    in_order = [row for row, ret in enumerate(returns) if ret < INF]
    in_order.sort(key=returns.__getitem__)
    owners: dict[int, int] = {}  # rank -> the row of the add that answered it
    for row in in_order:
        if kinds[row] == GET:
            owners.setdefault(ranks[row], row)
    size = len(calls)
    lowest = [0] * size  # the lowest rank that an operation can still answer, as known at its call
    blind: list[int] = []  # heap: the returns of blind adds called and not counted
    crashed = 0  # crashed adds called and not counted
    called = 0  # rows called so far
    k = 0
    for row in in_order:
        now = returns[row]
        while called < size and calls[called] < now:
            kind = kinds[called]
            if kind != ADD:
                lowest[called] = k if kind == READ else k + 1
            elif returns[called] < INF:
                heappush(blind, returns[called])
            else:
                crashed += 1
            called += 1
        kind = kinds[row]
        if kind == ADD:
            goal = -1
        else:
            goal = ranks[row]
            if goal < lowest[row] or (kind == GET and owners[goal] != row):
                return now
        # A blind add that has not been counted by its return is the first in the heap.
        while k < goal or (blind and blind[0] == now):
            owner = owners.get(k + 1, -1)
            if owner >= 0:
                if owner >= called:
                    return now
            elif blind:
                heappop(blind)
            elif crashed:
                crashed -= 1
            else:
                return now
            k += 1
    return None


def _ranks(columns: Columns, delta: int) -> list[int]:
    """Express the values as numbers of adds; -1 where no number of adds gives the value."""
    initial = columns.initial
    if initial == 0 and delta == 1:
        return list(columns.values)
    return [(value - initial) // delta if (value - initial) % delta == 0 else -1 for value in columns.values]


COUNTERS: Final = FastPath(
    name="counters",
    rows_of=Columns.of,
    size=lambda columns: len(columns.calls),
    failure=_failure,
    prefix=Columns.prefix,
)
