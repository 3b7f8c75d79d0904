"""Sequential consistency of registers (Lamport 1979): one order of all operations that keeps each process's own order.

Unlike linearizability it does not ask for the order of time between processes, and unlike linearizability it is not
local: registers that are sequentially consistent one by one may not be so together. So all keys are judged at once. A
process that crashed goes on under another number, which is a new process here as well.

How it decides
--------------
The problem is NP-complete even when it is known which write each read saw (Gibbons and Korach, SIAM J. Comput. 1997).
There are three stages.

1. A short *search* for an order, depth first. Reads that can go next go at once, since they change nothing; the choice
   is only which write goes next, and the one that completed first is tried first, because most histories are nearly
   linearizable. Where values are unique, a write waits until all reads of the value that it replaces are done. What was
   tried from a state (how far each process is, and the value of each key) is not tried again.
2. *Saturation*, if values are unique and the history is not long. Start with the order of each process and write ->
   read. For a read r of write w and any other write v of the same key: if v must precede r, it must precede w; if w
   must precede v, r must precede v. Repeat until nothing changes. A circle is a violation, and a short one is its
   explanation. This is polynomial, and finds nearly all violations.
3. The search again, up to `state_limit` states. Exhausted without an order: violation. Beyond the limit: `unknown`.

Operations: `write` v, `read` -> v, `cas` [old, new] (a refused one says that the value was not old). A write of unknown
outcome that nobody read is left out: nothing needs it, and it may never have happened. With a refused cas on its key it
is kept, as a write that may go at any time or never.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from checkers.history import INF, History, MalformedHistory, Operation, show
from checkers.models import named
from checkers.transactions.graph import strong_components
from checkers.verdict import Anomaly, Verdict

CHECKER: Final = "sequential"

STATE_LIMIT: Final = 200_000

SHORT_SEARCH: Final = 2
"""States for each operation that the first search may visit: an order that needs no luck takes one."""

SATURATED_MAX: Final = 4_000
"""Operations up to which saturation is tried; its cost is cubic."""

_NOTHING: Final = object()


class Event(NamedTuple):
    """What one operation reads (must be, must not be) and writes."""

    operation: Operation
    key: Hashable
    needs: Any  # the value that must be there, or `_NOTHING`
    refuses: Any  # the value that must not be there, or `_NOTHING`
    writes: Any  # the value that is there afterwards, or `_NOTHING`
    optional: bool  # it may never have happened

    @property
    def only_reads(self) -> bool:
        return self.writes is _NOTHING


def check(history: History, *, initial: Any = None, state_limit: int = STATE_LIMIT) -> Verdict:
    """Decide whether a history of registers is sequentially consistent."""
    begin = time.perf_counter()
    processes = _processes(history, initial)
    size = sum(map(len, processes))
    unique = _values_are_unique(processes, initial)
    search = _Search(processes, initial, unique=unique)
    found = search.run(min(state_limit, SHORT_SEARCH * (size + 1)))
    circle = None
    if not found and unique and size <= SATURATED_MAX:
        circle = _Saturation(processes, initial).circle()
    if found is None and circle is None:
        found = search.run(state_limit)
    reason = ""
    anomalies: tuple[Anomaly, ...] = ()
    if circle is not None:
        anomalies = (_circle_anomaly(circle),)
    elif found is None:
        reason = f"no order found within {state_limit} states; {search.deepest} of {size} operations placed"
    elif not found:
        anomalies = (_stuck_anomaly(search),)
    return Verdict(
        validity="invalid" if anomalies else "unknown" if reason else "valid",
        checker=CHECKER,
        engine="search" if circle is None else "saturation",
        model="register",
        ops=size,
        anomalies=anomalies,
        reason=reason,
        steps=size + search.states,
        seconds=time.perf_counter() - begin,
    )


def _processes(history: History, initial: Any) -> list[list[Event]]:
    """Split into processes, without what nothing needs; what was seen of a crashed operation makes it certain."""
    events = [event for operation in history.operations() if (event := _event(operation, history)) is not None]
    watched = {event.key for event in events if event.refuses is not _NOTHING}
    wanted = {(event.key, event.needs) for event in events if event.needs is not _NOTHING}
    written = Counter((event.key, event.writes) for event in events if not event.only_reads)
    while True:
        seen = {(event.key, event.needs) for event in events if event.needs is not _NOTHING and not event.optional}
        certain = [
            event._replace(optional=False)
            if event.optional
            and event.writes != initial
            and written[value := (event.key, event.writes)] == 1
            and value in seen
            else event
            for event in events
        ]
        if certain == events:
            break
        events = certain
    processes: dict[int, list[Event]] = {}
    for event in events:
        if not event.optional or event.key in watched or (event.key, event.writes) in wanted:
            processes.setdefault(event.operation.process, []).append(event)
    return list(processes.values())


def _event(operation: Operation, history: History) -> Event | None:
    key, crashed = operation.key, operation.is_crashed
    match operation.f:
        case "read":
            if crashed:
                return None
            return Event(operation, key, operation.result, _NOTHING, _NOTHING, False)
        case "write":
            return Event(operation, key, _NOTHING, _NOTHING, operation.value, crashed)
        case "cas":
            old, new = operation.value
            if operation.is_negative:
                return Event(operation, key, _NOTHING, old, _NOTHING, False)
            return Event(operation, key, old, _NOTHING, new, crashed)
        case other:
            raise MalformedHistory(other, "read, write or cas", history.where_index(operation.call))


def _values_are_unique(processes: Sequence[Sequence[Event]], initial: Any) -> bool:
    """Say whether each read saw one certain write, so that who read from whom is known."""
    seen: set[tuple[Hashable, Any]] = set()
    for process in processes:
        for event in process:
            if event.optional or event.refuses is not _NOTHING:
                return False
            if not event.only_reads:
                value = (event.key, event.writes)
                if value in seen or event.writes == initial:
                    return False
                seen.add(value)
    return True


class _Saturation:
    """The partial order that must hold: edges between positions in one list of all events."""

    def __init__(self, processes: Sequence[Sequence[Event]], initial: Any) -> None:
        self.events = [event for process in processes for event in process]
        self.before = [0] * len(self.events)  # all that must precede, transitively, as a bit set
        self.direct: list[dict[int, str]] = [{} for _ in self.events]  # successor -> why
        self.unwritten: list[int] = []
        self._start(processes)
        self._read_from(initial)

    def _start(self, processes: Sequence[Sequence[Event]]) -> None:
        position = 0
        for process in processes:
            for number in range(len(process)):
                if number:
                    self.direct[position - 1][position] = "the process did them in this order"
                position += 1

    def _read_from(self, initial: Any) -> None:
        self.writes: dict[Hashable, list[int]] = {}
        writer: dict[tuple[Hashable, Any], int] = {}
        for position, event in enumerate(self.events):
            if not event.only_reads:
                writer[event.key, event.writes] = position
                self.writes.setdefault(event.key, []).append(position)
        self.reads: list[tuple[int, int]] = []  # (write or -1, read)
        for position, event in enumerate(self.events):
            if event.needs is _NOTHING:
                continue
            source = writer.get((event.key, event.needs), -1)
            if source < 0 and event.needs != initial:
                self.unwritten.append(position)
            if source >= 0:
                self.direct[source][position] = "the second read what the first wrote"
            self.reads.append((source, position))

    def circle(self) -> list[tuple[Event, str]] | None:
        """Saturate; return a circle as (event, why it precedes the next), if there is one."""
        if self.unwritten:
            return [(self.events[self.unwritten[0]], "nobody wrote the value that it read")]
        while True:
            component = self._component()
            if component is not None:
                return self._walk(component)
            if not self._step():
                return None

    def _component(self) -> list[int] | None:
        """Find a strongly connected component, or else compute all that precedes each event."""

        def successors(position: int) -> Iterator[int]:
            return iter(self.direct[position])

        components = strong_components(range(len(self.events)), successors, len(self.events))
        for component in components:
            if len(component) > 1 or component[0] in self.direct[component[0]]:
                return component
        self.before = [0] * len(self.events)
        for (position,) in reversed(components):
            reached = self.before[position] | 1 << position
            for after in self.direct[position]:
                self.before[after] |= reached
        return None

    def _step(self) -> bool:
        """Apply both rules once to every read and write of a key; say whether anything is new."""
        changed = False
        for source, read in self.reads:
            before_read = self.before[read]
            before_source = self.before[source] if source >= 0 else 0
            for other in self.writes.get(self.events[read].key, ()):
                if other in (source, read):
                    continue
                if source >= 0 and before_read >> other & 1 and not before_source >> other & 1:
                    self._add(other, source, "else it would stand between a write and a read of it")
                    changed = True
                before_other = self.before[other]
                if (source < 0 or before_other >> source & 1) and not before_other >> read & 1:
                    self._add(read, other, "else the read would come after the value was replaced")
                    changed = True
        return changed

    def _add(self, first: int, second: int, why: str) -> None:
        self.direct[first].setdefault(second, why)

    def _walk(self, component: list[int]) -> list[tuple[Event, str]]:
        """Return a shortest circle through the component's first event."""
        members, start = frozenset(component), min(component)
        before: dict[int, int] = {}
        queue = [start]
        for position in queue:
            for after in self.direct[position]:
                if after == start:
                    path = [position]
                    while path[-1] != start:
                        path.append(before[path[-1]])
                    path.reverse()
                    following = [*path[1:], start]
                    return [
                        (self.events[here], self.direct[here][there])
                        for here, there in zip(path, following, strict=True)
                    ]
                if after in members and after not in before:
                    before[after] = position
                    queue.append(after)
        raise AssertionError("a strongly connected component has a way back")


