"""Counters: an integer that starts at 0, or is missing until it is created.

A history with a `create` (whatever came of it) starts without a counter, and then every function but `create` is
refused with `absent`. Deltas may be negative.
"""

from __future__ import annotations

from typing import Any, Final

from checkers.operation import Operation

from .model import (
    ANYTHING,
    ILLEGAL,
    INTEGER,
    INTEGERS,
    KEEPS,
    NOTHING,
    SOMETHING,
    Access,
    Function,
    Model,
    OtherThan,
    Shape,
    answers_cas,
    repeats,
    state_like,
)

MISSING: Final = None
"""The state of a counter that was not created."""

_ABSENT = frozenset({"absent"})
_DELTA_AND_VALUE = Shape(
    "[delta, value], integers", lambda value: type(value) is tuple and len(value) == 2 and all(map(INTEGER.fits, value))
)

FUNCTIONS: Final = {
    "read": Function(value=NOTHING, result=INTEGER, answers=_ABSENT, only_looks=True),
    "add": Function(value=INTEGER, answers=_ABSENT, answers_invoke=repeats),
    "add-and-get": Function(
        value=INTEGER,
        result=_DELTA_AND_VALUE,
        answers=_ABSENT,
        answers_invoke=lambda delta, result: bool(result[0] == delta),
    ),
    "set": Function(value=INTEGER, answers=_ABSENT, answers_invoke=repeats),
    "cas": Function(value=INTEGERS, answers=frozenset({"absent", "precondition-failed"}), answers_invoke=answers_cas),
    "create": Function(value=INTEGER, answers=frozenset({"exists"}), answers_invoke=repeats),
}


def step(state: Any, operation: Operation) -> Any:
    """Step a counter."""
    f, kind, value = operation.f, operation.type, operation.value
    if kind == "fail":
        return state if _refuses(state, operation) else ILLEGAL
    if f == "create":
        if state is MISSING:
            return value
        return state if kind == "info" else ILLEGAL
    if state is MISSING:
        return state if kind == "info" else ILLEGAL
    if f == "read":
        return state if kind == "info" or operation.result == state else ILLEGAL
    if f == "add":
        return state + value
    if f == "add-and-get":
        return state + value if kind == "info" or operation.result == (value, state + value) else ILLEGAL
    if f == "set":
        return value
    if state == value[0]:
        return value[1]
    return state if kind == "info" else ILLEGAL


def _refuses(state: Any, operation: Operation) -> bool:
    if operation.error == "absent":
        return state is MISSING
    if operation.error == "exists":
        return state is not MISSING
    return state is not MISSING and bool(state != operation.value[0])


def access(operation: Operation) -> Access:
    """Say which number an operation needs and which it leaves, where it is one for all states."""
    f, kind, value = operation.f, operation.type, operation.value
    if kind == "fail":
        if operation.error == "absent":
            return MISSING, KEEPS
        return (OtherThan(MISSING) if operation.error == "exists" else SOMETHING), KEEPS
    if f == "read":
        return (operation.result if kind == "ok" else ANYTHING), KEEPS
    if f == "add-and-get" and kind == "ok":
        return operation.result[1] - value, KEEPS if value == 0 else operation.result[1]
    if f == "cas":
        return value[0], KEEPS if value[0] == value[1] else value[1]
    if f == "create":
        return MISSING, value
    return SOMETHING, SOMETHING


def _start(model: Model, operations: list[Operation]) -> Model:
    if any(operation.f == "create" for operation in operations):
        return model.starting_at(MISSING)
    return model


COUNTER: Final = Model(
    name="counter",
    init=0,
    step=step,
    functions=FUNCTIONS,
    access=access,
    adapt=_start,
    state_of=state_like(INTEGER),
    any_state=True,
)
