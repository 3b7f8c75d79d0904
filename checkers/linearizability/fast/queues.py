"""FIFO queues of unique values: an exact check in O(n log n), by the four patterns that make a queue wrong.

When no value is enqueued twice, each dequeue names the enqueue that it took its value from. Then a history without
crashed dequeues is linearizable iff it has none of these (Henzinger, Sezgin and Vafeiadis, theorem 1; the patterns of
Bouajjani, Emmi, Enea and Hamza):

* **fresh**: a value is dequeued that was not enqueued, or that was enqueued only after the dequeue returned;
* **repeated**: a value is dequeued twice;
* **out of order**: enqueue(a) returned before enqueue(b) was called, and b was dequeued, but a never was, or only by a
  dequeue that was called after that of b returned;
* **not empty**: a dequeue was answered with "empty", and at each instant of its interval some value was certainly in
  the queue: its enqueue had returned, and its dequeue had not been called.

A crashed enqueue whose value was not dequeued is left out; one whose value was dequeued returns at infinity. A crashed
dequeue may have taken any value, or none. Left out, it can only make things worse: so if none of the patterns is there
without it, the history is linearizable. If only patterns are there that need that some value was never dequeued, this
check does not know, and says so.

References: T. A. Henzinger, A. Sezgin, V. Vafeiadis, "Aspect-oriented linearizability proofs", CONCUR 2013, section 4.
A. Bouajjani, M. Emmi, C. Enea, J. Hamza, "On reducing linearizability to state reachability", ICALP 2015, section 4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, containers
from checkers.operation import INF, Operation

from .fast_path import FastPath, Undecided


class Enqueue(NamedTuple):
    """An enqueue; `ret` is INF if it crashed."""

    call: int
    ret: int
    value: Hashable


class Dequeue(NamedTuple):
    """A dequeue that returned a value."""

    call: int
    ret: int
    value: Hashable


class Interval(NamedTuple):
    """A dequeue that found nothing, or one that crashed (`ret` is INF)."""

    call: int
    ret: int


class Rows(NamedTuple):
    """The operations of one queue."""

    enqueues: Sequence[Enqueue]
    dequeues: Sequence[Dequeue]
    empties: Sequence[Interval] = ()
    crashed: Sequence[Interval] = ()

    def prefix(self, end: int) -> Rows:
        """Return the rows of the events with index <= `end`."""
        open_dequeues = [
            Interval(one.call, INF)
            for kind in (self.dequeues, self.empties, self.crashed)
            for one in kind
            if one.call <= end < one.ret
        ]
        return Rows(
            [
                Enqueue(one.call, one.ret if one.ret <= end else INF, one.value)
                for one in self.enqueues
                if one.call <= end
            ],
            [one for one in self.dequeues if one.ret <= end],
            [one for one in self.empties if one.ret <= end],
            open_dequeues,
        )


def rows_of(operations: Sequence[Operation], model: Model) -> Rows | str:
    """Make the rows of one queue's operations, or say why this check does not apply to them."""
    if model.step is not containers.step_queue:
        return f"model {model.name} is no queue"
    if model.init != ():
        return "the queue is not empty at the start"
    enqueues: list[Enqueue] = []
    dequeues: list[Dequeue] = []
    empties: list[Interval] = []
    crashed: list[Interval] = []
    values = set()
    for operation in operations:
        call, ret = operation.call, operation.ret
        if operation.f == "enqueue" and operation.type != "fail":
            if operation.value in values:
                return "a value is enqueued twice"
            values.add(operation.value)
            enqueues.append(Enqueue(call, ret, operation.value))
        elif operation.f != "dequeue":
            return f"{operation.f} ({operation.type}) is neither an enqueue nor a dequeue"
        elif operation.type == "ok":
            dequeues.append(Dequeue(call, ret, operation.result))
        else:
            (crashed if ret == INF else empties).append(Interval(call, ret))
    return Rows(enqueues, dequeues, empties, crashed)


