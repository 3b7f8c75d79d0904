"""The general engine: just-in-time linearization with a beam that widens where it must.

`valid` needs any one configuration of the beam (`beam`) to survive; `invalid` is said only when a frontier that was
complete since its start died. Before all that, `read_from` looks for a cheap refutation.

Notes: valid histories take time linear in their length for a given width. The worst case is exponential in the
concurrency and in the number of distinct crashed classes. A step is one move; a state is one configuration held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkers.linearizability.result import LimitReached, Limits, LinearizabilityResult, Meter
from checkers.models import Model
from checkers.operation import INF, Operation
from checkers.verdict import Validity

from .beam import Beam, Event
from .encoding import EncodedOperations
from .frontier import FrontierSearch
from .look_ahead import LookAhead
from .read_from import Refutation, find_refutation
from .witness import replay

ENGINE: Final = "jit"

NO_LIMITS: Final = Limits()


def check_operations(
    operations: Sequence[Operation], model: Model, limits: Limits = NO_LIMITS, *, witness: bool = False
) -> LinearizabilityResult:
    """Decide the operations of one object."""
    search = _Search(operations, model, Meter(limits), witness=witness)
    refutation = find_refutation(search.encoding)
    if refutation is not None:
        return search.refuted(refutation)
    try:
        blocked = search.run()
    except LimitReached as limit:
        return search.result("unknown", reason=limit.reason, machine_dependent=limit.machine_dependent)
    if blocked is not None:
        return search.result("invalid", blocked=blocked)
    return search.result("valid", order=search.order() if witness else None)


class _Search:
    """One search over one object's operations."""

    def __init__(self, operations: Sequence[Operation], model: Model, meter: Meter, *, witness: bool) -> None:
        self.encoding = EncodedOperations(operations, model)
        self.order_of_events, self.slots = order_events(self.encoding.operations)
        look_ahead = LookAhead.of(self.encoding.operations, model)
        self.search = FrontierSearch(self.encoding, meter, witness=witness, look_ahead=look_ahead)

    def run(self) -> Operation | None:
        """Follow the events to the end; return the operation at whose return a complete frontier died, if one did."""
        classes, operations, slots = self.encoding.classes, self.encoding.operations, self.slots
        beam = Beam(self.search)
        for event in self.order_of_events:
            number = event if event >= 0 else ~event
            beam.events.append(Event(classes[number], slots[number], operations[number], event < 0))
        return beam.follow()

    def order(self) -> tuple[Operation, ...]:
        """Return the order that the first surviving configuration stands for."""
        return tuple(replay(self.encoding, self.order_of_events, self.slots, self.search.path()))

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
