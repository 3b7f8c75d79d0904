"""Counters with adds of several deltas, of either sign: configurations by class, with dominance.

Pending blind adds of one delta form a **class**. Which of them took effect cannot be seen, so it may as well be the one
that returns first of those called by then; crashed ones come last. A configuration is

* the value;
* `ahead`: the blind adds that took effect and have not returned, as (delta, return) pairs;
* `seen`: the operations with an answer that were placed and have not returned (reads, and adds that answered).

One configuration **dominates** another if it can do whatever the other can: the same answered adds are placed, and the
same or more reads; and in each class, when both lists of returns are sorted with the latest first, the dominating one
is no longer than the other and nowhere later. (It can then place what it lacks at this same moment, those that return
first, and what remains to be placed is due no earlier than with the other.) Only undominated configurations are kept,
so nothing is placed before it must be. Two kinds of events force something, always a return:

* A blind add that is not ahead is placed.
* An operation with an answer is placed: some multiset of pending adds must bring the value to what it needs. Only
  minimal multisets matter (none that contains another one of the same sum), but all of those do.

Before what is forced, other pending operations with answers may be visited, in any order; each visit is forced in the
same way. A read that finds its value is placed at once, whenever that happens.

Which multisets have a given sum is the business of `pending_sums`, and the hard part. Where it cannot try them all,
what it finds is still a proof that the history is linearizable; what it does not find is no proof that it is not, and
then the answer is a limit and no verdict.

Notes: cost is linear in the length, and exponential in the number of operations with answers and of classes that are
pending at one instant. A step is one configuration after one event.

References: G. Lowe, "Testing for linearizability", Concurrency and Computation 29 (2017), section 4, for just-in-time
linearization.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol

from checkers.linearizability.result import LimitReached, Meter
from checkers.operation import INF

from .pending_sums import Adds, Pending

CONFIGURATIONS_MAX: Final = 20_000
"""More than this at one instant, and there is no hope that the next one has fewer."""

EFFORTS: Final = ((3, 0), (20, 24), (60, 96), (300, 192), (1000, 384), (CONFIGURATIONS_MAX, INF))
"""How many configurations are kept, and how many returns the walk goes back for it where the effort before got stuck.

