"""Brute force: try every order of the operations that real time allows. Small, slow, and easy to believe.

It shares nothing with the engines but the models, which say what one operation does to one state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checkers.models import ILLEGAL, Model
from checkers.operation import INF, Operation


def is_linearizable(operations: Sequence[Operation], model: Model) -> bool:
    """Whether some order of all completed and some crashed operations respects real time and the model."""
    dead_ends: set[tuple[int, Any]] = set()

    def can_finish(placed: int, state: Any) -> bool:
        waiting = [number for number in range(len(operations)) if not placed >> number & 1]
        first_return = min((operations[number].ret for number in waiting), default=INF)
        if first_return == INF:
            return True
        if (placed, state) in dead_ends:
            return False
        for number in waiting:
            if operations[number].call < first_return:
                after = model.step(state, operations[number])
                if after is not ILLEGAL and can_finish(placed | 1 << number, after):
                    return True
        dead_ends.add((placed, state))
        return False

    return can_finish(0, model.init)


def prefix(operations: Sequence[Operation], end: int) -> list[Operation]:
    """Return what had been seen when the line with index `end` was written: later returns have not happened."""
    return [
        operation
        if operation.ret <= end
        else Operation(
            operation.process, operation.f, operation.key, operation.value, None, "info", None, operation.call, INF
        )
        for operation in operations
        if operation.call <= end
    ]


def first_certain(operations: Sequence[Operation], model: Model) -> int | None:
    """Return the index of the first line after which no order is left; None if the whole is linearizable."""
    for end in sorted(operation.ret for operation in operations if operation.ret != INF):
        if not is_linearizable(prefix(operations, end), model):
            return end
    return None


def is_witness(order: Sequence[Operation], operations: Sequence[Operation], model: Model) -> bool:
    """Whether an order has every completed operation once, respects real time, and is what one copy would do."""
    calls = [operation.call for operation in order]
    completed = {operation.call for operation in operations if operation.ret != INF}
    if len(set(calls)) != len(calls) or not completed <= set(calls):
        return False
    state: Any = model.init
    latest_call = -INF
    for operation in order:
        if operation.ret < latest_call:
            return False
        latest_call = max(latest_call, operation.call)
        state = model.step(state, operation)
        if state is ILLEGAL:
            return False
    return True
