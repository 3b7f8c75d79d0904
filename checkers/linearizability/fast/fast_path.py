"""The frame of a fast path: what each does around its own algorithm.

The algorithm works on rows or columns of one object's operations, which can be cut to a prefix of the events, and says
between which events a violation became certain. The frame finds the shortest failing prefix, names the operation that
cannot be placed, and turns a limit into `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from checkers.history import Operation
from checkers.linearizability.failing_prefix import Bounds, first_certain
from checkers.linearizability.result import LimitReached, Limits, LinearizabilityResult, Meter

R = TypeVar("R")


def decide(
    rows: R,
    failure: Callable[[R, Meter], Bounds | None],
    prefix: Callable[[R, int], R],
    *,
    engine: str,
    steps: int,
    limits: Limits,
    operations: Sequence[Operation],
) -> LinearizabilityResult:
    """Decide rows by `failure`; `operations` are for naming the one that cannot be placed."""
    meter = Meter(limits)
    certain: int | None = None
    try:
        found = failure(rows, meter)
        if found is not None:
            certain = first_certain(lambda end: failure(prefix(rows, end), meter), found)
    except LimitReached as limit:
        return LinearizabilityResult(
            validity="unknown",
            engine=engine,
            steps=steps,
            reason=limit.reason,
            machine_dependent=limit.machine_dependent,
        )
    blocked = next((operation for operation in operations if operation.ret == certain), None)
    return LinearizabilityResult(
        validity="valid" if found is None else "invalid",
        engine=engine,
        steps=steps,
        certain=certain,
        blocked=blocked,
        culprits=() if blocked is None else (blocked,),
    )