Most returns leave hardly any choice, so few configurations, the cheapest, pass most of the way. What was given up
matters only where the walk gets stuck; the last effort gives up nothing, and starts where nothing had been given up.
"""

STEPS_PER_ROW_MAX: Final = 500
STEPS_MIN: Final = 200_000
"""A walk that takes this many steps, and this many for each operation, is given up, for the general engine to try."""

STRIDE: Final = 12
"""How many returns lie between places that the walk can go back to."""

PLACES_KEPT: Final = 40
"""Of those places, the last ones are kept, and the last one before which nothing had been given up."""

READ: Final = 0
ADD: Final = 1


class Rows(Protocol):
    """What `counters.Columns` holds."""

    calls: Sequence[int]
    returns: Sequence[int]
    kinds: bytes
    deltas: Sequence[int]
    values: Sequence[int]
    initial: int


def walk(rows: Rows, meter: Meter) -> int | None:
    """Walk over the events; return the one (by index) that no configuration gets past, None if all are passed."""
    return _Walk(rows, meter).run()


class _Configuration(NamedTuple):
    """Where one order of the adds stands."""

    value: int
    ahead: Adds
    seen: frozenset[int]  # rows; membership only


class _Place(NamedTuple):
    """A place on the way, to go back to: everything that changes in a walk."""

    position: int  # how many returns lie behind
    called: int  # how many rows have been called
    was_cut: bool  # whether some configuration had been given up
    configurations: list[_Configuration]
    asking: dict[int, None]
    pending: tuple[dict[int, list[int]], dict[int, int]]


class _Walk:
    """One walk over the events, with all configurations."""

    def __init__(self, rows: Rows, meter: Meter) -> None:
        self.rows = rows
        self.meter = meter
        self.in_order = [row for row, ret in enumerate(rows.returns) if ret < INF]
        self.in_order.sort(key=rows.returns.__getitem__)
        self.width = EFFORTS[0][0]
        self.was_cut = False
        self.called = 0
        self.configurations = [_Configuration(rows.initial, (), frozenset())]
        self.pending = Pending(max(map(abs, rows.deltas), default=0))
        self.asking: dict[int, None] = {}  # pending rows with an answer, in the order of their calls
        self.readers: dict[int, list[int]] = {}  # value -> pending reads of it
        self.steps = 0
        self.steps_max = STEPS_MIN + STEPS_PER_ROW_MAX * len(rows.calls)
        self.next_check = 0

    def run(self) -> int | None:
        places: deque[_Place] = deque(maxlen=PLACES_KEPT)
        exact = self._place(0)
        position = effort = stuck = 0
        while position < len(self.in_order):
            if position % STRIDE == 0 and not (places and places[-1].position == position):
                places.append(self._place(position))
                exact = exact if self.was_cut else places[-1]
            if effort and position > stuck + STRIDE:
                effort = 0
                self.width = EFFORTS[0][0]
                self.pending.set_effort(0)
            self._pass(self.in_order[position])
            self.was_cut |= self.pending.has_missed
            if self.configurations:
                position += 1
                continue
            if not self.was_cut:
                return self._give_up(position)
            effort += 1
            stuck = max(stuck, position)
            self.width, back = EFFORTS[effort]
            while len(places) > 1 and places[-1].position > position - back:
                places.pop()
            place = places[-1] if effort < len(EFFORTS) - 1 else exact
            self._go_back(place)
            self.pending.set_effort(effort)
            position = place.position
        return None

    def _give_up(self, position: int) -> int:
        index = self.rows.returns[self.in_order[position]]
        if self.pending.was_partial:
            raise LimitReached(
                f"too many crashed adds to try all their sums; stuck at the completion with index {index}"
            )
        return index

    def _place(self, position: int) -> _Place:
        kept = self.pending.live_copy(), self.pending.crashed.copy()
        return _Place(position, self.called, self.was_cut, self.configurations, self.asking.copy(), kept)

    def _go_back(self, place: _Place) -> None:
        self.called, self.was_cut, self.configurations = place.called, place.was_cut, place.configurations
        self.asking = place.asking.copy()
        self.readers = {}
        for row in self.asking:
            if self.rows.kinds[row] == READ:
                self.readers.setdefault(self.rows.values[row], []).append(row)
        self.pending.restore(*place.pending)

    def _pass(self, row: int) -> None:
        """Pass one return, and the calls before it."""
        rows = self.rows
        now = rows.returns[row]
        while self.called < len(rows.calls) and rows.calls[self.called] < now:
            self.configurations = self._call(self.configurations, self.called)
            self.called += 1
        if rows.kinds[row] == ADD:
            found = self._return_blind(self.configurations, rows.deltas[row], now)
        else:
            found = self._return_answer(self.configurations, row)
        self.configurations = self._forget_crashed(found)

    def _call(self, configurations: list[_Configuration], row: int) -> list[_Configuration]:
        rows = self.rows
        if rows.kinds[row] == ADD:
            self.pending.call(rows.deltas[row], rows.returns[row])
            return configurations
        self.asking[row] = None
        if rows.kinds[row] != READ:
            return configurations
        value = rows.values[row]
        self.readers.setdefault(value, []).append(row)
        return [
            configuration._replace(seen=configuration.seen | {row}) if configuration.value == value else configuration
            for configuration in configurations
        ]

    def _return_blind(self, configurations: list[_Configuration], delta: int, now: int) -> list[_Configuration]:
        this = (delta, now)
        found: list[_Configuration] = []
        for configuration in configurations:
            if this in configuration.ahead:
                found.append(_without(configuration, this))
            else:
                found.extend(self._some(self._place_blind(configuration, this)))
        self.pending.end(delta, now)
        return self._prune(found)

    def _place_blind(self, configuration: _Configuration, this: tuple[int, int]) -> Iterator[_Configuration]:
        for before in self._visits(configuration, -1):
            if this in before.ahead:
                yield _without(before, this)
            else:
                yield self._arrive(before.value + this[0], before.ahead, before.seen)

    def _return_answer(self, configurations: list[_Configuration], row: int) -> list[_Configuration]:
        found: list[_Configuration] = []
        for configuration in configurations:
            if row in configuration.seen:
                found.append(configuration)
            else:
                found.extend(self._some(self._place_answer(configuration, row)))
        del self.asking[row]
        if self.rows.kinds[row] == READ:
            self.readers[self.rows.values[row]].remove(row)
            if not self.readers[self.rows.values[row]]:
                del self.readers[self.rows.values[row]]
        return self._prune([configuration._replace(seen=configuration.seen - {row}) for configuration in found])

    def _place_answer(self, configuration: _Configuration, row: int) -> Iterator[_Configuration]:
        for before in self._visits(configuration, row):
            if row in before.seen:
                yield before
            else:
                yield from self._visit(before, row)

    def _some(self, configurations: Iterator[_Configuration]) -> Iterator[_Configuration]:
        """Let through what comes of one configuration at one event, up to the width."""
        for count, configuration in enumerate(configurations):
            if count == self.width:
                self.was_cut = True
                return
            yield configuration

    def _arrive(self, value: int, ahead: Adds, seen: frozenset[int]) -> _Configuration:
        """Come to a value, where pending reads may be waiting."""
        waiting = self.readers.get(value)
        return _Configuration(value, ahead, seen.union(waiting) if waiting else seen)

    def _visits(self, configuration: _Configuration, goal: int) -> Iterator[_Configuration]:
        """Yield what comes of visits to other pending operations with answers, of no visit first, then by price."""
        known = {configuration}
        cheapest = [(_price(configuration), 0, configuration)]
        while cheapest:
            *_, reached = heappop(cheapest)
            yield reached
            for row in self.asking:
                if row != goal and row not in reached.seen:
                    for after in self._visit(reached, row):
                        if after not in known:
                            known.add(after)
                            heappush(cheapest, (_price(after), len(known), after))
            self._count(1, len(known))

    def _visit(self, configuration: _Configuration, row: int) -> Iterator[_Configuration]:
        """Place one operation with an answer, after the blind adds that it takes."""
        rows = self.rows
        value, ahead, seen = configuration
        answer = rows.values[row]
        if rows.kinds[row] == READ:
            for after in self.pending.ways(answer - value, ahead):
                yield self._arrive(answer, after, seen)
            return
        needs = answer - rows.deltas[row]
        for after in self.pending.ways(needs - value, ahead):
            there = self._arrive(needs, after, seen)
            yield self._arrive(answer, after, there.seen | {row})

    def _count(self, steps: int, size: int) -> None:
        self.steps += steps
        if size > CONFIGURATIONS_MAX:
            raise LimitReached(f"more than {CONFIGURATIONS_MAX} configurations of pending adds at one instant")
        if self.steps > self.steps_max:
            raise LimitReached(f"more than {self.steps_max} steps to tell what pending adds took effect")
        if self.steps >= self.next_check:
            self.next_check = self.steps + self.meter.interval
            self.meter.check(self.steps, size)

    def _prune(self, configurations: list[_Configuration]) -> list[_Configuration]:
        """Drop each configuration that another one dominates, and the dearest ones if there are too many."""
        self._count(len(configurations), len(configurations))
        if len(configurations) <= 1:
            return configurations
        kinds = self.rows.kinds
        kept: list[tuple[_Configuration, frozenset[int]]] = []
        # Whatever dominates a configuration comes before it in this order.
        for configuration in sorted(dict.fromkeys(configurations), key=_price):
            _, ahead, seen = configuration
            adds = frozenset(row for row in seen if kinds[row] != READ)
            if not any(
                adds == other_adds and seen <= other.seen and _is_within(other.ahead, ahead)
                for other, other_adds in kept
            ):
                if len(kept) == self.width:
                    self.was_cut = True
                    break
                kept.append((configuration, adds))
        return [configuration for configuration, _ in kept]

    def _forget_crashed(self, configurations: list[_Configuration]) -> list[_Configuration]:
        """What crashed and took effect in every configuration is over."""
        if len(configurations) != 1:
            return configurations
        common = [add for add in configurations[0].ahead if add[1] == INF]
        if not common:
            return configurations
        for delta, _ in common:
            self.pending.end(delta, INF)
        (only,) = configurations
        return [only._replace(ahead=tuple(add for add in only.ahead if add[1] < INF))]


def _price(configuration: _Configuration) -> tuple[int, int]:
    """What a configuration has used: crashed adds are dear, since no return gives them back."""
    _, ahead, seen = configuration
    return sum(4 if ret == INF else 1 for _, ret in ahead), -len(seen)


def _without(configuration: _Configuration, add: tuple[int, int]) -> _Configuration:
    ahead = configuration.ahead
    place = ahead.index(add)
    return configuration._replace(ahead=ahead[:place] + ahead[place + 1 :])


def _is_within(ahead: Adds, others: Adds) -> bool:
    """Whether in each class `ahead` is no longer than `others` and nowhere later, the latest first."""
    if len(ahead) > len(others):
        return False
    if not ahead or ahead == others:
        return True
    by_delta: dict[int, list[int]] = {}
    for delta, ret in others:
        by_delta.setdefault(delta, []).append(ret)
    place, before = 0, None
    for delta, ret in ahead:
        place = place + 1 if delta == before else 0
        before = delta
        returns = by_delta.get(delta, ())
        if place >= len(returns) or ret > returns[place]:
            return False
    return True