class _Search:
    """Depth-first search for an order, with an explicit stack."""

    def __init__(self, processes: Sequence[Sequence[Event]], initial: Any, *, unique: bool) -> None:
        self.processes = processes
        self.initial = initial
        self.unique = unique
        self.states = 0
        self.deepest = -1
        self.stuck: tuple[int, ...] = ()  # how far each process got where the search got furthest
        self.total = sum(map(len, processes))
        self.readers: dict[tuple[Hashable, Any], list[tuple[int, int]]] = {}  # value -> (process, position)
        for number, process in enumerate(processes):
            for position, event in enumerate(process):
                if event.needs is not _NOTHING:
                    self.readers.setdefault((event.key, event.needs), []).append((number, position))

    def run(self, limit: int) -> bool | None:
        """Return whether there is an order; None if more than `limit` states were met first."""
        stack = [(tuple([0] * len(self.processes)), dict[Hashable, Any]())]
        seen: set[tuple[tuple[int, ...], frozenset[tuple[Hashable, Any]]]] = set()
        while stack:
            positions, values = self._read_on(*stack.pop())
            placed = sum(positions)
            if placed > self.deepest:
                self.deepest, self.stuck = placed, positions
            if placed == self.total:
                return True
            state = (positions, frozenset(values.items()))
            if state in seen:
                continue
            if len(seen) >= limit:
                return None
            seen.add(state)
            self.states += 1
            stack += self._writes(positions, values)
        return False

    def _read_on(
        self, positions: tuple[int, ...], values: dict[Hashable, Any]
    ) -> tuple[tuple[int, ...], dict[Hashable, Any]]:
        """Place every read that can go next, again and again: it costs nothing and only helps."""
        reached = list(positions)
        for number, process in enumerate(self.processes):
            while reached[number] < len(process):
                event = process[reached[number]]
                if not event.only_reads or not self._fits(event, values):
                    break
                reached[number] += 1
        return tuple(reached), values

    def _fits(self, event: Event, values: dict[Hashable, Any]) -> bool:
        value = values.get(event.key, self.initial)
        if event.refuses is not _NOTHING:
            return bool(value != event.refuses)
        return event.needs is _NOTHING or bool(value == event.needs)

    def _writes(
        self, positions: tuple[int, ...], values: dict[Hashable, Any]
    ) -> list[tuple[tuple[int, ...], dict[Hashable, Any]]]:
        """List what the next write can be; the one that completed first comes last, on top of the stack."""
        choices = []
        for number, process in enumerate(self.processes):
            if positions[number] == len(process):
                continue
            event = process[positions[number]]
            if event.only_reads:
                continue
            following = (*positions[:number], positions[number] + 1, *positions[number + 1 :])
            if event.optional:
                choices.append((INF, number, following, values))
            if self._fits(event, values) and not (self.unique and self._is_awaited(event, number, positions, values)):
                choices.append((event.operation.ret, number, following, {**values, event.key: event.writes}))
        choices.sort(key=lambda choice: choice[:2], reverse=True)
        return [(following, after) for _, _, following, after in choices]

    def _is_awaited(self, event: Event, process: int, positions: tuple[int, ...], values: dict[Hashable, Any]) -> bool:
        """Say whether somebody else has still to read the value that this write would replace."""
        present = (event.key, values.get(event.key, self.initial))
        return any(
            position >= positions[number] and (number, position) != (process, positions[process])
            for number, position in self.readers.get(present, ())
        )


