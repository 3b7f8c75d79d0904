"""Sets that grow, with reads of the whole: an exact check, linear in what the reads list.

Nothing is ever removed, so two reads must be comparable: in any order, the later one has what the earlier one had.
Sorted by size they form a chain of **groups** of equal reads, and every element has its place in the chain: it is added
in the gap before the first group that lists it. That gives positions,

    gap 1, group 1, gap 2, group 2, ..., gap n, group n, gap n + 1

* a read: its group;
* of the adds of an element, the one that was called first: the gap before the first group that has the element, or the
  last gap where no group has it (if it returned at all);
* any other add of it, and an add that was answered with "exists": at that gap or later, anywhere; the latter after
  the first add.

An order exists iff no operation returned before the call of one at a lower position. A crashed add of what was never
read is left out.

Notes: cost is the total length of all reads, plus sorting. Elements that are there at the start are in gap 0.

References: this is the `set` workload of Jepsen, decided exactly (its own checker looks at the final read only).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, containers
from checkers.operation import INF, Operation

from .fast_path import FastPath


class Add(NamedTuple):
    """An add: `ret` is INF if it crashed, `was_there` if it was answered with "exists"."""

    call: int
    ret: int
    element: Hashable
    was_there: bool = False


class Read(NamedTuple):
    """A read that returned."""

    call: int
    ret: int
    elements: frozenset[Hashable]


class Rows(NamedTuple):
    """The operations of one set."""

    adds: Sequence[Add]
    reads: Sequence[Read]
    initial: frozenset[Hashable] = frozenset()

    def prefix(self, end: int) -> Rows:
        """Return the rows of the events with index <= `end`."""
        adds = [add if add.ret <= end else Add(add.call, INF, add.element) for add in self.adds if add.call <= end]
        return Rows(adds, [read for read in self.reads if read.ret <= end], self.initial)


def rows_of(operations: Sequence[Operation], model: Model) -> Rows | str:
    """Make the rows of one set's operations, or say why this check does not apply to them."""
    if model.step is not containers.step_set or not isinstance(model.init, frozenset):
        return f"model {model.name} is no set"
    adds: list[Add] = []
    reads: list[Read] = []
    for operation in operations:
        if operation.f == "add":
            if operation.type == "fail" and operation.error != "exists":
                return f"an add that failed with {operation.error}"
            adds.append(Add(operation.call, operation.ret, operation.value, operation.type == "fail"))
        elif operation.f != "read" or operation.type == "fail":
            return f"{operation.f} is neither an add nor a read"
        elif operation.type == "ok":
            elements = frozenset(operation.result)
            if len(elements) < len(operation.result):
                return "a read that lists an element twice"
            reads.append(Read(operation.call, operation.ret, elements))
    return Rows(adds, reads, model.init)


class _Placed(NamedTuple):
    """An operation at its position (gap n is 2n - 1, group n is 2n): there, or there or later if it `is_loose`."""

    position: int
    call: int
    ret: int
    is_loose: bool
    shown: int  # the event by which its position was known


def _failure(rows: Rows, meter: Meter) -> Bounds | None:
    """Decide rows; where they are not linearizable, say by which event that was certain."""
    meter.check(len(rows.adds), len(rows.reads))
    reads = sorted(rows.reads, key=lambda read: len(read.elements))
    smaller = Read(-INF, -INF, rows.initial)
    for read in reads:
        if not smaller.elements <= read.elements:
            bound = max(smaller.ret, read.ret)
            return Bounds(0, bound, bound)
        smaller = read
    return _Chain(rows, reads).failure()


class _Chain:
    """The chain of reads, smallest first, and the place of each element in it."""

    def __init__(self, rows: Rows, reads: list[Read]) -> None:
        self.rows = rows
        self.bound = INF  # of the violations found: the first event by which one was certain
        self.placed: list[_Placed] = []
        self.gaps: dict[Hashable, int] = dict.fromkeys(rows.initial, -1)  # element -> position
        self.shown: dict[int, int] = {}  # position of a gap -> first return of a read of the group after it
        self.last_gap = self._place_reads(reads)
        self._place_adds()

    def failure(self) -> Bounds | None:
        """Find an operation that returned before the call of one at a lower position."""
        self.placed.sort(key=lambda one: one.position)
        last = shown = -INF  # of the last call at a lower position: when it was, and when that position was known
        for _, together in groupby(self.placed, key=lambda one: one.position):
            latest, latest_shown = last, shown
            for one in together:
                if one.ret < last:
                    self.bound = min(self.bound, max(one.ret, one.shown, shown))
                if one.call > latest and not one.is_loose:
                    latest, latest_shown = one.call, one.shown
            last, shown = latest, latest_shown
        return None if self.bound == INF else Bounds(0, self.bound, self.bound)

    def _place_reads(self, reads: list[Read]) -> int:
        position, known = 0, self.rows.initial
        for read in reads:
            if len(read.elements) > len(known):
                position += 2
            for element in read.elements - known:
                self.gaps[element] = position - 1
            known = read.elements
            self.shown[position - 1] = min(read.ret, self.shown.get(position - 1, INF))
            self.placed.append(_Placed(position, read.call, read.ret, False, read.ret))
        return position + 1

    def _place_adds(self) -> None:
        first: dict[Hashable, Add] = {}  # element -> the add of it that was called first
        denied: dict[Hashable, int] = {}  # element -> last return of an add that said it was there
        for add in self.rows.adds:
            if add.was_there:
                denied[add.element] = max(add.ret, denied.get(add.element, -INF))
            elif add.element not in first or add.call < first[add.element].call:
                first[add.element] = add
        for add in self.rows.adds:
            gap = self.gaps.get(add.element, self.last_gap)
            begun = first.get(add.element)
            if gap < 0:
                continue
            known = max(self.shown.get(gap, -INF), denied.get(add.element, -INF))
            if add.was_there and (begun is None or begun.call > add.ret):
                self.bound = min(self.bound, denied[add.element])
            self.placed.append(_Placed(gap, add.call, add.ret, add is not begun, known))
        for element, gap in self.gaps.items():
            if gap >= 0 and element not in first:
                self.bound = min(self.bound, max(self.shown[gap], denied.get(element, -INF)))


SETS: Final = FastPath(
    name="sets",
    rows_of=rows_of,
    size=lambda rows: len(rows.adds) + sum(len(read.elements) for read in rows.reads),
    failure=_failure,
    prefix=Rows.prefix,
)
