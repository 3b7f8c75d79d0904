"""Sets, FIFO queues and lists."""

from __future__ import annotations

from typing import Any, Final

from checkers.history import MalformedHistory, Operation, freeze, show

from .model import ILLEGAL, LIST, NOTHING, Function, Model, repeats

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


SET: Final = Model(
    name="set", init=frozenset(), step=step_set, functions=SET_FUNCTIONS, state_of=_set_of, any_state=True
)
QUEUE: Final = Model(name="queue", init=(), step=step_queue, functions=QUEUE_FUNCTIONS, any_state=True)
LIST_MODEL: Final = Model(name="list", init=(), step=step_list, functions=LIST_FUNCTIONS, any_state=True)