def _say(event: Event) -> str:
    operation = event.operation
    key = "" if operation.key is None else f" of {show(operation.key)}"
    return f"line {operation.call}: process {operation.process}, {named('cas-register').describe(operation)}{key}"


def _circle_anomaly(circle: list[tuple[Event, str]]) -> Anomaly:
    if len(circle) == 1:
        message = f"{_say(circle[0][0])}: {circle[0][1]}"
    else:
        said = [f"({_say(event)}) must precede the next, as {why}" for event, why in circle]
        message = "no order keeps what each process did: " + "; ".join(said) + "; and so round again"
    return Anomaly(
        checker=CHECKER,
        kind="not-sequential",
        detail="read" if len(circle) == 1 else "circle",
        index=max(
            event.operation.ret if not event.operation.is_crashed else event.operation.call for event, _ in circle
        ),
        message=message,
        evidence={"circle": [{"call": event.operation.call, "why": why} for event, why in circle]},
    )


def _stuck_anomaly(search: _Search) -> Anomaly:
    blocked = [
        process[position]
        for process, position in zip(search.processes, search.stuck, strict=True)
        if position < len(process)
    ]
    said = "; ".join(_say(event) for event in blocked)
    return Anomaly(
        checker=CHECKER,
        kind="not-sequential",
        detail="search",
        index=max(event.operation.call for event in blocked),
        message=f"every order gets stuck; the longest places {search.deepest} operations and then cannot place {said}",
        evidence={"placed": search.deepest, "blocked": [event.operation.call for event in blocked]},
    )
