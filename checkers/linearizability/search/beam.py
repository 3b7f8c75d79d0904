"""A narrow beam over the frontier, fed event by event; it goes back and widens where it must.

The complete frontier (`frontier`) decides exactly, but may be large. So a beam of one configuration goes first. If it
dies, it goes back some way and tries again with a wider one, in geometric steps; shortly after the place of its death
it is narrow again. It is only dead when a frontier that was complete since the beginning has died.

A whole history is kept, so that the beam can go back to its beginning. In a stream no more than `kept` events are, and
the beginning moves on: a complete frontier is worked out for the middle of what is kept, and what came before is
forgotten. Where that costs more than `SETTLE_STEPS`, the beam itself becomes the beginning. From there on its death
proves nothing, because a configuration that it left out may have lived, and `LimitReached` is raised.

Notes: a beam that survives is an order of everything that was fed, whatever was left out on the way.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from checkers.linearizability.result import LimitReached, Limits, Meter
from checkers.operation import Operation

from .encoding import Encoding
from .frontier import Config, FrontierSearch, Pending

STRIDE: Final = 32
"""Events between snapshots to which the beam can go back."""

FIRST_WIDTH: Final = 1
"""Configurations that the first, greedy beam keeps. Measured: on valid histories 1 beats 2 and 4 at any concurrency."""

WIDENING: Final = 4
"""Each time the beam dies it becomes wider by this factor, and goes back twice as far."""

BEYOND: Final = 2 * STRIDE
"""Events beyond the place of its death after which a wide beam is narrow again. What it died of is behind it then; to
stay wide for as long as it went back costs the most where crashed operations can explain nearly anything."""

SETTLE_STEPS = 1_000_000
"""What a complete frontier for the middle of what is kept may cost: some seconds."""

WIDEST = 4_096
"""A beam that dies at this width, after it began with a beam, is not made wider."""


class Event(NamedTuple):
    """A call or a return, of an operation of this class that has this slot (-1 for a crashed one)."""

    kind: int
    slot: int
    operation: Operation
    is_return: bool


class Snapshot(NamedTuple):
    """Where the beam can go back to. `complete`: every configuration there is stands in the frontier."""

    position: int
    frontier: list[Config]
    pending: Pending
    complete: bool


class Beam:
    """One object's beam; `kept` events are kept in a stream, all of them where it is None."""

    def __init__(self, search: FrontierSearch, *, kept: int | None = None) -> None:
        self.search = search
        self.kept = kept
        self.events: list[Event] = []
        self.first = 0  # the position of the first event that is kept
        self.snapshots: list[Snapshot] = []
        self.has_all = True  # whether nothing was forgotten
        self._position = 0  # of the next event to apply
        self._level = 0
        self._safe = -1  # beyond this position the beam may be narrow again
        search.width = FIRST_WIDTH

    def follow(self) -> Operation | None:
        """Follow the events that there are to the end; return the operation at whose return all orders ended."""
        while self._position < self.first + len(self.events):
            position = self._position
            if position % STRIDE == 0:
                self._remember(position)
            if self._level and position > self._safe:
                self._level, self.search.width = 0, FIRST_WIDTH
            event = self.events[position - self.first]
            if apply(self.search, event, position):
                self._position += 1
            elif self.search.complete:
                return event.operation
            else:
                self._widen(position)
        if self.kept is not None:
            self._forget(self.kept)
        return None

    def _widen(self, position: int) -> None:
        """Go back, and go on with a wider beam."""
        begins_complete = self.snapshots[0].complete
        if not begins_complete and self.search.width >= WIDEST:
            raise LimitReached(f"a beam of {self.search.width} configurations died, and it had not begun with all")
        self._level += 1
        back = STRIDE << self._level
        self._safe = max(self._safe, position + BEYOND)
        self._go_back(position - back)
        self.search.width = FIRST_WIDTH * WIDENING**self._level

    def _remember(self, position: int) -> None:
        search = self.search
        if self.snapshots and self.snapshots[-1].position >= position:
            return
        if search.complete:
            self.snapshots.clear()
        self.snapshots.append(Snapshot(position, search.frontier, search.pending.copy(), search.complete))

    def _go_back(self, target: int) -> None:
        """Return to the last snapshot at or before the target, but not further than to a complete one."""
        snapshots = self.snapshots
        while len(snapshots) > 1 and snapshots[-1].position > target and not snapshots[-1].complete:
            snapshots.pop()
        self._position = snapshots[-1].position
        restore(self.search, snapshots[-1])

    # -- a stream ------------------------------------------------------------------------------------------------------

    def _forget(self, kept: int) -> None:
        """Keep no more events than may be kept, and none before the first snapshot."""
        if len(self.events) <= kept:
            return
        middle = self._position - kept // 2
        count = next((n for n, snapshot in enumerate(self.snapshots) if snapshot.position >= middle), 0)
        if count:
            chosen = self._completed(self.snapshots[0], self.snapshots[count])
            self.snapshots[: count + 1] = [chosen]
        unneeded = self.snapshots[0].position - self.first
        del self.events[:unneeded]
        self.first += unneeded
        self.has_all = self.has_all and not unneeded

    def _completed(self, start: Snapshot, there: Snapshot) -> Snapshot:
        """Return the complete frontier at a snapshot, if there is a complete start and it does not cost too much."""
        if there.complete or not start.complete:
            return there
        try:
            search = self.replay(start, there.position, SETTLE_STEPS)
        except LimitReached:
            return there
        return Snapshot(there.position, search.frontier, search.pending, True)

    def replay(self, start: Snapshot, end: int, steps: int) -> FrontierSearch:
        """Follow the events from a snapshot to a position, leaving nothing out."""
        search = self.search.twin(Meter(Limits(steps=steps)))
        restore(search, start)
        for position in range(start.position, end):
            apply(search, self.events[position - self.first], position)
        return search

    def renew(self, fresh: Encoding) -> None:
        """Go over to another encoding, which has what is kept and no more."""
        old = self.search.encoding
        pendings = [self.search.pending, *(snapshot.pending for snapshot in self.snapshots)]
        needed = {event.kind for event in self.events}.union(self.search.places, *(p.kinds() for p in pendings))
        kinds = {kind: fresh.class_of(old.samples[kind]) for kind in sorted(needed)}
        states: dict[int, int] = {}

        def moved(frontier: list[Config]) -> list[Config]:
            for config in frontier:
                if config[0] not in states:
                    states[config[0]] = fresh.intern(old.states[config[0]])
            return [(states[state], *rest) for state, *rest in frontier]

        self.events = [event._replace(kind=kinds[event.kind]) for event in self.events]
        for pending in pendings:
            pending.rename(kinds)
        self.search.frontier = moved(self.search.frontier)
        self.snapshots = [snapshot._replace(frontier=moved(snapshot.frontier)) for snapshot in self.snapshots]
        self.search.places = {kinds[kind]: shift for kind, shift in self.search.places.items()}
        self.search.encoding = fresh


def apply(search: FrontierSearch, event: Event, position: int) -> bool:
    """Apply one event; False if no configuration is left."""
    if event.is_return:
        return search.returned(event.kind, event.slot, event.operation.ret, position)
    search.call(event.kind, event.slot, event.operation.ret, event.operation)
    return True


def restore(search: FrontierSearch, snapshot: Snapshot) -> None:
    """Go to a snapshot."""
    search.frontier = snapshot.frontier
    search.pending = snapshot.pending.copy()
    search.complete = snapshot.complete