def _failure(rows: Rows, meter: Meter) -> Bounds | None:
    """Decide rows; where they are not linearizable, say by which event that was certain.

    Raises `Undecided` where it turns on what a crashed dequeue took.
    """
    meter.check(len(rows.enqueues), len(rows.dequeues))
    enqueued = {one.value: one for one in rows.enqueues}
    taken: dict[Hashable, Dequeue] = {}
    bounds: list[int] = []
    for one in sorted(rows.dequeues, key=lambda dequeue: dequeue.ret):
        if one.value not in enqueued or enqueued[one.value].call > one.ret or one.value in taken:
            bounds.append(one.ret)
        taken.setdefault(one.value, one)
    if bounds:
        return _by(min(bounds))
    crashed = sorted(one.call for one in rows.crashed)
    kept = [one for one in rows.enqueues if one.ret < INF and one.value not in taken]
    pairs = [(enqueued[value], one) for value, one in taken.items()]
    bounds.extend(_out_of_order(pairs))
    bounds.extend(_left_behind(kept, pairs, crashed))
    if not bounds and rows.empties:
        bounds.extend(_not_empty(rows, pairs, kept, crashed))
    return _by(_all_answered(min(bounds), rows)) if bounds else None


def _by(event: int) -> Bounds:
    return Bounds(0, event, event)


def _all_answered(bound: int, rows: Rows) -> int:
    """Return when all dequeues called before `bound` had been answered: until then they may have taken anything."""
    return max([bound, *(one.ret for kind in (rows.dequeues, rows.empties) for one in kind if one.call < bound)])


def _out_of_order(pairs: list[tuple[Enqueue, Dequeue]]) -> list[int]:
    """Find values taken before others that were put in before them."""
    by_return = sorted((put.ret, take.call, take.ret) for put, take in pairs)
    found = []
    seen, latest, shown = 0, -INF, -INF  # of those put in so far: the last call of a dequeue, and its return
    for put, take in sorted(pairs, key=lambda pair: pair[0].call):
        while seen < len(by_return) and by_return[seen][0] < put.call:
            if by_return[seen][1] > latest:
                _, latest, shown = by_return[seen]
            seen += 1
        if latest > take.ret:
            found.append(max(take.ret, shown))
    return found


def _left_behind(kept: list[Enqueue], pairs: list[tuple[Enqueue, Dequeue]], crashed: list[int]) -> list[int]:
    """Find values never taken though later ones were: each must have gone to a crashed dequeue before that.

    Crashed dequeues never return, so nothing distinguishes them but their calls: match them in that order.
    """
    later = sorted(((put.call, take.ret) for put, take in pairs), reverse=True)
    deadlines = []
    soonest, seen = INF, 0  # of the values put in later: the first return of a dequeue
    for one in sorted(kept, key=lambda enqueue: enqueue.ret, reverse=True):
        while seen < len(later) and later[seen][0] > one.ret:
            soonest = min(soonest, later[seen][1])
            seen += 1
        if soonest < INF:
            deadlines.append(soonest)
    deadlines.sort()
    for place, deadline in enumerate(deadlines):
        if place >= len(crashed) or crashed[place] > deadline:
            return [deadline]
    return []


def _not_empty(rows: Rows, pairs: list[tuple[Enqueue, Dequeue]], kept: list[Enqueue], crashed: list[int]) -> list[int]:
    """Find dequeues answered with "empty" while some value was certainly in the queue at each instant."""
    sure = [(put.ret, take.call) for put, take in pairs if put.ret < take.call]
    doubtful = [(one.ret, INF) for one in kept]
    surely_full, maybe_full = _union(sure), _union(sure + doubtful)
    put_times = sorted(one.ret for one in kept)
    found = []
    for one in sorted(rows.empties, key=lambda empty: empty.ret):
        if not _covers(maybe_full, one):
            continue
        takers = bisect_left(crashed, one.ret)
        if not _covers(surely_full, one) and 0 < takers >= bisect_left(put_times, one.call):
            raise Undecided("a crashed dequeue may have emptied the queue")
        found.append(max([one.ret, *(take.ret for put, take in pairs if put.ret < one.ret and take.call > one.call)]))
        break
    return found


def _union(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join intervals that overlap; those that follow each other leave an instant between."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _covers(joined: list[tuple[int, int]], interval: Interval) -> bool:
    before = bisect_left(joined, (interval.call, -INF)) - 1
    return before >= 0 and joined[before][1] > interval.ret


QUEUES: Final = FastPath(
    name="queues",
    rows_of=rows_of,
    size=lambda rows: len(rows.enqueues) + len(rows.dequeues) + len(rows.empties) + len(rows.crashed),
    failure=_failure,
    prefix=Rows.prefix,
)
