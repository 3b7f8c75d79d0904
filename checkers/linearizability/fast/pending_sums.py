"""Which multisets of pending blind adds bring a counter from one value to another.

Of one delta, the adds that return first are taken first, and crashed ones last: they cannot be told apart, and so that
choice is never worse. Of the multisets with a given sum only the minimal ones matter, those that contain no other one;
but all of them do.

**With small deltas** there are few: add a positive delta while the sum is too small and a negative one while it is too
large, and leave out what contains a part that sums to nothing.

**With large distinct deltas** there is hardly ever more than one, and finding it is subset sum. For each set of live
adds, what is missing is looked up among the sums of sets of crashed ones. While all goes well, only sets of one are
tried, and then of two; where the walk is stuck, all of them are, from a table. Past `TABLE_CRASHED_MAX` crashed adds
that may still take effect, only sets of few are in it, and `was_partial` says so.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations, product
from typing import Final

from checkers.linearizability.result import LimitReached
from checkers.operation import INF

SMALL_DELTA_MAX: Final = 16
"""Up to this size of all deltas, minimal multisets are enumerated by walking; beyond it, by subset sums."""

WALKS_KEPT: Final = 50_000
"""How many answers are remembered of what minimal multisets there are."""

LIVE_SETS_MAX: Final = 1 << 16
"""How many sets of live adds are tried for one sum, at most."""

TABLE_CRASHED_MAX: Final = 14
"""The table of sums of crashed adds has two to this power of entries, at most."""

FEW_CRASHED: Final = 2
"""With more crashed adds than that, the table has the sets with up to this many of them."""

THOROUGH_EFFORT: Final = 3
"""From this effort on, all sets of crashed adds are looked at: before, single ones, and then pairs."""

Adds = tuple[tuple[int, int], ...]
"""Blind adds as (delta, return) pairs, the latest return of each delta first; INF for crashed ones."""

Counts = tuple[tuple[int, int], ...]
"""A multiset of deltas as (delta, count) pairs."""


class Pending:
    """The blind adds that have been called and have not returned, and which multisets of them have a given sum.

    That an add is pending is the same for all configurations; whether it is ahead is not.
    """

    def __init__(self, largest: int) -> None:
        self.largest = largest  # of all deltas, the greatest size
        self.are_small = largest <= SMALL_DELTA_MAX
        self.live: dict[int, list[int]] = {}  # delta -> returns of live adds, the earliest first
        self.crashed: dict[int, int] = {}  # delta -> how many crashed adds may still take effect
        self.was_partial = False  # an answer may have missed something
        self.walks: dict[tuple[int, Counts], Sequence[Counts]] = {}  # (sum, spare) -> minimal multisets
        self.memo: dict[tuple[int, Adds], list[Adds]] = {}  # what `ways` answered since the last change
        self.table: _Table | None = None  # sums of sets of crashed adds
        self.effort = 0  # how many crashed adds are looked at together; all, from THOROUGH_EFFORT on
        self.has_missed = False  # an answer of little effort may have missed something
        self.low = self.high = 0  # the sums of all negative and of all positive ones

    def set_effort(self, effort: int) -> None:
        """From now on, look at larger sets of crashed adds, or be content with smaller ones."""
        self.effort = effort
        self.memo.clear()
        self.table = None
        self.has_missed = False

    def live_copy(self) -> dict[int, list[int]]:
        """Copy what may be restored later."""
        return {delta: returns.copy() for delta, returns in self.live.items()}

    def restore(self, live: dict[int, list[int]], crashed: dict[int, int]) -> None:
        """Go back to other pending adds."""
        self.live = {delta: returns.copy() for delta, returns in live.items()}
        self.crashed = crashed.copy()
        sums = [delta * len(returns) for delta, returns in live.items()]
        sums += [delta * count for delta, count in crashed.items()]
        self.low, self.high = sum(total for total in sums if total < 0), sum(total for total in sums if total > 0)
        self.memo.clear()
        self.table = None
        self.has_missed = False

    def call(self, delta: int, ret: int) -> None:
        """An add is pending from now on."""
        self._change(delta, delta > 0)
        if ret == INF:
            self.crashed[delta] = self.crashed.get(delta, 0) + 1
            self.table = None
        else:
            insort(self.live.setdefault(delta, []), ret)

    def end(self, delta: int, ret: int) -> None:
        """An add is pending no more."""
        self._change(-delta, delta > 0)
        if ret == INF:
            self.crashed[delta] -= 1
            if not self.crashed[delta]:
                del self.crashed[delta]
            self.table = None
        else:
            self.live[delta].remove(ret)
            if not self.live[delta]:
                del self.live[delta]

    def _change(self, by: int, is_positive: bool) -> None:
        self.memo.clear()
        if is_positive:
            self.high += by
        else:
            self.low += by

    def ways(self, goal: int, ahead: Adds) -> list[Adds]:
        """List what can be ahead after a minimal multiset of pending adds, not yet ahead, whose sum is `goal`."""
        if goal == 0:
            return [ahead]
        if not self.low <= goal <= self.high:
            return []
        key = (goal, ahead)
        found = self.memo.get(key)
        if found is None:
            live, crashed = self._spare(ahead)
            multisets = (self._by_walking if self.are_small else self._by_sums)(goal, live, crashed)
            found = self.memo[key] = [self._place(counts, ahead) for counts in multisets]
        return found

    def _place(self, more: Counts, ahead: Adds) -> Adds:
        """Put this many adds of each class ahead: those that return first."""
        added = list(ahead)
        for delta, count in more:
            waiting = [ret for ret in self.live.get(delta, ()) if (delta, ret) not in ahead][:count]
            added += [(delta, ret) for ret in waiting]
            added += [(delta, INF)] * (count - len(waiting))
        added.sort(key=lambda add: (add[0], -add[1]))
        return tuple(added)

    def _spare(self, ahead: Adds) -> tuple[dict[int, int], dict[int, int]]:
        """Count, by class, the adds that are not ahead: live and crashed."""
        live = {delta: len(returns) for delta, returns in self.live.items()}
        crashed = self.crashed
        if any(ret == INF for _, ret in ahead):
            crashed = crashed.copy()
        for delta, ret in ahead:
            counts = crashed if ret == INF else live
            counts[delta] -= 1
            if not counts[delta]:
                del counts[delta]
        return live, crashed

    def _by_walking(self, goal: int, live: dict[int, int], crashed: dict[int, int]) -> Sequence[Counts]:
        spare = live
        for delta, count in crashed.items():
            spare[delta] = spare.get(delta, 0) + count
        # No minimal multiset is longer than this, so more of a class is as good as this many.
        bound = abs(goal) + 2 * self.largest
        key = (goal, tuple((delta, min(count, bound)) for delta, count in sorted(spare.items())))
        found = self.walks.get(key)
        if found is None:
            if len(self.walks) >= WALKS_KEPT:
                self.walks.clear()
            found = self.walks[key] = _minimal_multisets(*key)
        return found

    def _by_sums(self, goal: int, live: dict[int, int], crashed: dict[int, int]) -> Sequence[Counts]:
        if self.effort >= THOROUGH_EFFORT:
            if self.table is None:
                self.table = _Table(self.crashed)
            self.was_partial |= self.table.is_partial
            return self._combine(goal, live, crashed, self.table.sets)
        self.has_missed |= sum(crashed.values()) > 1
        found = self._combine(goal, live, crashed, partial(_sets_of_one, crashed=crashed))
        if not found and self.effort:
            found = self._combine(goal, live, crashed, partial(_sets_of_two, crashed=crashed))
        return found

    def _combine(
        self,
        goal: int,
        live: dict[int, int],
        crashed: dict[int, int],
        sets: Callable[[int], Iterable[dict[int, int]]],
    ) -> Sequence[Counts]:
        """List the multisets of some live adds and of crashed ones that `sets` has for what is missing."""
        sizes = math.prod(count + 1 for count in live.values())
        if sizes > LIVE_SETS_MAX:
            raise LimitReached(f"{sizes} sets of pending adds at one instant")
        found = []
        for counts in product(*(range(count + 1) for count in live.values())):
            rest = goal - sum(count * delta for count, delta in zip(counts, live))
            for of_crashed in sets(rest):
                if all(count <= crashed.get(delta, 0) for delta, count in of_crashed.items()):
                    total = dict(of_crashed)
                    for delta, count in zip(live, counts):
                        if count:
                            total[delta] = total.get(delta, 0) + count
                    found.append(tuple(sorted(total.items())))
        return _minimal(found)


def _sets_of_one(total: int, *, crashed: dict[int, int]) -> Iterator[dict[int, int]]:
    """Yield the multisets of at most one crashed add with this sum."""
    if total == 0:
        yield {}
    elif total in crashed:
        yield {total: 1}


def _sets_of_two(total: int, *, crashed: dict[int, int]) -> Iterator[dict[int, int]]:
    """Yield the multisets of two crashed adds with this sum."""
    for one, count in crashed.items():
        other = total - one
        if other == one and count > 1:
            yield {one: 2}
        elif other > one and other in crashed:
            yield {one: 1, other: 1}


def _minimal_multisets(goal: int, spare: Counts) -> list[Counts]:
    """List the minimal multisets within `spare` whose sum is `goal`.

    Each can be ordered so that its sums rise while below the goal and fall while above, so walk in that way only. No
    part of a minimal multiset sums to nothing: `sums` has a bit for each sum of a part, to see that.
    """
    deltas = [delta for delta, _ in spare]
    limits = [count for _, count in spare]
    largest = max(map(abs, deltas), default=0)
    zero = (abs(goal) + 2 * largest) * largest  # the bit of the sum 0
    frontier = {(0,) * len(deltas): (0, 1 << zero)}
    found: dict[tuple[int, ...], None] = {}
    while frontier:
        following: dict[tuple[int, ...], tuple[int, int]] = {}
        for counts, (total, sums) in frontier.items():
            for place, delta in enumerate(deltas):
                if (delta > 0) != (total < goal) or counts[place] == limits[place] or sums >> (zero - delta) & 1:
                    continue
                more = (*counts[:place], counts[place] + 1, *counts[place + 1 :])
                if total + delta == goal:
                    found[more] = None
                elif more not in following:
                    moved = sums << delta if delta > 0 else sums >> -delta
                    following[more] = (total + delta, sums | moved)
        frontier = following
    return _minimal([tuple((delta, count) for delta, count in zip(deltas, counts) if count) for counts in found])


def _minimal(multisets: list[Counts]) -> list[Counts]:
    """Keep the multisets that contain no other one."""
    if len(multisets) <= 1:
        return multisets
    kept: list[tuple[Counts, dict[int, int]]] = []
    for one in sorted(dict.fromkeys(multisets), key=lambda one: sum(count for _, count in one)):
        counts = dict(one)
        if not any(all(counts.get(delta, 0) >= count for delta, count in other) for other, _ in kept):
            kept.append((one, counts))
    return [one for one, _ in kept]


class _Table:
    """The sums of sets of crashed adds, and which sets have each of them: all sets, or only those of few."""

    def __init__(self, crashed: dict[int, int]) -> None:
        self.deltas = [delta for delta, count in crashed.items() for _ in range(count)]
        self.is_partial = len(self.deltas) > TABLE_CRASHED_MAX
        self.masks: dict[int, tuple[int, ...]] = {0: (0,)}
        if self.is_partial:
            for size in range(1, FEW_CRASHED + 1):
                for places in combinations(range(len(self.deltas)), size):
                    self._enter(sum(self.deltas[place] for place in places), sum(1 << place for place in places))
            return
        for place, delta in enumerate(self.deltas):
            self._double(place, delta)

    def _double(self, place: int, delta: int) -> None:
        for total, masks in list(self.masks.items()):
            for mask in masks:
                self._enter(total + delta, mask | 1 << place)

    def _enter(self, total: int, mask: int) -> None:
        self.masks[total] = (*self.masks.get(total, ()), mask)

    def sets(self, total: int) -> Iterator[dict[int, int]]:
        """Yield the multisets of crashed adds with this sum."""
        for mask in self.masks.get(total, ()):
            counts: dict[int, int] = {}
            for place, delta in enumerate(self.deltas):
                if mask >> place & 1:
                    counts[delta] = counts.get(delta, 0) + 1
            yield counts
