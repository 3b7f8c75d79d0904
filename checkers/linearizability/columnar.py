"""Deciding columns: what every fast path over plain lists does around its own algorithm.

The algorithm says between which events a violation became certain; the frame finds the shortest failing prefix, names
the operation that cannot be placed, and turns a limit into `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from checkers.history import Operation

from .prefixes import Bounds, first_certain
from .result import LimitReached, Limits, LinearizabilityResult, Meter


class Columns(Protocol):
    """Operations as parallel lists, in the order of their calls, that can be cut to a prefix of the events."""

    @property
    def calls(self) -> Sequence[int]: ...


C = TypeVar("C", bound=Columns)


def decide(
    columns: C,
    failure: Callable[[C, Meter], Bounds | None],
    prefix: Callable[[C, int], C],
    *,
    engine: str,
    limits: Limits,
    operations: Sequence[Operation],
) -> LinearizabilityResult:
    """Decide columns by `failure`; `operations` are for naming the one that cannot be placed."""
    meter = Meter(limits)
    certain: int | None = None
    try:
        found = failure(columns, meter)
        if found is not None:
            certain = first_certain(lambda end: failure(prefix(columns, end), meter), found)
    except LimitReached as limit:
        return LinearizabilityResult(
            validity="unknown",
            engine=engine,
            steps=len(columns.calls),
            reason=limit.reason,
            machine_dependent=limit.machine_dependent,
        )
    blocked = next((operation for operation in operations if operation.ret == certain), None)
    return LinearizabilityResult(
        validity="valid" if found is None else "invalid",
        engine=engine,
        steps=len(columns.calls),
        certain=certain,
        blocked=blocked,
        culprits=() if blocked is None else (blocked,),
    )
