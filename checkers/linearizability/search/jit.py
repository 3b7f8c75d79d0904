"""The general engine: just-in-time linearization with a beam that widens where it must.

The complete frontier (`frontier`) decides exactly, but may be large. So a narrow beam goes first. If it dies, the
search goes back some way and tries again with a wider one, in geometric steps. `valid` needs any one configuration to
survive; `invalid` is said only when a frontier that was complete since its start died. Before all that, `read_from`
looks for a cheap refutation.

Notes: valid histories take time linear in their length for a given width. The worst case is exponential in the
concurrency and in the number of distinct crashed classes. A step is one move; a state is one configuration held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from checkers.history import INF, Operation
from checkers.linearizability.result import LimitReached, Limits, LinearizabilityResult, Meter
from checkers.models import Model
from checkers.verdict import Validity

from .encoding import EncodedOperations
from .frontier import Config, FrontierSearch, Pending
from .look_ahead import LookAhead
from .read_from import Refutation, find_refutation
from .witness import replay

ENGINE: Final = "jit"

NO_LIMITS: Final = Limits()

STRIDE: Final = 32
"""Events between snapshots to which the search can go back."""

FIRST_WIDTH: Final = 1
"""Configurations that the first, greedy beam keeps. Measured: on valid histories 1 beats 2 and 4 at any concurrency."""

WIDENING: Final = 4
"""Each time the beam dies it becomes wider by this factor, and goes back twice as far."""

BEYOND: Final = 2 * STRIDE
"""Events beyond the place of its death after which a wide beam is narrow again. What it died of is behind it then; to
stay wide for as long as it went back costs the most where crashed operations can explain nearly anything."""


def check_operations(
    operations: Sequence[Operation], model: Model, limits: Limits = NO_LIMITS, *, witness: bool = False
) -> LinearizabilityResult:
    """Decide the operations of one object."""
    beam = _BeamSearch(operations, model, Meter(limits), witness=witness)
    refutation = find_refutation(beam.encoding)
    if refutation is not None:
        return beam.refuted(refutation)
    try:
        blocked = beam.run()
    except LimitReached as limit:
        return beam.result("unknown", reason=limit.reason, machine_dependent=limit.machine_dependent)
    if blocked is not None:
        return beam.result("invalid", blocked=blocked)
    return beam.result("valid", order=beam.order() if witness else None)


class Snapshot(NamedTuple):
    """Where the search can go back to. `complete`: every configuration there is stands in the frontier."""

    position: int
    frontier: list[Config]
    pending: Pending
    complete: bool


class _BeamSearch:
    """One search over one object's operations."""

    def __init__(self, operations: Sequence[Operation], model: Model, meter: Meter, *, witness: bool) -> None:
        self.encoding = EncodedOperations(operations, model)
        self.events, self.slots = order_events(self.encoding.operations)
        look_ahead = LookAhead.of(self.encoding.operations, model)
        self.search = FrontierSearch(self.encoding, meter, width=FIRST_WIDTH, witness=witness, look_ahead=look_ahead)
        self.snapshots: list[Snapshot] = []

    def run(self) -> Operation | None:
        """Follow the events to the end; return the operation at whose return a complete frontier died, if one did."""
        position, level, safe = 0, 0, -1  # beyond `safe` the beam may be narrow again
        while position < len(self.events):
            if position % STRIDE == 0:
                self.remember(position)
            if level and position > safe:
                level, self.search.width = 0, FIRST_WIDTH
            if self.apply_event(position):
                position += 1
            elif self.search.complete:
                return self.encoding.operations[~self.events[position]]
            else:
                level += 1
                back = STRIDE << level
                safe = max(safe, position + BEYOND)
                position = self.go_back(position - back)
                self.search.width = FIRST_WIDTH * WIDENING**level
        return None

    def apply_event(self, position: int) -> bool:
        """Apply one event; False if no configuration is left."""
        event = self.events[position]
        number = event if event >= 0 else ~event
        kind, slot, ret = self.encoding.classes[number], self.slots[number], self.encoding.operations[number].ret
        if event < 0:
            return self.search.returned(kind, slot, ret, position)
        self.search.call(kind, slot, ret, self.encoding.operations[number])
        return True

    def remember(self, position: int) -> None:
        search = self.search
        if self.snapshots and self.snapshots[-1].position >= position:
            return
        if search.complete:
            self.snapshots.clear()
        self.snapshots.append(Snapshot(position, search.frontier, search.pending.copy(), search.complete))

    def go_back(self, target: int) -> int:
        """Return to the last snapshot at or before the target, but not further than to a complete one."""
        snapshots = self.snapshots
        while len(snapshots) > 1 and snapshots[-1].position > target and not snapshots[-1].complete:
            snapshots.pop()
        snapshot = snapshots[-1]
        self.search.frontier = snapshot.frontier
        self.search.pending = snapshot.pending.copy()
        self.search.complete = snapshot.complete
        return snapshot.position

    def order(self) -> tuple[Operation, ...]:
        """Return the order that the first surviving configuration stands for."""
        return tuple(replay(self.encoding, self.events, self.slots, self.search.path()))

    def refuted(self, refutation: Refutation) -> LinearizabilityResult:
        return LinearizabilityResult(
            validity="invalid",
            engine=ENGINE,
            steps=len(self.encoding.operations),
            blocked=refutation.observer,
            culprits=refutation.culprits,
        )

    def result(
        self,
        validity: Validity,
        *,
        blocked: Operation | None = None,
        order: tuple[Operation, ...] | None = None,
        reason: str = "",
        machine_dependent: bool = False,
    ) -> LinearizabilityResult:
        return LinearizabilityResult(
            validity=validity,
            engine=ENGINE,
            steps=self.search.steps,
            states=self.search.largest,
            blocked=blocked,
            is_lower_bound=True,
            order=order,
            reason=reason,
            machine_dependent=machine_dependent,
        )


def order_events(operations: Sequence[Operation]) -> tuple[list[int], list[int]]:
    """Order calls (number) and returns (~number) by index, and give each live operation the lowest free slot."""
    stamped = [(operation.call, number) for number, operation in enumerate(operations)]
    stamped += [(operation.ret, ~number) for number, operation in enumerate(operations) if operation.ret != INF]
    stamped.sort()
    events = [number for _, number in stamped]
    slots = [-1] * len(operations)
    free: list[int] = []
    width = 0
    for number in events:
        if number < 0:
            free.append(slots[~number])
        elif operations[number].ret != INF:
            if not free:
                free.append(width)
                width += 1
            slots[number] = free.pop()
    return events, slots
