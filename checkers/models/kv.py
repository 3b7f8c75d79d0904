"""Porcupine's key-value store: texts by key, with an append. A key that was never put holds the empty text."""

from __future__ import annotations

from typing import Any, Final

from checkers.history import Operation

from .model import ANYTHING, ILLEGAL, KEEPS, NOTHING, SOMETHING, Access, Function, Model, Shape, repeats

TEXT: Final = Shape("a text", lambda value: type(value) is str)

FUNCTIONS: Final = {
    "read": Function(value=NOTHING, only_looks=True),
    "write": Function(value=TEXT, answers_invoke=repeats),
    "append": Function(value=TEXT, answers_invoke=repeats),
}


def step(state: str, operation: Operation) -> Any:
    """Step the text of one key."""
    if operation.f == "write":
        return operation.value
    if operation.f == "append":
        return state + operation.value
    return state if operation.type == "info" or (operation.result or "") == state else ILLEGAL


def access(operation: Operation) -> Access:
    """Say which text an operation needs and which it leaves."""
    if operation.f == "write":
        return ANYTHING, operation.value
    if operation.f == "append":
        return SOMETHING, SOMETHING
    return (operation.result or "" if operation.type == "ok" else ANYTHING), KEEPS


KV: Final = Model(name="kv", init="", step=step, functions=FUNCTIONS, access=access, any_state=True)
