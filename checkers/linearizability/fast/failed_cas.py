"""Refused cas on registers of unique values: whether each can be given an instant at which the state was another.

`zones` has found the zones of all values and that they do not clash. A refused cas(a, _) with the interval [c, r]
asks for more: at some instant in it the state was not a. Refusals never move the state, so each is a **demand** on the
order and the times at which the state changes, and nothing else.

Most demands are met in every order: a was not yet written at r, or surely overwritten at c, or another value was
surely the state at some instant between. For those that stay open this module walks over the history once more, from
left to right, and keeps the set of possible **configurations**: the current value, when it was entered, and which
blocks have been entered although they were not yet due. Reads need no part in it, since all they say is a window for
each change: value v is entered after its setter's call and not after `due`, and left not before `last`.

A value entered after the call of a demand on it meets that demand. So changes are made as late as possible, and a
change not yet made can still be made. Something happens only at two kinds of events:

* A block is **due**. It is entered, and before it, at the same instant, whatever could not wait: the rest of the block
  now in force, and each block that would become due while this one must stay. Another block is put in front only where
  waiting could hurt, that is if an open demand is on one of its own values; then both ways are followed.
* The interval of an open demand on the current value **closes**, and that value was in force from its begin. One change
  must be made now: to the next value of the block; else to a crashed cas from the current value; else to a block that
  may begin, of the single plain values the one that is due first (they can be exchanged); else to a crashed write that
  was never read, of which only the count matters.

A block is entered once, and each crashed write is used once. Where nothing can be done the configuration dies; when all
have died, the register is not linearizable. Configurations that another one dominates are dropped: one that has used
less, or whose current value no operation will ask about, can do whatever the other can.

Notes: with no open demand this costs O(log n) for each refused cas. The walk costs O(n log n) times the number of
configurations, which is one or two nearly always. An exchange argument stands behind each of the choices left out; the
differential tests against brute force stand behind the arguments.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import Final, NamedTuple, Protocol

from checkers.linearizability.result import LimitReached, Meter
from checkers.operation import INF

CONFIGURATIONS_MAX: Final = 20_000
"""More than this at one instant, and the general engine is as good."""

ANONYMOUS: Final = -1
"""The current value is one of a crashed write that is neither observed nor asked about."""

_CALL, _DUE, _CLOSE, _WILD, _WRITE, _MOVE, _RETIRE = range(7)


class Refusal(NamedTuple):
    """A refused cas: the cluster of the value that it expected, and its interval."""

    cluster: int
    call: int
    ret: int


class Zones(Protocol):
    """What `zones.Clusters` knows. All are by cluster; one with an infinite due may never have been."""

    call: array[int]
    due: array[int]
    last: array[int]
    source: list[int]
    successor: list[int]
    block: list[int]
    tail: list[int]
    starts: array[int]
    ends: array[int]
    roots: list[int]


def first_failure(zones: Zones, refused: Iterable[tuple[int, int, int]], meter: Meter) -> int | None:
    """Return the first event (by index) at which no configuration is left; None if all refusals can be placed.

    `refused` are (cluster of the value that was expected, call, return). The walk knows what operations will answer
    later, so the event is about where the violation became certain, and no bound of it.
    """
    windows = _Windows(zones)
    demands = windows.open_demands(refused)
    return _Walk(windows, demands, meter).run() if demands else None


class _Windows:
    """When each value can have been entered and left, with what the order inside its block adds."""

    def __init__(self, zones: Zones) -> None:
        self.zones = zones
        self.due = list(zones.due)
        self.begin = list(zones.call)  # not entered before
        self.until = list(zones.last)  # not left before
        self.position = [0] * len(self.due)
        for root in zones.roots:
            if zones.successor[root] >= 0:
                self._narrow(root)
        self._rank()

    def _narrow(self, root: int) -> None:
        zones, due, until, begin = self.zones, self.due, self.until, self.begin
        chain = [root]
        while (following := zones.successor[chain[-1]]) >= 0:
            chain.append(following)
        for position, (before, cluster) in enumerate(pairwise(chain), 1):
            self.position[cluster] = position
            until[before] = max(until[before], begin[cluster])
            begin[cluster] = until[before]
            until[cluster] = max(until[cluster], until[before])
        for before, cluster in zip(reversed(chain[:-1]), reversed(chain)):
            due[before] = min(due[before], due[cluster])

    def _rank(self) -> None:
        """Find for each moment the blocks begun before it that end last, and those there after it that begin first."""
        starts, ends = self.zones.starts, self.zones.ends
        by_start = sorted(self.zones.roots, key=starts.__getitem__)
        by_end = sorted(self.zones.roots, key=ends.__getitem__, reverse=True)
        self.start_times = [starts[root] for root in by_start]
        self.end_times = [-ends[root] for root in by_end]
        self.ending_last = _leaders(by_start, ends)
        self.starting_first = _leaders(by_end, [-start for start in starts])

    def open_demands(self, refused: Iterable[tuple[int, int, int]]) -> list[Refusal]:
        """List the refusals that not every order meets: their value can have been in force from call to return."""
        starts, ends, blocks, successor = self.zones.starts, self.zones.ends, self.zones.block, self.zones.successor
        begin, due = self.begin, self.due
        start_times, end_times = self.start_times, self.end_times
        last, next_to_last = self.ending_last
        first, next_to_first = self.starting_first
        found = []
        for wanted, call, ret in refused:
            if begin[wanted] > call:
                continue
            following = successor[wanted]
            if following >= 0 and due[following] < ret:
                continue
            block = blocks[wanted]
            # Does some block surely come after this one, and surely begin before the return?
            place = bisect_left(start_times, ret)
            other = last[place] if last[place] != block else next_to_last[place]
            if other >= 0 and starts[block] < ends[other]:
                continue
            # Does some block surely come before this one, and is it surely there after the call?
            place = bisect_left(end_times, -call)
            other = first[place] if first[place] != block else next_to_first[place]
            if other >= 0 and starts[other] < ends[block]:
                continue
            found.append(Refusal(wanted, call, ret))
        return found


def _leaders(roots: list[int], rank: Sequence[int]) -> tuple[list[int], list[int]]:
    """List, for each beginning of `roots`, the root of highest rank in it, and that of second rank (-1: none)."""
    best = second = -1
    firsts, seconds = [best], [second]
    for root in roots:
        if best < 0 or rank[root] > rank[best]:
            best, second = root, best
        elif second < 0 or rank[root] > rank[second]:
            second = root
        firsts.append(best)
        seconds.append(second)
    return firsts, seconds


class _Configuration(NamedTuple):
    """Where one order of the changes stands."""

    current: int  # cluster, or ANONYMOUS
    entered: int  # index of the event just before which it was entered
    early: frozenset[int]  # roots entered although not yet due, and crashed writes with a number that were used
    wild: int  # how many crashed writes without a number were used


class _Walk:
    """One walk over the events, with all configurations."""

    def __init__(self, windows: _Windows, demands: list[Refusal], meter: Meter) -> None:
        zones = windows.zones
        self.zones = zones
        self.windows = windows
        self.meter = meter
        self.demands = demands
        # A demand on a value that is entered later than its call is met. So a value and a block are of concern until
        # the last call of a demand on them, and like any other from then on.
        self.concern = [-INF] * len(zones.call)
        self.block_concern = self.concern.copy()
        for cluster, call, _ in demands:
            self.concern[cluster] = max(call, self.concern[cluster])
            block = zones.block[cluster]
            self.block_concern[block] = max(call, self.block_concern[block])
        self.live: dict[int, None] = {}  # roots called and not yet due, in the order of their calls
        self.wild = 0  # crashed writes called so far that are of no concern: only their count matters
        self.writes: dict[int, None] = {}  # crashed writes called so far that are of concern
        self.moves: dict[int, list[int]] = {}  # current value -> crashed cas from it, called so far
        self.steps = 0
        self.next_check = 0

    def run(self) -> int | None:
        configurations = [_Configuration(0, -INF, frozenset(), 0)]
        for time, kind, _, number in self._events():
            if kind == _CALL:
                self.live[number] = None
                continue
            if kind == _DUE:
                found = self._at_due(configurations, time, number)
            elif kind == _CLOSE:
                found = self._at_close(configurations, time, self.demands[number])
            elif kind == _RETIRE:
                found = self._retire(configurations, number)
            else:
                self._offer(kind, number)
                continue
            self._count(len(found))
            if not found:
                return time
            configurations = found if len(found) == 1 else self._prune(found, time)
        return None

    def _events(self) -> list[tuple[int, int, int, int]]:
        """List (index, kind, place in the block, number) of everything that matters, in order."""
        zones, due, position = self.zones, self.windows.due, self.windows.position
        events = [(zones.call[root], _CALL, 0, root) for root in zones.roots if root > 0]
        for cluster, when in enumerate(due):
            if -INF < when < INF:
                events.append((when, _DUE, position[cluster], cluster))
            elif when == INF:
                events.extend(self._plan_crashed(cluster))
        events.extend((demand.ret, _CLOSE, 0, number) for number, demand in enumerate(self.demands))
        events.sort()
        return events

    def _plan_crashed(self, cluster: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield when a crashed operation that was not observed can be made use of, if it ever can."""
        zones, source, concern = self.zones, self.zones.source[cluster], self.concern[cluster]
        call = zones.call[cluster]
        if source >= 0:
            if self.concern[source] > -INF and zones.successor[source] < 0:
                yield call, _MOVE, 0, cluster
        elif source == -1:
            yield call, _WRITE if concern > call else _WILD, 0, cluster
            if concern > call:
                yield concern, _RETIRE, 0, cluster

    def _offer(self, kind: int, cluster: int) -> None:
        if kind == _WILD:
            self.wild += 1
        elif kind == _WRITE:
            self.writes[cluster] = None
        else:
            self.moves.setdefault(self.zones.source[cluster], []).append(cluster)

    def _retire(self, configurations: list[_Configuration], write: int) -> list[_Configuration]:
        """A crashed write is of no concern any more: count it with the others."""
        del self.writes[write]
        self.wild += 1
        return [
            configuration._replace(early=configuration.early - {write}, wild=configuration.wild + 1)
            if write in configuration.early
            else configuration
            for configuration in configurations
        ]

    def _count(self, size: int) -> None:
        self.steps += size
        if size > CONFIGURATIONS_MAX:
            raise LimitReached(f"more than {CONFIGURATIONS_MAX} configurations of refused cas at one instant")
        if self.steps >= self.next_check:
            self.next_check = self.steps + self.meter.interval
            self.meter.check(self.steps, size)

    def _at_due(self, configurations: list[_Configuration], time: int, cluster: int) -> list[_Configuration]:
        root = self.zones.block[cluster]
        found: list[_Configuration] = []
        if cluster == root:
            del self.live[root]
            for configuration in configurations:
                if root in configuration.early:
                    found.append(configuration._replace(early=configuration.early - {root}))
                else:
                    found.extend(self._enter(configuration, time, root))
            return found
        for configuration in configurations:
            current = configuration.current
            if current >= 0 and self.zones.block[current] == root and self._is_before(current, cluster):
                if not self._can_run(current, cluster, time):
                    continue
                configuration = configuration._replace(current=cluster, entered=time)
            found.append(configuration)
        return found

    def _is_before(self, one: int, other: int) -> bool:
        return self.windows.position[one] < self.windows.position[other]

    def _can_run(self, current: int, goal: int, time: int) -> bool:
        """Whether the block in force can go on from `current` to `goal` at this instant."""
        zones = self.zones
        while current != goal:
            if zones.last[current] > time:
                return False
            current = zones.successor[current]
            if zones.call[current] > time:
                return False
        return True

    def _enter(self, configuration: _Configuration, time: int, root: int) -> Iterator[_Configuration]:
        """Enter a block that is due, with what must come before it and what may."""
        zones, dues = self.zones, self.windows.due
        current, _, early, wild = configuration
        if current >= 0:
            tail = zones.tail[zones.block[current]]
            if not self._can_run(current, tail, time) or zones.last[tail] > time:
                return
        end = zones.ends[root]
        optional = []
        for other in self.live:
            if other in early:
                continue
            if dues[other] < end:
                if zones.ends[other] > time:
                    return
                early |= {other}
            elif self.block_concern[other] > time and zones.ends[other] < time:
                optional.append(other)
        for size in range(len(optional) + 1):
            for chosen in combinations(optional, size):
                yield _Configuration(root, time, early.union(chosen), wild)

    def _at_close(self, configurations: list[_Configuration], time: int, demand: Refusal) -> list[_Configuration]:
        found = []
        for configuration in configurations:
            if configuration.current != demand.cluster or configuration.entered > demand.call:
                found.append(configuration)
            elif self.zones.last[configuration.current] < time:
                found.extend(self._changed(configuration, time))
        return found

    def _changed(self, configuration: _Configuration, time: int) -> Iterator[_Configuration]:
        """Make one change, to any value that may follow."""
        zones = self.zones
        current, _, early, wild = configuration
        following = zones.successor[current]
        if following >= 0:
            if zones.call[following] < time:
                yield _Configuration(following, time, early, wild)
            return
        moves = self.moves.get(current, ())
        for move in moves:
            if self.concern[move] < time:
                # Free: its value is not asked for, and no other value can make use of it.
                yield _Configuration(ANONYMOUS, time, early, wild)
                return
        for move in moves:
            yield _Configuration(move, time, early, wild)
        for write in self.writes:
            if write not in early:
                yield _Configuration(write, time, early | {write}, wild)
        roots, is_spare = self._beginnings(early, time)
        for root in roots:
            yield _Configuration(root, time, early | {root}, wild)
        if not is_spare and wild < self.wild:
            yield _Configuration(ANONYMOUS, time, early, wild + 1)

    def _beginnings(self, early: frozenset[int], time: int) -> tuple[list[int], bool]:
        """List the blocks that may begin now, and whether a plain single value is among them (the one due first)."""
        zones, dues = self.zones, self.windows.due
        waiting = [root for root in self.live if root not in early]
        if not waiting:
            return [], False
        found, plain = [], -1
        for root in waiting:
            if zones.tail[root] == root and self.concern[root] < time and zones.last[root] < time:
                if plain < 0 or dues[root] < dues[plain]:
                    plain = root
            elif self._is_next(root, waiting):
                found.append(root)
        if plain >= 0:
            found.append(plain)
        return found, plain >= 0

    def _is_next(self, root: int, waiting: list[int]) -> bool:
        """Whether no waiting block would become due while this one must stay."""
        end, dues = self.zones.ends[root], self.windows.due
        return all(other == root or dues[other] > end for other in waiting)

    def _prune(self, configurations: list[_Configuration], time: int) -> list[_Configuration]:
        """Drop each configuration that another one dominates, which can do whatever it can."""
        best: dict[tuple[int, int, frozenset[int], frozenset[int]], int] = {}
        for configuration in configurations:
            current, entered, early, wild = configuration
            if self._is_anonymous(current, entered, time):
                current, entered = ANONYMOUS, time
            concern = frozenset(root for root in early if self.block_concern[root] > time)
            key = (current, wild, concern, early)
            if best.get(key, -INF - 1) < entered:
                best[key] = entered
        if len(best) == 1:
            return [_Configuration(key[0], entered, key[3], key[1]) for key, entered in best.items()]
        kept: list[tuple[_Configuration, frozenset[int]]] = []
        # Whatever dominates a configuration comes before it in this order.
        order = sorted(best.items(), key=lambda item: (len(item[0][3]), item[0][1], item[0][0] != ANONYMOUS, -item[1]))
        for (current, wild, concern, early), entered in order:
            if not any(
                other.wild <= wild
                and concern == other_concern
                and (other.current == ANONYMOUS or (other.current == current and other.entered >= entered))
                and other.early <= early
                for other, other_concern in kept
            ):
                kept.append((_Configuration(current, entered, early, wild), concern))
        return [configuration for configuration, _ in kept]

    def _is_anonymous(self, current: int, entered: int, time: int) -> bool:
        """Whether nothing depends on which value this is: it may be left, and no demand on it can be missed."""
        if current < 0:
            return True
        zones = self.zones
        return zones.successor[current] < 0 and zones.last[current] < time and self.concern[current] < entered
