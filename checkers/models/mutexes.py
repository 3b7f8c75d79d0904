"""Locks: one that does not know who holds it, and one that does.

`mutex` is Knossos's: acquire needs it free, release needs it held, by whomever. That is the weaker claim, and the sound
one where a client gets a new process number after an unknown outcome. `owned-mutex` lets only its holder release it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from checkers.operation import Operation

from .model import ILLEGAL, INTEGER, KEEPS, Access, Function, Model, Shape, describe, state_like

FREE: Final = None
HELD: Final = "held"

FUNCTIONS: Final = {
    "acquire": Function(answers=frozenset({"held"})),
    "release": Function(answers=frozenset({"absent"})),
}


def step_mutex(state: Any, operation: Operation) -> Any:
    """Step a lock without an owner: `acquire` may be refused with held, `release` with absent."""
    return _step(state, operation, HELD)


def step_owned_mutex(state: Any, operation: Operation) -> Any:
    """Step a lock that only its owner releases; for any other process it is not there to release."""
    if operation.f == "release" and state is not FREE and state != operation.process:
        return state if operation.type == "info" or operation.error == "absent" else ILLEGAL
    return _step(state, operation, operation.process)


def _step(state: Any, operation: Operation, holder: Hashable) -> Any:
    needs, leaves = (FREE, holder) if operation.f == "acquire" else (holder, FREE)
    if operation.type == "fail":
        return ILLEGAL if state == needs else state
    if state == needs:
        return leaves
    return state if operation.type == "info" else ILLEGAL


def access(operation: Operation) -> Access:
    """Say in which of its two states a lock without an owner must be, and in which it is left."""
    needs, leaves = (FREE, HELD) if operation.f == "acquire" else (HELD, FREE)
    return (leaves, KEEPS) if operation.type == "fail" else (needs, leaves)


def _describe_state(state: Any) -> str:
    if state is FREE:
        return "free"
    return "held" if state == HELD else f"held by process {state}"


def _describe(operation: Operation) -> str:
    return describe(operation).removesuffix(" -> null")


def _owned_identity(operation: Operation) -> Hashable:
    return (operation.f, operation.process, operation.type, operation.error)


MUTEX: Final = Model(
    name="mutex",
    init=FREE,
    step=step_mutex,
    functions=FUNCTIONS,
    access=access,
    describe=_describe,
    describe_state=_describe_state,
    state_of=state_like(Shape('"held"', lambda state: state == HELD)),
    any_state=True,
)
OWNED_MUTEX: Final = Model(
    name="owned-mutex",
    init=FREE,
    step=step_owned_mutex,
    functions=FUNCTIONS,
    identity=_owned_identity,
    describe=_describe,
    describe_state=_describe_state,
    state_of=state_like(Shape("the process that holds it, an integer", INTEGER.fits)),
    any_state=True,
)
