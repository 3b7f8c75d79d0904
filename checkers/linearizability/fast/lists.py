"""Lists of unique elements that grow at their end: an exact check in O(n log n), and in the size of what was read.

A list only grows, so every read saw a prefix of what the longest read saw, and that prefix tells its own order. Give
each operation its place in that order:

* a read of k elements: place 2k;
* the append of the k-th element: place 2k - 1;
* a completed append that was never read: after everything else, in any order among themselves. A read later than
  its return should have seen it, and whatever was appended later would have been seen after it.

A history is linearizable iff the reads agree, every element read was appended, and no operation returned before another
one of a smaller place was called. A crashed append whose element was never read is left out; one that was read returns
at infinity.

Where an element is appended twice (or stood in the list at the beginning), this check does not apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, containers
from checkers.operation import INF, Operation

from .fast_path import FastPath

LAST: Final = INF
"""The place of an append that was never read."""


class Append(NamedTuple):
    """An append of a unique element."""

    call: int
    ret: int
    element: Any


class Read(NamedTuple):
    """A completed read."""

    call: int
    ret: int
    elements: tuple[Any, ...]


class Rows(NamedTuple):
    """A list's operations, and its elements at the beginning."""

    appends: list[Append]
    reads: list[Read]
    initial: tuple[Any, ...]

    def prefix(self, end: int) -> Rows:
        """Return the rows of the events with index <= `end`."""
        appends = [row if row.ret <= end else row._replace(ret=INF) for row in self.appends if row.call <= end]
        return Rows(appends, [row for row in self.reads if row.ret <= end], self.initial)


def rows_of(operations: Sequence[Operation], model: Model) -> Rows | str:
    """Make the rows of one list's operations, or say why this check does not apply to them."""
    if model.step is not containers.step_list or not isinstance(model.init, tuple):
        return f"model {model.name} is no list"
    rows = Rows([], [], model.init)
    for operation in operations:
        if operation.f == "append" and operation.type != "fail":
            rows.appends.append(Append(operation.call, operation.ret, operation.value))
        elif operation.f == "read" and operation.type == "ok":
            rows.reads.append(Read(operation.call, operation.ret, operation.result))
        elif operation.f != "read" or operation.type == "fail":
            return f"{operation.f} ({operation.type}) is neither an append nor a read"
    elements = [row.element for row in rows.appends]
    if len({*elements, *model.init}) < len(elements) + len(model.init):
        return "an element is appended twice"
    return rows


def _failure(rows: Rows, meter: Meter) -> Bounds | None:
    """Return bounds on where the rows fail, or None if they are linearizable."""
    meter.check(len(rows.appends) + len(rows.reads), len(rows.appends))
    longest = max(rows.reads, key=lambda read: len(read.elements), default=None)
    known = rows.initial if longest is None else longest.elements
    for read in rows.reads:
        if known[: len(read.elements)] != read.elements:
            return _at(read.ret if longest is None else max(read.ret, longest.ret))
        if read.elements[: len(rows.initial)] != rows.initial:
            return _at(read.ret)
    place_of = {element: place for place, element in enumerate(known, 1)}
    appended = {row.element for row in rows.appends}.union(rows.initial)
    if longest is not None and (len(place_of) < len(known) or not appended.issuperset(known)):
        return _at(longest.ret)
    placed = [(2 * len(read.elements), read.call, read.ret) for read in rows.reads]
    for row in rows.appends:
        place = place_of.get(row.element)
        if place is not None:
            placed.append((2 * place - 1, row.call, row.ret))
        elif row.ret != INF:
            placed.append((LAST, row.call, row.ret))
    return _out_of_order(placed)


def _at(end: int) -> Bounds:
    """Bound a failure that the prefix to here shows."""
    return Bounds(0, end, end)


def _out_of_order(placed: list[tuple[int, int, int]]) -> Bounds | None:
    """Look for an operation that returned before one of a smaller place was called, from the right."""
    placed.sort(reverse=True)
    first_return = INF  # of all operations of larger places
    group_return = INF  # of all operations of this place so far
    group = LAST + 1
    for place, call, ret in placed:
        if place != group:
            first_return, group_return, group = min(first_return, group_return), INF, place
        if first_return < call:
            last = max(returned for _, _, returned in placed if returned != INF)
            return Bounds(0, last, min(ret, last))
        group_return = min(group_return, ret)
    return None


LISTS: Final = FastPath(
    name="lists",
    rows_of=rows_of,
    size=lambda rows: len(rows.appends) + len(rows.reads),
    failure=_failure,
    prefix=Rows.prefix,
)
