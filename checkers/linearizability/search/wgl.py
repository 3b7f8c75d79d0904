"""The reference engine: Wing and Gong's depth-first search with Lowe's cache, small and obvious.

It tries to build one sequential order. At each moment the next operation must be one that was called before any
unplaced operation returned; a crashed operation may be placed at any moment after its call, or never. When nothing can
be placed, it goes back. A configuration (which operations are placed, and the state) that was left without success is
never entered again.

This is the engine that other engines are compared with. It shares nothing with them but `look_ahead`, knows no model,
and does nothing clever but for two things: the set of placed operations is stored relative to the first unplaced one,
so that an entry of the cache is as large as the concurrency and not as the history; and a state from which what comes
later cannot come is not entered.

Notes: cost is linear in the easy case and exponential in the number of concurrent (and so of crashed) operations in the
hard one. A step is one call of the model. A state is one entry of the cache.

References: J. M. Wing and C. Gong, "Testing and verifying concurrent objects", JPDC 17 (1993), section 4.
G. Lowe, "Testing for linearizability", Concurrency and Computation 29 (2017), section 3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final

from checkers.linearizability.result import LimitReached, Limits, LinearizabilityResult, Meter
from checkers.models import ILLEGAL, Model
from checkers.operation import INF, Operation
from checkers.verdict import Validity

from .look_ahead import LookAhead

ENGINE: Final = "wgl"

NO_LIMITS: Final = Limits()


def check_operations(
    operations: Sequence[Operation], model: Model, limits: Limits = NO_LIMITS
) -> LinearizabilityResult:
    """Decide the operations of one object, with a witness order where there is one."""
    search = _Search(operations, model, Meter(limits))
    try:
        found = search.run()
    except LimitReached as limit:
        return search.result("unknown", reason=limit.reason, machine_dependent=limit.machine_dependent)
    return search.result("valid") if found else search.result("invalid")


class _Search:
    """One depth-first search.

    A configuration is (first unplaced, mask of the placed ones from there on, mask of placed crashed ones, state).
    """

    def __init__(self, operations: Sequence[Operation], model: Model, meter: Meter) -> None:
        in_order = sorted(operations, key=lambda operation: operation.call)
        self.model = model
        self.meter = meter
        self.returned = [operation for operation in in_order if operation.ret != INF]
        self.only_looks = [model.only_looks(operation) for operation in self.returned]
        self.crashed = [operation for operation in in_order if operation.ret == INF]
        self.steps = 0
        self.look_ahead = LookAhead.of(in_order, model)
        foreseen = () if self.look_ahead is None else self.look_ahead.foreseen
        numbers = {id(operation): number for number, operation in enumerate(self.returned)}
        self.foreseen = [numbers[id(operation)] for operation in foreseen]
        self.seen: set[tuple[int, int, int, Any]] = set()
        self.order: list[Operation] = []
        self.blocked: Operation | None = None  # whose return no order got past; of those, the one that returned last

    def run(self) -> bool:
        first = (0, 0, 0, self.model.init)
        if not self.returned:
            return True
        self.seen.add(first)
        path: list[Iterator[tuple[int, int, int, Any, Operation]]] = [self.successors(*first)]
        while path:
            for low, mask, crashed, state, operation in path[-1]:
                if (low, mask, crashed, state) in self.seen:
                    continue
                self.seen.add((low, mask, crashed, state))
                self.order.append(operation)
                if low == len(self.returned):
                    return True
                path.append(self.successors(low, mask, crashed, state))
                break
            else:
                path.pop()
                if self.order:
                    self.order.pop()
        return False

    def successors(
        self, low: int, mask: int, crashed: int, state: Any
    ) -> Iterator[tuple[int, int, int, Any, Operation]]:
        """Yield the configurations one operation further on."""
        candidates, first_return = self.candidates(low, mask)
        for position in candidates:
            after = self.step(state, self.returned[position])
            if after is not ILLEGAL:
                moved_low, moved_mask = low, mask | 1 << (position - low)
                while moved_mask & 1:
                    moved_low, moved_mask = moved_low + 1, moved_mask >> 1
                if not self.is_dead(moved_low, moved_mask, after):
                    yield moved_low, moved_mask, crashed, after, self.returned[position]
        for position, operation in enumerate(self.crashed):
            if operation.call > first_return:
                break
            if not crashed >> position & 1:
                after = self.step(state, operation)
                if after is not ILLEGAL and after != state and not self.is_dead(low, mask, after):
                    yield low, mask, crashed | 1 << position, after, operation

    def is_dead(self, low: int, mask: int, state: Any) -> bool:
        """Whether the answers of what is not placed cannot be given from this state."""
        look_ahead = self.look_ahead
        if look_ahead is None:
            return False
        end = low + mask.bit_length()
        place = bisect_left(self.foreseen, low)
        waiting = []
        while place < len(self.foreseen) and self.foreseen[place] < end:
            position = self.foreseen[place]
            if not mask >> (position - low) & 1:
                waiting.append(self.returned[position])
            place += 1
        moment = self.returned[end - 1].call if end else -INF
        return look_ahead.is_dead(state, look_ahead.after(moment, tuple(waiting)))

    def candidates(self, low: int, mask: int) -> tuple[list[int], int]:
        """List the unplaced operations that were called before any unplaced one returned, and that first return.

        Those that only look come first: where one is possible, placing it now forbids nothing later.
        """
        looking: list[int] = []
        changing: list[int] = []
        first_return = INF
        for position in range(low, len(self.returned)):
            operation = self.returned[position]
            if operation.call > first_return:
                break
            if not mask >> (position - low) & 1:
                (looking if self.only_looks[position] else changing).append(position)
                if operation.ret < first_return:
                    first_return = operation.ret
                    first = operation
        if self.blocked is None or first_return > self.blocked.ret:
            self.blocked = first
        return looking + changing, first_return

    def step(self, state: Any, operation: Operation) -> Any:
        self.steps += 1
        if self.steps % self.meter.interval == 0:
            self.meter.check(self.steps, len(self.seen))
        return self.model.step(state, operation)

    def result(self, validity: Validity, *, reason: str = "", machine_dependent: bool = False) -> LinearizabilityResult:
        return LinearizabilityResult(
            validity=validity,
            engine=ENGINE,
            steps=self.steps,
            states=len(self.seen),
            blocked=self.blocked if validity == "invalid" else None,
            is_lower_bound=True,
            order=tuple(self.order) if validity == "valid" else None,
            reason=reason,
            machine_dependent=machine_dependent,
        )
