"""The partial order that every sequential explanation of registers with unique values must keep.

Begin with the order of each process, and each write before the reads of its value. For a read r of write w and any
other write v of the same key, v stands before w or after r. So

1. if v must precede r, it must precede w;
2. if w must precede v, r must precede v;

and a read of the initial value precedes all writes. Repeat until nothing changes. If the order has a circle, no
explanation exists. If it has none there may still be none, since rules look at one read at a time.

Notes
-----
Events are numbered process by process, so that the events of a process are consecutive. What precedes and what follows
an event are bit sets; of the v that a rule finds in one process, the last (rule 1) or first (rule 2) stands for the
others. A round costs O(events * events / 64) in machine words; rounds are bounded by `ROUNDS_MAX`, beyond which the
order is merely less than it could be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator
from typing import Any, Final

from checkers.transactions.graph import strong_components

from .registers import NOTHING, Event, Processes

ROUNDS_MAX: Final = 50

PROGRAM: Final = "the process did them in this order"
READ: Final = "the second read what the first wrote"
BETWEEN: Final = "else it would stand between a write and a read of it"
REPLACED: Final = "else the read would come after the value was replaced"
UNWRITTEN: Final = "no operation wrote the value that it read"

Circle = list[tuple[Event, str]]
"""Events, each with why it precedes the next; the last one precedes the first."""


class Saturation:
    """The order, computed at once; `circle` if it is none, else `required`."""

    def __init__(self, processes: Processes, initial: Any) -> None:
        self._events = [event for process in processes for event in process]
        self._blocks: list[tuple[int, int]] = []  # the first event of each process, and how many it has
        for process in processes:
            if process:
                self._blocks.append((sum(self._blocks[-1]) if self._blocks else 0, len(process)))
        self._next: list[dict[int, str]] = [{} for _ in self._events]  # event -> what follows -> why
        self._writes: dict[Hashable, int] = {}  # key -> bit set of its writes
        self._reads: list[tuple[int, int]] = []  # (write or -1, read)
        self._before: list[int] = []
        self._after: list[int] = []
        self.circle: Circle | None = self._start(initial)
        rounds = 0
        while self.circle is None and rounds < ROUNDS_MAX:
            self.circle = self._close()
            if self.circle is not None or not self._apply_rules():
                break
            rounds += 1

    def required(self) -> list[list[tuple[int, ...]]]:
        """Say for each event of each process how many events of each process must precede it."""
        return [
            [
                tuple((self._before[event] >> start & (1 << size) - 1).bit_length() for start, size in self._blocks)
                for event in range(first, first + count)
            ]
            for first, count in self._blocks
        ]

    def _start(self, initial: Any) -> Circle | None:
        for first, count in self._blocks:
            for number in range(first, first + count - 1):
                self._next[number][number + 1] = PROGRAM
        writer: dict[tuple[Hashable, Any], int] = {}
        for number, event in enumerate(self._events):
            if not event.only_reads:
                writer[event.key, event.writes] = number
                self._writes[event.key] = self._writes.get(event.key, 0) | 1 << number
        for number, event in enumerate(self._events):
            if event.needs is NOTHING:
                continue
            source = writer.get((event.key, event.needs), -1)
            if source >= 0:
                self._next[source][number] = READ
            elif event.needs != initial:
                return [(event, UNWRITTEN)]
            self._reads.append((source, number))
        return None

    def _close(self) -> Circle | None:
        """Find a circle, or else compute all that precedes and follows each event."""

        def successors(event: int) -> Iterator[int]:
            return iter(self._next[event])

        size = len(self._events)
        components = strong_components(range(size), successors, size)
        for component in components:
            if len(component) > 1 or component[0] in self._next[component[0]]:
                return self._walk(component)
        self._before, self._after = [0] * size, [0] * size
        for (event,) in reversed(components):
            reached = self._before[event] | 1 << event
            for following in self._next[event]:
                self._before[following] |= reached
        for (event,) in components:
            for following in self._next[event]:
                self._after[event] |= self._after[following] | 1 << following
        return None

    def _apply_rules(self) -> bool:
        """Apply both rules to every read; say whether anything is new."""
        changed = False
        for source, read in self._reads:
            others = self._writes.get(self._events[read].key, 0) & ~(1 << read)
            if source >= 0:
                others &= ~(1 << source)
                for other in self._last_of_each(others & self._before[read] & ~self._before[source]):
                    changed |= self._add(other, source, BETWEEN)
                following = others & self._after[source] & ~self._after[read]
            else:
                following = others & ~self._after[read]
            for other in self._first_of_each(following):
                changed |= self._add(read, other, REPLACED)
        return changed

    def _last_of_each(self, events: int) -> Iterator[int]:
        while events:
            last = events.bit_length() - 1
            yield last
            events &= (1 << self._block_of(last)[0]) - 1

    def _first_of_each(self, events: int) -> Iterator[int]:
        while events:
            first = (events & -events).bit_length() - 1
            yield first
            start, size = self._block_of(first)
            events = events >> start + size << start + size

    def _block_of(self, event: int) -> tuple[int, int]:
        return self._blocks[bisect_right(self._blocks, (event, len(self._events))) - 1]

    def _add(self, first: int, second: int, why: str) -> bool:
        if second in self._next[first]:
            return False
        self._next[first][second] = why
        return True

    def _walk(self, component: list[int]) -> Circle:
        """Return a shortest circle through the component's first event."""
        members, start = frozenset(component), min(component)
        before: dict[int, int] = {}
        queue = [start]
        for event in queue:
            for following in self._next[event]:
                if following == start:
                    path = [event]
                    while path[-1] != start:
                        path.append(before[path[-1]])
                    path.reverse()
                    pairs = zip(path, [*path[1:], start], strict=True)
                    return [(self._events[here], self._next[here][there]) for here, there in pairs]
                if following in members and following not in before:
                    before[following] = event
                    queue.append(following)
        raise AssertionError("a strongly connected component has a way back")
