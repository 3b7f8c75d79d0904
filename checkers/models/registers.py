"""Registers: read, write, compare-and-set. A missing register holds null."""

from __future__ import annotations

from typing import Any, Final

from checkers.operation import Operation

from .model import ANYTHING, ILLEGAL, KEEPS, NOTHING, PAIR, Access, Function, Model, OtherThan, answers_cas, repeats

FUNCTIONS: Final = {
    "read": Function(value=NOTHING, answers=frozenset({"absent"}), only_looks=True),
    "write": Function(answers_invoke=repeats),
    "cas": Function(value=PAIR, answers=frozenset({"precondition-failed", "absent"}), answers_invoke=answers_cas),
}


def step(state: Any, operation: Operation) -> Any:
    """Step a register."""
    f = operation.f
    if operation.type == "fail":
        return state if _refuses(state, operation) else ILLEGAL
    if f == "read":
        return state if operation.type == "info" or operation.result == state else ILLEGAL
    if f == "write":
        return operation.value
    old, new = operation.value
    if state == old:
        return new
    return state if operation.type == "info" else ILLEGAL


def _refuses(state: Any, operation: Operation) -> bool:
    if operation.error == "absent":
        return state is None
    return bool(state != operation.value[0])


def access(operation: Operation) -> Access:
    """Say which value an operation needs and which it leaves."""
    if operation.type == "fail":
        return (None if operation.error == "absent" else OtherThan(operation.value[0])), KEEPS
    if operation.f == "write":
        return ANYTHING, operation.value
    if operation.f == "read":
        return (operation.result if operation.type == "ok" else ANYTHING), KEEPS
    old, new = operation.value
    return old, KEEPS if old == new else new


REGISTER: Final = Model(name="register", init=None, step=step, functions=FUNCTIONS, access=access, any_state=True)
CAS_REGISTER: Final = Model(
    name="cas-register", init=None, step=step, functions=FUNCTIONS, access=access, any_state=True
)
