"""A fast path: what an exact check of one kind of object has to offer, and what is done around each.

A fast path turns the operations of one object into rows of its own, or says why it does not apply to them. `failure`
decides rows; where they are not linearizable it says between which events that became certain. Rows can be cut to a
prefix of the events, so that the shortest failing prefix can be found, and the operation that cannot be placed named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from checkers.linearizability.failing_prefix import Bounds, first_certain
from checkers.linearizability.result import LimitReached, Limits, LinearizabilityResult, Meter
from checkers.models import Model
from checkers.operation import Operation

R = TypeVar("R")

NO_LIMITS: Final = Limits()


class Undecided(Exception):
    """The rows do not say enough for this check. The message says what they leave open."""


@dataclass(frozen=True, kw_only=True)
class FastPath(Generic[R]):
    """One kind of object: how its operations become rows, how rows are decided and cut, and what to show of a failure.

    `rows_of` returns rows, or the reason why there are none. `size` counts the steps that deciding costs. `failure`
    raises `Undecided` where it cannot tell, in a prefix or in the whole. `has_prefixes` says whether prefixes of these
    rows mean what prefixes of their operations mean. `culprits` picks the operations that suffice to see a failure,
    given the evidence of its bounds; without it that is the operation that cannot be placed.
    """

    name: str
    rows_of: Callable[[Sequence[Operation], Model], R | str]
    size: Callable[[R], int]
    failure: Callable[[R, Meter], Bounds | None]
    prefix: Callable[[R, int], R]
    has_prefixes: Callable[[R], bool] = lambda _: True
    culprits: Callable[[R, Any, Sequence[Operation]], Iterable[Operation]] | None = None

    def decide(
        self, operations: Sequence[Operation], model: Model, limits: Limits = NO_LIMITS
    ) -> LinearizabilityResult:
        """Decide the operations of one object, or say unknown with the reason why this check does not apply."""
        rows = self.rows_of(operations, model)
        if isinstance(rows, str):
            return LinearizabilityResult(validity="unknown", engine=self.name, reason=rows)
        return self.decide_rows(rows, limits, operations)

    def decide_rows(
        self, rows: R, limits: Limits = NO_LIMITS, operations: Sequence[Operation] = ()
    ) -> LinearizabilityResult:
        """Decide rows; `operations` are those that they came from, for naming the culprits."""
        meter = Meter(limits)
        certain: int | None = None
        try:
            found = self.failure(rows, meter)
            if found is not None:
                certain, found = self._shortest(rows, found, meter)
        except (Undecided, LimitReached) as stopped:
            return LinearizabilityResult(
                validity="unknown",
                engine=self.name,
                steps=self.size(rows),
                reason=str(stopped),
                machine_dependent=isinstance(stopped, LimitReached) and stopped.machine_dependent,
            )
        blocked = next((operation for operation in operations if operation.ret == certain), None)
        culprits: Iterable[Operation] = () if blocked is None else (blocked,)
        if self.culprits is not None and found is not None and operations:
            culprits = self.culprits(rows, found.evidence, operations)
        return LinearizabilityResult(
            validity="valid" if found is None else "invalid",
            engine=self.name,
            steps=self.size(rows),
            certain=certain,
            blocked=blocked,
            culprits=tuple(culprits),
        )

    def _shortest(self, rows: R, found: Bounds, meter: Meter) -> tuple[int | None, Bounds]:
        """Find where the shortest failing prefix ends, if prefixes can be told, and what is wrong with it."""
        by_end = {found.upper: found}

        def check(end: int) -> Bounds | None:
            earlier = self.failure(self.prefix(rows, end), meter)
            if earlier is not None:
                by_end[min(earlier.upper, end)] = earlier
            return earlier

        if not self.has_prefixes(rows):
            return None, found
        try:
            certain = first_certain(check, found)
        except Undecided:
            return None, found
        return certain, by_end[certain]
