"""Sets, FIFO queues and lists."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from checkers.malformed import MalformedHistory
from checkers.operation import INF, Operation
from checkers.values import freeze, show

from .model import ILLEGAL, LIST, NOTHING, Function, Later, Model, common_prefix, repeats, state_like

SET_FUNCTIONS: Final = {
    "add": Function(answers=frozenset({"exists"}), answers_invoke=repeats),
    "read": Function(value=NOTHING, result=LIST, only_looks=True),
}
QUEUE_FUNCTIONS: Final = {
    "enqueue": Function(answers_invoke=repeats),
    "dequeue": Function(value=NOTHING, answers=frozenset({"empty"})),
}
LIST_FUNCTIONS: Final = {
    "append": Function(answers_invoke=repeats),
    "read": Function(value=NOTHING, result=LIST, only_looks=True),
}


def step_set(state: frozenset[Any], operation: Operation) -> Any:
    """Step a set. Adding what is there already changes nothing; a read that lists an element twice is no set."""
    if operation.f == "add":
        if operation.type == "fail":
            return state if operation.value in state else ILLEGAL
        return state if operation.value in state else state | {operation.value}
    if operation.type == "info":
        return state
    seen = operation.result
    return state if len(seen) == len(state) and state.issuperset(seen) and len(set(seen)) == len(seen) else ILLEGAL


def step_queue(state: tuple[Any, ...], operation: Operation) -> Any:
    """Step a FIFO queue, its head first."""
    if operation.f == "enqueue":
        return (*state, operation.value)
    if operation.type == "fail":
        return ILLEGAL if state else state
    if operation.type == "info":
        return state[1:]
    return state[1:] if state and state[0] == operation.result else ILLEGAL


def step_list(state: tuple[Any, ...], operation: Operation) -> Any:
    """Step a list that grows at its end."""
    if operation.f == "append":
        return (*state, operation.value)
    return state if operation.type == "info" or operation.result == state else ILLEGAL


def _set_of(value: Any) -> frozenset[Any]:
    if not isinstance(value, list | tuple | frozenset):
        raise MalformedHistory(f"initial state {show(value)}", "a list", "--initial")
    return frozenset(map(freeze, value))


def can_reach_set(state: frozenset[Any], later: Later) -> bool:
    """Say whether a set may still become what later reads returned: nothing ever leaves it."""
    known = later.once(_elements_to_come)
    return known is None or state <= known


def _elements_to_come(operations: tuple[Operation, ...]) -> frozenset[Any] | None:
    seen = [frozenset(operation.result) for operation in operations if operation.f == "read" and operation.type == "ok"]
    return frozenset.intersection(*seen) if seen else None


def can_reach_list(state: tuple[Any, ...], later: Later) -> bool:
    """Say whether a list may still become what later reads returned: it only grows, at its end."""
    known = later.once(_list_to_come)
    return known is None or known[: len(state)] == state


def _list_to_come(operations: tuple[Operation, ...]) -> tuple[Any, ...] | None:
    """Return the longest list of which the state must be a prefix."""
    seen = [operation.result for operation in operations if operation.f == "read" and operation.type == "ok"]
    return common_prefix(seen) if seen else None


class Takings(NamedTuple):
    """What is taken from a queue later: by value, the calls and the returns of those who took it, each ascending.

    `anyone` is the first call of a dequeue of which it is not known what it took; `empty` the first return of one that
    found nothing.
    """

    calls: dict[Any, list[int]]
    returns: dict[Any, list[int]]
    anyone: int
    empty: int


def can_reach_queue(state: tuple[Any, ...], later: Later) -> bool:
    """Say whether the elements of a queue may still be taken in their order, by who took such elements later.

    `free` is a moment before which the element at hand cannot be reached: each one in front of it must have been taken,
    the k-th of its value not before k dequeues of that value were called, or one that may have taken anything. Of the
    dequeues of one value, as many as stand in front may come earlier; the next to return must return after `free`. So
    must those that take a value once more than it is there, and one that finds the queue empty.
    """
    takings = later.once(_takings)
    free = -1
    count: dict[Any, int] = {}
    for value in state:
        before = count.get(value, 0)
        count[value] = before + 1
        returns = takings.returns.get(value, ())
        if before < len(returns):
            if returns[before] < free:
                return False
            free = max(free, min(takings.calls[value][before], takings.anyone))
        else:
            free = max(free, takings.anyone)
        if free == INF:
            break
    if takings.empty < free:
        return False
    for value, returns in takings.returns.items():
        there = count.get(value, 0)
        if there < len(returns) and returns[there] < free:
            return False
    return True


def _takings(operations: tuple[Operation, ...]) -> Takings:
    calls: dict[Any, list[int]] = {}
    returns: dict[Any, list[int]] = {}
    anyone = empty = INF
    for operation in operations:
        if operation.f != "dequeue":
            continue
        if operation.type == "ok":
            calls.setdefault(operation.result, []).append(operation.call)
            returns.setdefault(operation.result, []).append(operation.ret)
        elif operation.type == "fail":
            empty = min(empty, operation.ret)
        else:
            anyone = min(anyone, operation.call)
    for times in (*calls.values(), *returns.values()):
        times.sort()
    return Takings(calls, returns, anyone, empty)


def _is_read(operation: Operation) -> bool:
    return operation.f == "read"


def _is_dequeue(operation: Operation) -> bool:
    return operation.f == "dequeue"


SET: Final = Model(
    name="set",
    init=frozenset(),
    step=step_set,
    functions=SET_FUNCTIONS,
    state_of=_set_of,
    can_reach=can_reach_set,
    foresees=_is_read,
    any_state=True,
)
QUEUE: Final = Model(
    name="queue",
    init=(),
    step=step_queue,
    functions=QUEUE_FUNCTIONS,
    state_of=state_like(LIST),
    can_reach=can_reach_queue,
    foresees=_is_dequeue,
    any_state=True,
)
LIST_MODEL: Final = Model(
    name="list",
    init=(),
    step=step_list,
    functions=LIST_FUNCTIONS,
    state_of=state_like(LIST),
    can_reach=can_reach_list,
    foresees=_is_read,
    any_state=True,
)
